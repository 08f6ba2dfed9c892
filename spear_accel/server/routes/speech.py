"""`POST /v1/audio/speech`: a text in, sound out, whole or while it is made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import numpy as np
from anyio import to_thread
from fastapi import APIRouter
from starlette.responses import Response

from spear_accel.server.encoding import MEDIA_TYPES, stream_encoder, whole_sound
from spear_accel.server.errors import ApiError
from spear_accel.server.responses import LiveResponse
from spear_accel.server.schema import SpeechRequest
from spear_accel.server.service import SpeechService
from spear_accel.server.sse import events
from spear_accel.voice.speech import Speech

__all__ = ["encoded", "router", "whole"]


def router(service: SpeechService) -> APIRouter:
    """The route."""
    routes = APIRouter()

    @routes.post("/v1/audio/speech", response_class=Response)
    async def speech(request: SpeechRequest) -> Response:
        """Sound of a text."""
        check_text(request.input)
        deadline, metrics = service.options.deadline, service.metrics
        media_type, words = MEDIA_TYPES[request.response_format], request.return_timestamps
        # Before anything waits, so that wrong names are answered at once.
        sample_rate = service.speaker(request).sample_rate
        pieces = service.speak(request.input, request, words)
        if request.stream_format == "sse":
            sounds = encoded(pieces, sample_rate, request.response_format)
            return LiveResponse(events(sounds, len(request.input), words), "text/event-stream", deadline, metrics)
        if request.stream:
            sounds = encoded(pieces, sample_rate, request.response_format)
            return LiveResponse(only_sound(sounds), media_type, deadline, metrics)
        return LiveResponse(in_one(pieces, request.response_format), media_type, deadline, metrics)

    return routes


def check_text(text: str) -> None:
    """Raises ApiError: there is no text."""
    if not text.strip():
        raise ApiError(400, "input: the text is empty", code="invalid_request", param="input")


async def encoded(
    pieces: AsyncIterator[Speech], sample_rate: int, format: str
) -> AsyncIterator[tuple[Speech | None, bytes]]:
    """Each piece with the bytes that can be sent with it; None with those that the encoder gives at the end."""
    encoder = stream_encoder(format, sample_rate)
    async with aclosing(pieces):  # type: ignore[type-var]
        async for piece in pieces:
            yield piece, await to_thread.run_sync(encoder.write, piece.waveform.numpy())
    yield None, await to_thread.run_sync(encoder.close)


async def only_sound(sounds: AsyncIterator[tuple[Speech | None, bytes]]) -> AsyncIterator[bytes]:
    """The bytes."""
    async with aclosing(sounds):  # type: ignore[type-var]
        async for _, data in sounds:
            if data:
                yield data


async def whole(pieces: AsyncIterator[Speech]) -> tuple[list[Speech], np.ndarray, int]:
    """All pieces, their sound float32 [samples] in one, and its sample rate."""
    async with aclosing(pieces):  # type: ignore[type-var]
        found = [piece async for piece in pieces]
    return found, np.concatenate([piece.waveform.numpy() for piece in found]), found[0].sample_rate


async def in_one(pieces: AsyncIterator[Speech], format: str) -> AsyncIterator[bytes]:
    """The whole sound once it is made, with its length in the header."""
    _, samples, sample_rate = await whole(pieces)
    yield await to_thread.run_sync(whole_sound, samples, sample_rate, format)
