"""The engine, as callers use it: whole lists, requests without end, texts in growing pieces.

Each way is a few lines over a `Session`, and shares one batch with whatever other threads decode meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import repeat

from spear_accel.decoding.core import EngineCore
from spear_accel.decoding.outputs import DecodeResult, RequestOutput
from spear_accel.decoding.request import Request, check_request
from spear_accel.decoding.scheduler import longest_first
from spear_accel.decoding.session import Session
from spear_accel.errors import UserError

__all__ = ["Engine"]


class Engine(EngineCore):
    """Decodes with one model, one drafter and one verification rule; see `EngineCore` for requests one by one."""

    def session(self) -> Session:
        """A caller's own requests, and their outputs alone."""
        return Session(self)

    def decode(
        self,
        texts: Sequence[Sequence[int] | Request],
        text_lengths: Sequence[int] | None = None,
        seeds: Sequence[int] | None = None,
        keys: Sequence[int] | None = None,
    ) -> DecodeResult:
        """Semantic tokens of every text; each depends on its own text and seed alone.

        Args:
            texts: Text ids without EOS, or requests, whose ids and streaming do not count.
            text_lengths: Length of each text in the unit of the length bounds; by default the number of ids.
            seeds: One per text; by default `options.seed`.
            keys: 64-bit names of the utterances for the noise; by default a hash of the ids (so equal texts with equal
                seeds get equal tokens).

        Raises:
            UserError: A text is empty, too long for the model or holds an unknown id.
        """
        started = time.perf_counter()
        with self.session() as session:
            for index, request in self._longest_first(_requests(texts, text_lengths, seeds, keys)):
                session.add(request, index)
            ended = {output.index: output.result for output in session.outputs() if output.result is not None}
            rows = [ended[index] for index in range(len(texts))]
            stats = session.counts.stats(time.perf_counter() - started)
            return DecodeResult.of(rows, stats, lossless=self.config.verifier.lossless)

    def decode_requests(self, source: Callable[[], Request | None]) -> Iterator[RequestOutput]:
        """Decode requests as they come, any number of them as one batch that is refilled without end.

        Args:
            source: Returns the next request, or None if none waits at present; asked whenever a row is free. Each
                request is handed over whole as soon as it has ended, in whatever order; `index` is its number in the
                order of asking. What is asked for while one is handed over joins the batch.

        The iterator ends when no row lives and no request waits. Raises as `decode`, when the wrong request comes.
        """
        with self.session() as session:
            while True:
                # Other callers may hold all rows: at least one request waits then.
                while (self.free_rows or not session.unfinished) and (request := source()) is not None:
                    session.add(replace(request, id=None, stream=None))
                if not session.unfinished:
                    return
                yield from session.step()

    def decode_growing(
        self,
        texts: Sequence[Sequence[int] | Request],
        text_lengths: Sequence[int] | None = None,
        seeds: Sequence[int] | None = None,
        keys: Sequence[int] | None = None,
        chunks: Sequence[int] = (1,),
    ) -> Iterator[RequestOutput]:
        """`decode`, handing over tokens as they come, one utterance after the other in the order given.

        The others are decoded beside it and wait. chunks: see `Request.stream`.
        Joined, the tokens are those of `decode`, but for loops. Tokens that repeat a cycle are held back until it
        breaks or the utterance ends, and an utterance of which some were handed over is not decoded again: a loop ends
        it a few tokens behind its first cycle, with the stop reason "loop". Raises as `decode`.
        """
        with self.session() as session:
            ids = [session.add(request) for request in _requests(texts, text_lengths, seeds, keys)]
            ended: dict[int, RequestOutput] = {}
            for index, id in enumerate(ids):
                if index not in ended:
                    session.stream(id, chunks)
                while index not in ended:
                    for output in session.step():
                        if output.finished:
                            ended[output.index] = output
                        else:
                            yield output
                yield ended.pop(index)

    def _longest_first(self, requests: Sequence[Request]) -> list[tuple[int, Request]]:
        """Requests with their places in the list, in the order to decode them. Raises UserError if one is wrong."""
        config = self.config
        checked = [
            check_request(config.model.config, request, config.options, config.stopping, index)
            for index, request in enumerate(requests)
        ]
        return [(row.index, requests[row.index]) for row in longest_first(checked)]


def _requests(
    texts: Sequence[Sequence[int] | Request],
    text_lengths: Sequence[int] | None,
    seeds: Sequence[int] | None,
    keys: Sequence[int] | None,
) -> list[Request]:
    """See `Engine.decode` for the arguments."""
    for name, values in (("text_lengths", text_lengths), ("seeds", seeds), ("keys", keys)):
        if values is not None and len(values) != len(texts):
            raise UserError(f"{len(values)} {name} for {len(texts)} texts; give one for each")
    filled = zip(texts, text_lengths or repeat(None), seeds or repeat(None), keys or repeat(None), strict=False)
    return [_request(*given) for given in filled]


def _request(text: Sequence[int] | Request, text_length: int | None, seed: int | None, key: int | None) -> Request:
    """What is given beside a request goes before what it says itself."""
    given = text if isinstance(text, Request) else Request(text)
    return replace(
        given,
        id=None,
        stream=None,
        text_length=given.text_length if text_length is None else text_length,
        seed=given.seed if seed is None else seed,
        key=given.key if key is None else key,
    )
