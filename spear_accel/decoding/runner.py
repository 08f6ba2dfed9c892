"""The one decoding round: propose -> one target forward -> verify -> commit, every row at its own rate.

Autoregressive decoding is the same round with an empty proposal. Knows the live rows; knows neither texts nor where
requests come from.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spear_accel.decoding.context import DraftContext, last_tokens
from spear_accel.decoding.control.base import SpeculationController
from spear_accel.decoding.draft.base import Drafter
from spear_accel.decoding.noise import NoiseBank, row_words
from spear_accel.decoding.obedience import RuleBook
from spear_accel.decoding.options import DecodeOptions
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.decoding.request import RunningRequest
from spear_accel.decoding.sampling import BatchSampling
from spear_accel.decoding.stats import RowOutcome
from spear_accel.decoding.stopping import StoppingCriteria
from spear_accel.decoding.target import make_target
from spear_accel.decoding.verify.base import DrawVerifier, Verifier
from spear_accel.model import TextToSemantic
from spear_accel.model.config import LONGEST_BLOCK

__all__ = ["BatchRunner", "EngineConfig"]


@dataclass(frozen=True)
class EngineConfig:
    """Everything that rounds are run with."""

    model: TextToSemantic
    options: DecodeOptions
    stopping: StoppingCriteria
    drafter: Drafter
    verifier: Verifier
    controller: SpeculationController

    def __post_init__(self) -> None:
        if self.controller.max_nodes >= LONGEST_BLOCK:
            raise ValueError(f"drafts of {self.controller.max_nodes} nodes; a cache holds {LONGEST_BLOCK - 1} at most")


class BatchRunner:
    """The decoder state of the live rows, their randomness, and the round that moves all of them on."""

    def __init__(self, config: EngineConfig) -> None:
        """Raises UserError if the options ask for guidance that the model cannot give."""
        options, self.model = config.options, config.model
        self.drafter, self.verifier, self.controller = config.drafter, config.verifier, config.controller
        self._by_draws = config.verifier if isinstance(config.verifier, DrawVerifier) else None
        self.config, self.device = config.model.config, config.model.device
        self.rows: list[RunningRequest] = []
        room = self.config.max_positions
        self.target = make_target(self.model, options.batch_size, room, room, options.cond_scale)
        self.state = self.target.state
        self.drafter.reset(options.batch_size, room, room)
        self.noise = NoiseBank(torch.arange(self.config.vocab, device=self.device))
        self.sampling = BatchSampling((), self.device)
        self.rules = None if self.config.rules is None else RuleBook(self.config, self.device)

    def admit(self, new: Sequence[RunningRequest]) -> None:
        """Read the texts of new rows, which stand behind the others from here on."""
        padded = self.model.pad_text([row.text for row in new])
        self.target.admit(padded)
        self.drafter.add_rows(self.state, padded)
        self._name_rows([*self.rows, *new])

    def select(self, order: Sequence[int]) -> None:
        """Make row order[i] the new row i; all others leave."""
        self.target.select(order)
        self.drafter.select(order)
        self._name_rows([self.rows[old] for old in order])

    def _name_rows(self, rows: list[RunningRequest]) -> None:
        self.rows = rows
        self.sampling = BatchSampling([row.sampling for row in rows], self.device)
        self.noise.name([row_words(row.seed, row.key) for row in rows], [row.sampling.greedy for row in rows])

    def round(self) -> None:
        """Move every live row on by at least one token."""
        started = time.perf_counter()
        context = self._start_round()
        proposal = self.drafter.propose(context)
        drafted = time.perf_counter()
        hidden, logits = self.target.forward(context, proposal)
        verified = time.perf_counter()
        verdict = self._verify(context, proposal, logits)
        committed = verdict.committed(proposal)
        straight = all(node == place for path in verdict.paths for place, node in enumerate(path))
        self.target.keep([len(tokens) for tokens in committed], None if straight else verdict.path)
        self.drafter.commit(verdict, hidden)
        outcomes = self._commit(committed, proposal, verdict)
        self._count(outcomes, drafted - started, verified - drafted)
        self.controller.observe(context.plan, outcomes, time.perf_counter() - started)

    def _verify(self, context: DraftContext, proposal: Proposal, logits: Tensor) -> Verdict:
        """What the rule keeps; rows whose model returned NaN at the root or on the accepted path stop.

        A rejected node harms nobody.
        """
        if self._by_draws is not None:
            verdict = self._by_draws.verify_draws(proposal, context.target_draws(logits, proposal))
            hurt = [final < 0 for final in verdict.finals]
        else:
            broken = logits.amax(dim=-1).isnan()
            verdict = self.verifier.verify(proposal, context.target_log_probs(logits, proposal), context.noise)
            hurt = [False] * len(self.rows)
            if bool(broken.any()):
                nodes = torch.nn.functional.pad(verdict.path + 1, (1, 0))
                hurt = broken.gather(1, nodes.clamp_min(0)).any(dim=1).tolist()
        for row, gives_up in zip(self.rows, hurt, strict=True):
            if gives_up:
                row.fail(f"utterance {row.index}: the model returned NaN at token {len(row.tokens)}")
        return verdict

    def _start_round(self) -> DraftContext:
        last = [row.tokens[-1] if row.tokens else self.config.start_id for row in self.rows]
        plan = self.controller.plan(len(self.rows))
        return DraftContext(
            state=self.state,
            last_token=torch.tensor(last, device=self.device)[:, None],
            committed=[row.tokens for row in self.rows],
            noise=self.noise.round(self.state.lengths, plan.shape.depth + 1),
            sampling=self.sampling,
            history=self._history() if self.sampling.uses_history else None,
            minimum=[row.min_tokens for row in self.rows],
            maximum=[row.max_tokens for row in self.rows],
            eos_id=self.config.eos_id,
            rules=self.rules,
            laws=self._by_draws is None,
            plan=plan,
        )

    def _history(self) -> Tensor:
        """The last tokens of each row that penalties look at, int64 [B, W], -1 in front of the first."""
        return last_tokens([row.tokens for row in self.rows], self.sampling.window, self.device)

    def _commit(self, committed: list[list[int]], proposal: Proposal, verdict: Verdict) -> list[RowOutcome]:
        """Extend the rows; returns what became of each row's draft."""
        shape = proposal.shape
        outcomes = []
        for row, tokens, offered, path in zip(self.rows, committed, proposal.counts, verdict.paths, strict=True):
            count = row.extend(tokens, self.config.eos_ids)
            accepted = min(count, len(tokens) - 1)
            row.calls += 1
            row.drafted += offered
            row.accepted += accepted
            # Drafts behind a stop were neither accepted nor rejected.
            depth = shape.depth_of(offered) if count == len(tokens) else accepted
            steps = shape.steps(path[:accepted], offered, depth)
            outcomes.append(RowOutcome(depth, accepted, steps, tuple(path), offered))
        return outcomes

    def _count(self, outcomes: Sequence[RowOutcome], draft_seconds: float, target_seconds: float) -> None:
        """Add the round to the counts of every call that has rows in it."""
        calls = {id(row.counts): row.counts for row in self.rows}
        for key, counts in calls.items():
            own = [outcome for row, outcome in zip(self.rows, outcomes, strict=True) if id(row.counts) == key]
            counts.add(own, draft_seconds, target_seconds)
        for row in self.rows:
            if row.stop_reason is not None:
                row.counts.retire(row.stats)
