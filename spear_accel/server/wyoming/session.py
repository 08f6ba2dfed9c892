"""One connection: events are read while speech is sent, so that a client that leaves is noticed at once.

    describe                                                       -> info
    synthesize                                                     -> audio-start, audio-chunk ..., audio-stop
    synthesize-start, synthesize-chunk ..., synthesize-stop        -> the same, synthesize-stopped

Chunks end anywhere; sound begins with the first sentence that is whole. For servers of old Home Assistant sends the
whole text once more as `synthesize` before `synthesize-stop`; it is passed over. What is wrong with a request is
answered by `error`, and the connection stays; what is no event at all ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

import anyio
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable, async_write_event
from wyoming.ping import Pong
from wyoming.tts import SynthesizeStopped

from spear_accel.audio.writer import pcm16
from spear_accel.server.errors import ApiError, error_of, log
from spear_accel.server.service import SpeechService
from spear_accel.server.wyoming.events import Chunk, Start, Whole, delivery, described, parsed, read_event
from spear_accel.voice.speech import Speech

__all__ = ["Session"]

_MOST_WAITING = 64
"""Chunks of text that wait to be read; a client that sends more waits."""
_WIDTH, _CHANNELS = 2, 1


class Session:
    """A client, from its first event to its last."""

    def __init__(self, service: SpeechService, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._service, self._reader, self._writer = service, reader, writer
        self._chunks: asyncio.Queue[str | None] | None = None
        """Where the text of an open `synthesize-start` goes."""
        self._speaking: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until the client sends no more; what is still spoken then goes on: see `finish` and `stop`."""
        try:
            while (event := await self._next()) is not None:
                try:
                    await self._take(event)
                except ApiError as error:
                    await self._say(error)
        except ApiError as error:
            await self._say(error)
        except OSError:
            self.stop()
        if self._chunks is not None:
            await self._chunks.put(None)

    async def finish(self) -> None:
        """Wait for the end of what is spoken."""
        if self._speaking is not None:
            await asyncio.wait([self._speaking])

    def stop(self) -> None:
        """Speak no more."""
        if self._speaking is not None and not self._speaking.done():
            self._service.metrics.gone.inc()
            self._speaking.cancel()

    async def _next(self) -> Event | None:
        """The next event; a client that neither sends nor listens is not waited for."""
        while True:
            try:
                with anyio.fail_after(self._service.options.deadline):
                    return await read_event(self._reader, self._service.options.largest_body)
            except TimeoutError:
                if self._speaking is None or self._speaking.done():
                    raise ApiError(408, "no event came in time", code="timeout") from None

    async def _take(self, event: Event) -> None:
        match event.type:
            case "describe":
                await self._send(described(self._service.speakers))
            case "ping":
                text = event.data.get("text")
                await self._send(Pong(text if isinstance(text, str) else None))
            case "synthesize" if self._chunks is None:
                asked: Whole = parsed(Whole, event)
                given = delivery(asked.voice, self._service.speakers)
                rate = self._service.speaker(given).sample_rate
                await self._begin(self._service.speak(asked.text, given), rate, streamed=False)
            case "synthesize-start":
                await self._open(parsed(Start, event))
            case "synthesize-chunk":
                await self._open_chunks().put(parsed(Chunk, event).text)
            case "synthesize-stop":
                await self._open_chunks().put(None)
                self._chunks = None
            case _:
                # A whole text beside its chunks, and whatever the protocol has elsewhere.
                log.debug("wyoming: %s is passed over", event.type)

    async def _open(self, start: Start) -> None:
        if self._chunks is not None:
            raise ApiError(400, "synthesize-start: end the one before with synthesize-stop first")
        given = delivery(start.voice, self._service.speakers)
        rate = self._service.speaker(given).sample_rate
        chunks: asyncio.Queue[str | None] = asyncio.Queue(_MOST_WAITING)
        self._chunks = chunks
        await self._begin(self._service.speak_feed(_until_none(chunks), given), rate, streamed=True)

    def _open_chunks(self) -> asyncio.Queue[str | None]:
        if self._chunks is None:
            raise ApiError(400, "send synthesize-start first")
        return self._chunks

    async def _begin(self, pieces: AsyncIterator[Speech], rate: int, *, streamed: bool) -> None:
        """Speak one text; those of one client follow each other."""
        await self.finish()
        self._speaking = asyncio.create_task(self._speak(pieces, rate, streamed))

    async def _speak(self, pieces: AsyncIterator[Speech], rate: int, streamed: bool) -> None:
        started = False
        try:
            async with aclosing(pieces):  # type: ignore[type-var]
                async for piece in pieces:
                    if len(piece.waveform):
                        if not started:
                            started = True
                            await self._send(AudioStart(rate, _WIDTH, _CHANNELS))
                        await self._send(AudioChunk(rate, _WIDTH, _CHANNELS, pcm16(piece.waveform.numpy())))
        except OSError:
            self._service.metrics.gone.inc()
            return
        except Exception as fault:
            await self._say(error_of(fault))
            await self._drop_chunks()
        if started:
            await self._send(AudioStop())
        if streamed:
            await self._send(SynthesizeStopped())

    async def _drop_chunks(self) -> None:
        """A text that failed is read to its end, so that its client is not held up."""
        if (chunks := self._chunks) is not None:
            async for _ in _until_none(chunks):
                pass

    async def _say(self, error: ApiError) -> None:
        log.info("wyoming: %d %s", error.status_code, error.message)
        with suppress(OSError):
            await self._send(Error(error.message, error.code or "invalid_request"))

    async def _send(self, event: Eventable | Event) -> None:
        """Raises OSError: the client has left, or takes nothing for as long as a request may last."""
        whole = event if isinstance(event, Event) else event.event()
        with anyio.fail_after(self._service.options.deadline):  # TimeoutError is an OSError
            await async_write_event(whole, self._writer)


async def _until_none(chunks: asyncio.Queue[str | None]) -> AsyncIterator[str | None]:
    while (chunk := await chunks.get()) is not None:
        yield chunk
