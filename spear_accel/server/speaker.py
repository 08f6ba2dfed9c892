"""One voice for many clients: texts in, pieces of speech out, all clients in one batch.

The engine's own thread decodes; one more thread sounds, for all clients in turn. The event loop's thread only hands
things on. Knows no HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import torch

from spear_accel.decoding import DecodeOptions, Engine, RequestOutput
from spear_accel.errors import UserError
from spear_accel.text.plan import PlannedUtterance
from spear_accel.text.respelling import Respellings
from spear_accel.voice.pieces import Times
from spear_accel.voice.pushed import PushedUtterance
from spear_accel.voice.speech import Speech
from spear_accel.voice.streaming import CHUNKS
from spear_accel.voice.voice import Voice

__all__ = ["Manner", "Speaker"]

T = TypeVar("T")

_MOST_AHEAD = 4
"""Utterances of one client that are decoded before the one that sounds has ended."""
_WARM_UP = "Good morning. This is a sentence to begin with, and it is as long as many."


@dataclass(frozen=True)
class Manner:
    """How one client's text is spoken."""

    seed: int | None = None
    temperature: float | None = None
    method: str | None = None
    speed: float = 1.0


class Speaker:
    """A loaded voice. Everything but the constructor belongs to the thread of one event loop."""

    def __init__(self, voice: Voice, batch_size: int, coverage: bool = True) -> None:
        """coverage: whether skipped and repeated words are looked for.

        Raises UserError where the voice makes no sound.
        """
        self.voice, self.sample_rate = voice, voice.sample_rate
        assert voice.acoustic is not None, "a voice with a sample rate has an acoustic stage"
        self._stage, self._doubts = voice.acoustic, voice.doubts() if coverage else None
        self._defaults = replace(voice.defaults, batch_size=batch_size)
        self._threads = torch.get_num_threads()
        self._sounding = self._thread("sound")
        self._reading = self._thread("text")
        self.clients = 0
        self._engines: dict[str, Engine] = {}

    @property
    def live(self) -> int:
        """Utterances that are decoded or wait for it."""
        return sum(engine.unfinished for engine in self._engines.values())

    @property
    def broken(self) -> bool:
        """Whether no engine decodes any more; the next request makes a new one."""
        return bool(self._engines) and all(engine.closed for engine in self._engines.values())

    async def warm_up(self) -> None:
        """Speak once, so that no client waits for what the first utterance costs."""
        async for _ in self.speak(self.read(_WARM_UP), Manner(seed=0)):
            pass

    def close(self) -> None:
        """Abort whatever is spoken, and end the threads."""
        for engine in self._engines.values():
            engine.close()
        for thread in (self._sounding, self._reading):
            thread.shutdown(wait=False, cancel_futures=True)

    def check(self, manner: Manner) -> DecodeOptions:
        """The options of a request. Raises UserError: the voice cannot decode so."""
        given = {"seed": manner.seed, "temperature": manner.temperature, "method": manner.method}
        options = replace(self._defaults, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
        self.voice.drafting.resolve(options, options.batch_size)
        return options

    async def read(self, text: str, respellings: Respellings | None = None) -> AsyncIterator[PlannedUtterance]:
        """The utterances of a whole text. Raises UserError: nothing in it can be read aloud."""
        voice = self.voice if respellings is None else self.voice.with_respellings(respellings)
        for one in await self.reading(voice.plan, text):
            yield one

    async def reading(self, call: Callable[..., T], *arguments: Any) -> T:
        """Run a call in the thread that reads texts."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, partial(call, *arguments))

    async def speak(
        self, planned: AsyncIterator[PlannedUtterance], manner: Manner, times: Times | None = None
    ) -> AsyncIterator[Speech]:
        """Pieces of speech as soon as they are ready. Closing the iterator aborts what is unfinished.

        Joined, tokens and sound are those of `Voice.stream` with the same text, options, seed and speed, whoever
        speaks beside. Raises UserError as `read` and `check`.
        """
        client = _Client(self, planned, self.check(manner))
        self.clients += 1
        try:
            samples = 0
            async for one, outputs in client.utterances():
                pushed = PushedUtterance(one, self._stage, manner.speed, samples, times, self._doubts)
                async for output in outputs:
                    piece = await self._sound(pushed, output)
                    if piece is not None:
                        yield piece
                samples = pushed.samples
        finally:
            self.clients -= 1
            client.close()

    async def _sound(self, pushed: PushedUtterance, output: RequestOutput) -> Speech | None:
        result = output.result
        if result is not None and result.stop_reason in ("error", "aborted"):
            raise RuntimeError(f"decoding ended early ({result.error or result.stop_reason})")
        return await asyncio.get_running_loop().run_in_executor(self._sounding, pushed.push, output)

    def engine(self, options: DecodeOptions) -> Engine:
        """The running engine for such options. One serves all requests that are decoded by one method."""
        method = self.voice.drafting.resolve(options, options.batch_size)
        engine = self._engines.get(method)
        if engine is None or engine.closed:
            # Greedy requests share it: every request brings its own sampling.
            shared = replace(self._defaults, method=method, temperature=self._defaults.temperature or 1.0)
            engine = self._engines[method] = self.voice.engine(shared)
            engine.start()
        return engine

    def ahead(self) -> int:
        """How many utterances a client may have decoded ahead: the more clients, the fewer."""
        return max(1, min(_MOST_AHEAD, self._defaults.batch_size // max(1, self.clients)))

    def _thread(self, name: str) -> ThreadPoolExecutor:
        # What a thread computes with is a setting of its own.
        return ThreadPoolExecutor(1, f"spear-accel-{name}", torch.set_num_threads, (self._threads,))


class _Client:
    """One client's utterances in the engine."""

    def __init__(self, speaker: Speaker, planned: AsyncIterator[PlannedUtterance], options: DecodeOptions) -> None:
        self._speaker, self._planned, self._options = speaker, planned, options
        self._engine = speaker.engine(options)
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[_Utterance | Exception | None] = asyncio.Queue()
        self._room = asyncio.Condition()
        self._ahead = 0
        """Utterances that were sent to the engine and do not sound yet."""
        self._open: set[Hashable] = set()
        self._feeding = self._loop.create_task(self._feed())

    async def utterances(self) -> AsyncIterator[tuple[PlannedUtterance, AsyncIterator[RequestOutput]]]:
        """Each utterance in order, and its outputs while they come."""
        while (one := await self._queue.get()) is not None:
            if isinstance(one, Exception):
                raise one
            async with self._room:
                self._ahead -= 1
                self._room.notify()
            if not one.ended:
                with suppress(UserError):
                    # It may have ended meanwhile.
                    self._engine.stream(one.id, CHUNKS)
            yield one.planned, one.outputs()

    def close(self) -> None:
        """Abort what is unfinished."""
        self._feeding.cancel()
        for id in list(self._open):
            with suppress(UserError):
                self._engine.abort(id)

    async def _feed(self) -> None:
        """Sends utterances to the engine as they are read, not too far ahead."""
        try:
            async for planned in self._planned:
                async with self._room:
                    await self._room.wait_for(lambda: self._ahead <= self._speaker.ahead())
                    self._ahead += 1
                self._queue.put_nowait(self._send(planned))
            self._queue.put_nowait(None)
        except Exception as error:
            self._queue.put_nowait(error)

    def _send(self, planned: PlannedUtterance) -> _Utterance:
        one = _Utterance(planned, self._loop, self._open)
        request = self._speaker.voice.generator.request(planned.text, self._options)
        one.id = self._engine.add(request, one.take)
        self._open.add(one.id)
        return one


class _Utterance:
    """One utterance in the engine."""

    def __init__(self, planned: PlannedUtterance, loop: asyncio.AbstractEventLoop, open: set[Hashable]) -> None:
        self.planned, self.ended = planned, False
        self._loop, self._open = loop, open
        self._queue: asyncio.Queue[RequestOutput] = asyncio.Queue()

    id: Hashable

    def take(self, output: RequestOutput) -> None:
        """Called by whichever thread runs the engine, which must not be held up, nor fail for a loop that is over."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._put, output)

    def _put(self, output: RequestOutput) -> None:
        if output.finished:
            self.ended = True
            self._open.discard(self.id)
        self._queue.put_nowait(output)

    async def outputs(self) -> AsyncIterator[RequestOutput]:
        """Up to the end."""
        while True:
            output = await self._queue.get()
            yield output
            if output.finished:
                return
