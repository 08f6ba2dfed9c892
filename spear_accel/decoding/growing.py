"""Handing over utterances: when they are finished, or in order while they grow and only what will not be taken back.

Knows rows and their tokens; knows neither models nor how tokens are decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from spear_accel.decoding.scheduler import Live, Scheduler
from spear_accel.decoding.stats import Finished, Growth


def finished(row: Live) -> Finished:
    """A row that has stopped, as it is handed over."""
    tokens = torch.tensor(row.tokens, dtype=torch.int64)
    return Finished(row.utterance.index, tokens, str(row.reason), row.seed, row.attempt + 1, row.stats)


class InOrder:
    """Hands over one utterance after the other, the first while it still grows; the others wait and keep their tokens.

    Tokens that may turn out to be a loop stay back until they do not. A loop is tried again only where nothing was
    handed over; behind tokens that were, it is cut off.
    """

    def __init__(self, scheduler: Scheduler, chunks: Sequence[int]) -> None:
        """chunks: least numbers of tokens of an utterance's first, second, ... growth, the last one repeated."""
        self._scheduler, self._chunks = scheduler, chunks
        self._stopped: dict[int, Live] = {}
        self._turn = self._growths = 0

    def ready(self, stopped: Sequence[Live]) -> Iterator[Growth]:
        """What can be handed over after a round that `stopped` rows for good."""
        self._stopped.update((row.utterance.index, row) for row in stopped)
        while (row := self._stopped.pop(self._turn, None)) is not None:
            self._turn, self._growths = self._turn + 1, 0
            yield _last(row)
        if (live := self._scheduler.find(self._turn)) is not None:
            yield from self._grown(live)

    def _grown(self, row: Live) -> Iterator[Growth]:
        given, certain = row.given, len(row.tokens) - row.watch.doubtful
        if certain - given >= self._chunks[min(self._growths, len(self._chunks) - 1)]:
            self._growths, row.given = self._growths + 1, certain
            yield Growth(row.utterance.index, torch.tensor(row.tokens[given:certain], dtype=torch.int64))


def _last(row: Live) -> Growth:
    """A loop behind nothing is the last of all tries, and said whole as by decoding without growth."""
    if row.reason == "loop" and row.given:
        del row.tokens[len(row.tokens) - row.watch.doubtful :]
    new = torch.tensor(row.tokens[row.given :], dtype=torch.int64)
    return Growth(row.utterance.index, new, finished(row))
