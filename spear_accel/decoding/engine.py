"""The one decoding loop: propose -> one target forward -> verify -> keep, every row at its own rate.

Knows ids, not text: normalisation, tokenizers and sound are elsewhere. Autoregressive decoding is the same loop with
empty proposals.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count

import torch
from torch import Tensor

from spear_accel.decoding.controller import FixedLength, LengthPolicy
from spear_accel.decoding.draft.autoregressive import Autoregressive
from spear_accel.decoding.draft.base import Drafter, Round
from spear_accel.decoding.growing import InOrder, finished
from spear_accel.decoding.guards import Guards
from spear_accel.decoding.noise import NoiseBank, row_words
from spear_accel.decoding.options import DecodeOptions
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.decoding.requests import Request, Utterance, make_utterance, make_utterances
from spear_accel.decoding.scheduler import Live, Scheduler, longest_first
from spear_accel.decoding.stats import DecodeResult, Finished, Growth, Judged, RoundCounts
from spear_accel.decoding.target import make_target
from spear_accel.decoding.verify.base import Verifier
from spear_accel.decoding.verify.rules import make_verifier
from spear_accel.model import TextToSemantic


class Engine:
    """Decodes lists of utterances with one model, one drafter and one verification rule."""

    def __init__(
        self,
        model: TextToSemantic,
        options: DecodeOptions | None = None,
        guards: Guards | None = None,
        drafter: Drafter | None = None,
        verifier: Verifier | None = None,
        policy: LengthPolicy | None = None,
    ) -> None:
        """What is left out: default options and guards, no draft, the rule of the options, the longest drafts."""
        self.model = model.eval()
        self.options = options or DecodeOptions()
        self.guards = guards or Guards()
        self.drafter = drafter or Autoregressive()
        self.verifier = verifier or make_verifier(self.options)
        self.policy = policy or FixedLength(self.drafter.longest)

    @torch.inference_mode()
    def decode(
        self,
        texts: Sequence[Sequence[int]],
        units: Sequence[int] | None = None,
        seeds: Sequence[int] | None = None,
        keys: Sequence[int] | None = None,
    ) -> DecodeResult:
        """Semantic tokens of every text; each depends on its own text and seed alone.

        texts: text ids without EOS. units: length of each text in the length guard's unit, the number of ids
        where left out. seeds: one per text, `options.seed` where left out. keys: 64-bit names of the utterances
        for the noise, a hash of the ids where left out (so equal texts with equal seeds get equal tokens).

        Raises:
            UserError: A text is empty, too long for the model or holds an unknown id.
        """
        started = time.perf_counter()
        utterances = make_utterances(self.model.config, texts, self.options, self.guards, units, seeds, keys)
        job = _listed(self, longest_first(utterances))
        rows = sorted((row for stopped in job.run() for row in stopped), key=lambda row: row.utterance.index)
        return DecodeResult(
            tokens=[torch.tensor(row.tokens, dtype=torch.int64) for row in rows],
            stop_reasons=[str(row.reason) for row in rows],
            seeds=[row.seed for row in rows],
            attempts=[row.attempt + 1 for row in rows],
            stats=job.counts.stats(time.perf_counter() - started),
            utterance_stats=[row.stats for row in rows],
            lossless=self.verifier.lossless,
            errors={row.utterance.index: row.error for row in rows if row.error},
        )

    @torch.inference_mode()
    def decode_requests(self, source: Callable[[], Request | None]) -> Iterator[Finished]:
        """Decode requests as they come, any number of them as one batch that is refilled without end.

        source: the next request, or None where none waits at present; asked whenever a row is free. Each is handed
        over as soon as it is finished, in whatever order, with its number in the order of asking; what is asked for
        while one is handed over joins the batch. Ends when no row lives and none waits. Raises as `decode`, when the
        request in question comes.
        """
        numbers = count()

        def utterance() -> Utterance | None:
            request = source()
            if request is None:
                return None
            return make_utterance(self.model.config, request, self.options, self.guards, next(numbers))

        room = self.model.config.max_positions
        for rows in _Job(self, utterance, self.options.batch_size, room, room).run():
            yield from map(finished, rows)

    @torch.inference_mode()
    def decode_growing(
        self,
        texts: Sequence[Sequence[int]],
        units: Sequence[int] | None = None,
        seeds: Sequence[int] | None = None,
        keys: Sequence[int] | None = None,
        chunks: Sequence[int] = (1,),
    ) -> Iterator[Growth]:
        """`decode`, handing over tokens as they come, one utterance after the other in the order given.

        The others are decoded beside it and wait. chunks: least numbers of tokens of an utterance's first, second, ...
        growth, the last one repeated.
        Joined, the tokens are those of `decode`, but for loops. Tokens that repeat a cycle are held back until it
        breaks or the utterance ends, and an utterance of which some were handed over is not tried again: a loop ends
        it a few tokens behind its first cycle, with the stop reason "loop". Raises as `decode`.
        """
        utterances = make_utterances(self.model.config, texts, self.options, self.guards, units, seeds, keys)
        job = _listed(self, utterances)
        order = InOrder(job.scheduler, chunks)
        for stopped in job.run():
            yield from order.ready(stopped)


def _listed(engine: Engine, utterances: Sequence[Utterance]) -> _Job:
    """A job whose utterances are known, with a state that is as large as they need."""
    ahead = max(engine.drafter.longest, engine.policy.most_nodes)
    capacity = max((u.maximum for u in utterances), default=0) + ahead + 1
    text_capacity = max((len(u.text) for u in utterances), default=0)
    waiting = iter(utterances)
    rows = min(engine.options.batch_size, len(utterances))
    return _Job(engine, lambda: next(waiting, None), rows, capacity, text_capacity)


class _Job:
    """One call of an `Engine`: the live rows, their state and their words of noise."""

    def __init__(
        self, engine: Engine, source: Callable[[], Utterance | None], rows: int, capacity: int, text_capacity: int
    ) -> None:
        """source: see `Scheduler`. At most `rows` live rows of `capacity` semantic and `text_capacity` text ids."""
        options = engine.options
        self.model, self.drafter, self.verifier = engine.model, engine.drafter, engine.verifier
        self.policy = engine.policy
        self.sampling, self.config = options.sampling, engine.model.config
        retries = 0 if self.sampling.greedy else options.loop_retries
        self.scheduler = Scheduler(source, rows, engine.guards.loop, retries)
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
