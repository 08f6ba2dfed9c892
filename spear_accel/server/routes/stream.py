"""`/v1/audio/speech/stream`: a WebSocket that takes text in pieces which end nowhere, and gives sound meanwhile.

For language models that speak while they write. Messages are in docs/server.md.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

import anyio
from fastapi import APIRouter
from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from spear_accel.server.errors import ApiError, error_of, log, unsound
from spear_accel.server.routes.speech import encoded
from spear_accel.server.schema import StreamStart
from spear_accel.server.service import SpeechService

__all__ = ["router"]

_MOST_WAITING = 64
"""Pieces of text that wait to be read; a client that sends more waits."""
_GOING_AWAY, _REFUSED, _FAILED = 1000, 1008, 1011
"""Reasons for a close, as the standard numbers them."""


def router(service: SpeechService) -> APIRouter:
    """The route."""
    routes = APIRouter()

    @routes.websocket("/v1/audio/speech/stream")
    async def stream(socket: WebSocket) -> None:
        """One conversation."""
        await socket.accept()
        conversation = _Conversation(service, socket)
        try:
            await conversation.run()
        except WebSocketDisconnect:
            service.metrics.gone.inc()

    return routes


class _Conversation:
    """One client: what it has sent and what it is sent."""

    def __init__(self, service: SpeechService, socket: WebSocket) -> None:
        self._service, self._socket = service, socket
        self._pieces: asyncio.Queue[str | ApiError | None] = asyncio.Queue(_MOST_WAITING)
        self._ended = False
        self._gone = False

    async def run(self) -> None:
        """To the end, or until the client leaves."""
        async with anyio.create_task_group() as tasks:
            try:
                start = await self._start()
                tasks.start_soon(self._listen, tasks.cancel_scope)
                await self._speak(start)
                await self._close(_GOING_AWAY)
            except WebSocketDisconnect:
                self._gone = True
            except Exception as fault:
                error = error_of(fault)
                log.info("stream: %d %s", error.status_code, error.message)
                with suppress(RuntimeError, OSError, WebSocketDisconnect):
                    await self._send({"type": "error", **error.body})
                    await self._close(_FAILED if error.status_code >= 500 else _REFUSED)
            tasks.cancel_scope.cancel()
        if self._gone:
            raise WebSocketDisconnect

    async def _speak(self, start: StreamStart) -> None:
        speaker, tokens = self._service.speaker(start), 0
        pieces = self._service.speak_feed(self._text(), start, start.return_timestamps)
        async with aclosing(encoded(pieces, speaker.sample_rate, start.response_format)) as sounds:  # type: ignore[type-var]
            async for piece, data in sounds:
                if data:
                    with anyio.fail_after(self._service.options.deadline):
                        await self._socket.send_bytes(data)
                if piece is not None:
                    tokens += len(piece.tokens)
                    if piece.words:
                        words = [word.to_dict() for word in piece.words]
                        await self._send({"type": "speech.audio.words", "words": words})
        await self._send({"type": "speech.audio.done", "usage": {"output_tokens": tokens}})

    async def _start(self) -> StreamStart:
        """The first message says how to speak."""
        fields = await self._message()
        if fields.pop("type", "start") != "start":
            raise ApiError(
                400, 'the first message must be {"type": "start"}, with the fields of a request', param="type"
            )
        try:
            return StreamStart.model_validate(fields)
        except ValidationError as error:
            raise unsound(error.errors()) from error

    async def _listen(self, scope: anyio.CancelScope) -> None:
        """Takes messages until the client leaves."""
        try:
            while True:
                await self._take(await self._message())
        except ApiError as error:
            await self._pieces.put(error)
        except (WebSocketDisconnect, RuntimeError):
            self._gone = True
            scope.cancel()

    async def _take(self, message: dict[str, Any]) -> None:
        kind, text = message.get("type"), message.get("text")
        if self._ended:
            raise ApiError(400, 'nothing is taken behind {"type": "end"}', param="type")
        if kind == "text" and isinstance(text, str):
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise ApiError(400, "text: holds half a surrogate pair; send whole characters", param="text")
            await self._pieces.put(text)
        elif kind == "flush":
            await self._pieces.put(None)
        elif kind == "end":
            self._ended = True
            await self._pieces.put(None)
        else:
            raise ApiError(
                400, 'send {"type": "text", "text": "..."}, {"type": "flush"} or {"type": "end"}', param="type"
            )

    async def _message(self) -> dict[str, Any]:
        """A message that is a JSON object."""
        try:
            with anyio.fail_after(None if self._ended else self._service.options.deadline):
                message = await self._socket.receive()
        except TimeoutError:
            raise ApiError(408, "no message came in time", code="timeout") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", _GOING_AWAY))
        try:
            fields = json.loads(message.get("text") or "")
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            raise ApiError(400, "a message must be a JSON object in a text frame")
        return fields

    async def _text(self) -> AsyncIterator[str | None]:
        """Pieces of text; None ends a sentence."""
        while not (self._ended and self._pieces.empty()):
            piece = await self._pieces.get()
            if isinstance(piece, ApiError):
                raise piece
            yield piece

    async def _send(self, message: dict[str, Any]) -> None:
        with anyio.fail_after(self._service.options.deadline):
            await self._socket.send_text(json.dumps(message, ensure_ascii=False))

    async def _close(self, code: int) -> None:
        await self._socket.close(code)
