"""The one decoding loop: propose -> one target forward -> verify -> keep, every row at its own rate.

Autoregressive decoding is the same loop with empty proposals. Knows ids, neither texts nor where utterances come from.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spear_accel.decoding.control.adaptive import LengthPolicy
from spear_accel.decoding.draft.base import Drafter, Round
from spear_accel.decoding.guards import Guards
from spear_accel.decoding.noise import NoiseBank, row_words
from spear_accel.decoding.options import DecodeOptions
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.decoding.requests import Utterance
from spear_accel.decoding.scheduler import Live, Scheduler
from spear_accel.decoding.stats import Judged, RoundCounts
from spear_accel.decoding.target import make_target
from spear_accel.decoding.verify.base import Verifier
from spear_accel.model import TextToSemantic

__all__ = ["Loop", "Means"]


@dataclass(frozen=True)
class Means:
    """All that a loop decodes with."""

    model: TextToSemantic
    options: DecodeOptions
    guards: Guards
    drafter: Drafter
    verifier: Verifier
    policy: LengthPolicy


class Loop:
    """The live rows, their state and their words of noise."""

    def __init__(
        self, means: Means, source: Callable[[], Utterance | None], rows: int, capacity: int, text_capacity: int
    ) -> None:
        """source: see `Scheduler`. At most `rows` live rows of `capacity` semantic and `text_capacity` text ids."""
        options = means.options
        self.model, self.drafter, self.verifier = means.model, means.drafter, means.verifier
        self.policy = means.policy
        self.sampling, self.config = options.sampling, means.model.config
        retries = 0 if self.sampling.greedy else options.loop_retries
        self.scheduler = Scheduler(source, rows, means.guards.loop, retries)
        self.target = make_target(self.model, rows, capacity, text_capacity, options.cond_scale)
        self.state = self.target.state
        self.drafter.reset(rows, capacity, text_capacity)
        self.device = self.model.device
        self.tokens = torch.arange(self.config.vocab, device=self.device)
        self.noise = NoiseBank(self.tokens, self.sampling.greedy)
        self.counts = RoundCounts()

    def run(self) -> Iterator[list[Live]]:
        """Until no utterance waits or lives; after each round, what was finished by it."""
        while self._admit():
            self._round()
            yield self._retire()

    def _admit(self) -> bool:
        """Fill free rows. Returns whether any row lives."""
        new = self.scheduler.admit()
        if new:
            self._begin(new)
        return bool(self.scheduler.rows)

    def _begin(self, new: Sequence[Live]) -> None:
        padded = self.model.pad_text([row.utterance.text for row in new])
        self.target.admit(padded)
        self.drafter.admit(self.state, padded)
        self._name_rows()

    def _name_rows(self) -> None:
        self.noise.name([row_words(row.seed, row.utterance.key) for row in self.scheduler.rows])

    def _round(self) -> None:
        started = time.perf_counter()
        current = self._start_round()
        proposal = self.drafter.propose(current)
        drafted = time.perf_counter()
        hidden, logits = self.target.forward(current, proposal)
        broken = logits.amax(dim=-1).isnan()
        verified = time.perf_counter()
        log_p = current.law(logits, proposal)
        verdict = self.verifier.verify(proposal, log_p, current.noise)
        committed = verdict.committed(proposal)
        if bool(broken.any()):
            self._give_up(broken, verdict)
        path = None if proposal.shape.is_chain else verdict.path
        self.target.keep([len(tokens) for tokens in committed], path)
        self.drafter.keep(verdict, hidden)
        judged = self._commit(committed, proposal, verdict)
        self.counts.add(judged, drafted - started, verified - drafted)
        self.policy.observe(current.wanted, judged, time.perf_counter() - started)

    def _start_round(self) -> Round:
        rows = self.scheduler.rows
        last = [row.tokens[-1] if row.tokens else self.config.start_id for row in rows]
        wanted = self.policy.shape(len(rows))
        return Round(
            state=self.state,
            pending=torch.tensor(last, device=self.device)[:, None],
            committed=[row.tokens for row in rows],
            noise=self.noise.round(self.state.lengths, wanted.depth + 1),
            sampling=self.sampling,
            history=self._history() if self.sampling.uses_history else None,
            minimum=[row.utterance.minimum for row in rows],
            eos_id=self.config.eos_id,
            wanted=wanted,
        )

    def _history(self) -> Tensor:
        """The last tokens of each row, int64 [B, W], -1 in front of the first."""
        width = self.sampling.repetition_window
        recent = [row.tokens[-width:] for row in self.scheduler.rows]
        return torch.tensor([[-1] * (width - len(tokens)) + tokens for tokens in recent], device=self.device)

    def _give_up(self, broken: Tensor, verdict: Verdict) -> None:
        """Stop the rows whose model said NaN at the root or on the accepted path; a rejected node harms nobody.

        broken: bool [B, N + 1].
        """
        nodes = torch.nn.functional.pad(verdict.path + 1, (1, 0))
        hurt = (broken.gather(1, nodes.clamp_min(0))).any(dim=1).tolist()
        for row, gives_up in zip(self.scheduler.rows, hurt, strict=True):
            if gives_up:
                row.fail(f"utterance {row.utterance.index}: the model returned NaN at token {len(row.tokens)}")

    def _commit(self, committed: list[list[int]], proposal: Proposal, verdict: Verdict) -> list[Judged]:
        """Extend the rows; returns what became of each row's draft."""
        shape, paths = proposal.shape, verdict.path.tolist()
        drafted = proposal.lengths.tolist() if proposal.nodes else [0] * proposal.rows
        judged = []
        for row, tokens, offered, path in zip(self.scheduler.rows, committed, drafted, paths, strict=True):
            count = row.extend(tokens, self.config.eos_id)
            accepted = min(count, len(tokens) - 1)
            row.calls += 1
            row.drafted += offered
            row.accepted += accepted
            # Drafts behind a stop were neither accepted nor rejected.
            depth = shape.depth_of(offered) if count == len(tokens) else accepted
            judged.append(Judged(depth, accepted, shape.steps(path[:accepted], offered, depth)))
        return judged

    def _retire(self) -> list[Live]:
        """Take stopped rows out; returns those that will not be tried again."""
        stopped = [row for row in self.scheduler.rows if row.reason is not None]
        if not stopped:
            return []
        for row in stopped:
            self.counts.retire(row.stats)
        order, ended = self.scheduler.retire()
        self.target.select(order)
        self.drafter.select(order)
        self._name_rows()
        return ended
