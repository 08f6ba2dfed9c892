"""Engine: utterances in, tokens out, all at once, as they come or while they grow.

Knows ids, not text: normalisation, tokenizers and sound are elsewhere; nor how tokens are decoded (`loop.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count

import torch

from spear_accel.decoding.control.adaptive import FixedLength, LengthPolicy
from spear_accel.decoding.draft.autoregressive import Autoregressive
from spear_accel.decoding.draft.base import Drafter
from spear_accel.decoding.growing import InOrder, finished
from spear_accel.decoding.guards import Guards
from spear_accel.decoding.loop import Loop, Means
from spear_accel.decoding.options import DecodeOptions
from spear_accel.decoding.requests import Request, Utterance, make_utterance, make_utterances
from spear_accel.decoding.scheduler import longest_first
from spear_accel.decoding.stats import DecodeResult, Finished, Growth
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
        loop = self._listed(longest_first(utterances))
        rows = sorted((row for stopped in loop.run() for row in stopped), key=lambda row: row.utterance.index)
        return DecodeResult(
            tokens=[torch.tensor(row.tokens, dtype=torch.int64) for row in rows],
            stop_reasons=[str(row.reason) for row in rows],
            seeds=[row.seed for row in rows],
            attempts=[row.attempt + 1 for row in rows],
            stats=loop.counts.stats(time.perf_counter() - started),
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
        for rows in Loop(self._means, utterance, self.options.batch_size, room, room).run():
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
        loop = self._listed(utterances)
        order = InOrder(loop.scheduler, chunks)
        for stopped in loop.run():
            yield from order.ready(stopped)

    def _listed(self, utterances: Sequence[Utterance]) -> Loop:
        """A loop over known utterances, with a state that is as large as they need."""
        ahead = max(self.drafter.longest, self.policy.most_nodes)
        capacity = max((u.maximum for u in utterances), default=0) + ahead + 1
        text_capacity = max((len(u.text) for u in utterances), default=0)
        waiting = iter(utterances)
        rows = min(self.options.batch_size, len(utterances))
        return Loop(self._means, lambda: next(waiting, None), rows, capacity, text_capacity)

    @property
    def _means(self) -> Means:
        return Means(self.model, self.options, self.guards, self.drafter, self.verifier, self.policy)
