"""One caller's requests on an engine that other threads may use at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from types import TracebackType

from spear_accel.decoding.core import EngineCore
from spear_accel.decoding.outputs import RequestOutput
from spear_accel.decoding.request import Request
from spear_accel.decoding.stats import DecodeCounts
from spear_accel.errors import UserError

__all__ = ["Session"]


class Session:
    """Takes the outputs of its own requests and nobody else's. Leaving it, as a context, aborts what is unfinished."""

    def __init__(self, engine: EngineCore) -> None:
        self.engine = engine
        self.counts = DecodeCounts()
        """Sums over the rounds in which requests of this session took part."""
        self._inbox: deque[RequestOutput] = deque()
        self._open: set[Hashable] = set()
        self._numbers = count()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for id in list(self._open):
            self.abort(id)

    @property
    def unfinished(self) -> int:
        """Requests whose end was not taken yet."""
        return len(self._open)

    def add(self, request: Request, index: int | None = None) -> Hashable:
        """As `EngineCore.add`; index: by default how many requests the session was given before."""
        number = next(self._numbers)
        id = self.engine.add(request, self._take, self.counts, number if index is None else index)
        self._open.add(id)
        return id

    def stream(self, id: Hashable, chunks: Sequence[int] = (1,)) -> None:
        """As `EngineCore.stream`; a request that has ended by itself meanwhile is not an error."""
        with suppress(UserError):
            self.engine.stream(id, chunks)

    def abort(self, id: Hashable) -> None:
        """Drop a request of this session and whatever of it was not taken yet.

        Raises:
            UserError: No such request in this session, or its end was taken already.
        """
        if id not in self._open:
            raise UserError(f"no request {id!r} is unfinished in this session")
        self._open.discard(id)
        # It may have ended by itself meanwhile.
        with suppress(UserError):
            self.engine.abort(id)
        self._inbox = deque(output for output in self._inbox if output.id != id)

    def step(self) -> list[RequestOutput]:
        """What has come for this session since the last call; runs rounds until something has.

        Returns nothing if no request is unfinished.
        """
        if self._open:
            self.engine.step_until(lambda: bool(self._inbox))
        taken = []
        while self._inbox:
            taken.append(self._inbox.popleft())
            if taken[-1].finished:
                self._open.discard(taken[-1].id)
        return taken

    def _take(self, output: RequestOutput) -> None:
        self._inbox.append(output)

    def outputs(self) -> Iterator[RequestOutput]:
        """All outputs, as they come, until every request has ended."""
        while self._open:
            yield from self.step()
