"""Sound with the times of its words beside it, in JSON: as a line for each piece while it is made, or whole."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

from anyio import to_thread
from fastapi import APIRouter
from starlette.responses import Response

from spear_accel.server.encoding import whole_sound
from spear_accel.server.responses import LiveResponse
from spear_accel.server.routes.speech import check_text, encoded, whole
from spear_accel.server.schema import SpeechRequest
from spear_accel.server.service import SpeechService
from spear_accel.timing.words import WordTime

__all__ = ["caption", "router"]


def router(service: SpeechService) -> APIRouter:
    """The route, also under the name that Kokoro-FastAPI's clients know."""
    routes = APIRouter()

    @routes.post("/v1/audio/speech/captioned", response_class=Response)
    @routes.post("/dev/captioned_speech", response_class=Response, include_in_schema=False)
    async def captioned(request: SpeechRequest) -> Response:
        """Sound and words of a text."""
        check_text(request.input)
        sample_rate = service.speaker(request).sample_rate
        pieces = service.speak(request.input, request, words=True)

        async def lines() -> AsyncIterator[bytes]:
            async for piece, data in encoded(pieces, sample_rate, request.response_format):
                words = () if piece is None else piece.words
                if data or words:
                    yield _line(data, request.response_format, words)

        async def one() -> AsyncIterator[bytes]:
            found, samples, rate = await whole(pieces)
            data = await to_thread.run_sync(whole_sound, samples, rate, request.response_format)
            yield _line(data, request.response_format, [word for piece in found for word in piece.words])

        media_type = "application/x-ndjson" if request.stream else "application/json"
        chunks = lines() if request.stream else one()
        return LiveResponse(chunks, media_type, service.options.deadline, service.metrics)

    return routes


def caption(word: WordTime) -> dict[str, Any]:
    """A word as clients of captioned speech read it."""
    return {"word": word.word, "start_time": round(word.start, 3), "end_time": round(word.end, 3)}


def _line(data: bytes, format: str, words: tuple[WordTime, ...] | list[WordTime]) -> bytes:
    body = {
        "audio": base64.b64encode(data).decode(),
        "audio_format": format,
        "timestamps": [caption(word) for word in words],
    }
    return (json.dumps(body, ensure_ascii=False) + "\n").encode()
