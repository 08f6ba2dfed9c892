"""`POST /v1/audio/speech/batch`: many texts in one request, decoded side by side; one that fails fails alone."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

from anyio import to_thread
from fastapi import APIRouter
from pydantic import ValidationError
from starlette.responses import Response

from spear_accel.server.encoding import MEDIA_TYPES, whole_sound
from spear_accel.server.errors import ApiError, error_of, unsound
from spear_accel.server.responses import LiveResponse
from spear_accel.server.routes.speech import check_text, whole
from spear_accel.server.schema import BatchItem, BatchRequest
from spear_accel.server.service import SpeechService

__all__ = ["router"]


def router(service: SpeechService) -> APIRouter:
    """The route."""
    routes = APIRouter()

    @routes.post("/v1/audio/speech/batch", response_class=Response)
    async def batch(request: BatchRequest) -> Response:
        """The sound of each text, in base64, in their order; each is sent as soon as those before it are."""
        shared = request.model_dump(exclude={"items", "response_format"}, exclude_unset=True)
        asked = [_item({**shared, **item}) for item in request.items]
        chunks = _results(service, asked, request.response_format)
        return LiveResponse(chunks, "application/json", service.options.deadline, service.metrics)

    return routes


def _item(fields: dict[str, Any]) -> BatchItem | ApiError:
    try:
        return BatchItem.model_validate(fields)
    except ValidationError as error:
        return unsound(error.errors())


async def _results(service: SpeechService, asked: list[BatchItem | ApiError], format: str) -> AsyncIterator[bytes]:
    """One JSON object, piece by piece: `results`, `succeeded`, `failed`."""
    lengths = [len(one.input) for one in asked if isinstance(one, BatchItem)]
    with service.admission.admitted(*lengths):
        # More than fill the batch would only wait; and what is made early waits for those before it.
        places = asyncio.Semaphore(service.options.batch_size)
        tasks = [asyncio.create_task(_result(service, one, format, places)) for one in asked]
        try:
            succeeded = 0
            for index, task in enumerate(tasks):
                result = await task
                succeeded += result["status"] == "ok"
                yield (b'{"results": [' if not index else b",\n") + json.dumps({"index": index, **result}).encode()
            yield f'],\n"succeeded": {succeeded}, "failed": {len(tasks) - succeeded}}}\n'.encode()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _result(
    service: SpeechService, one: BatchItem | ApiError, format: str, places: asyncio.Semaphore
) -> dict[str, Any]:
    try:
        if isinstance(one, ApiError):
            raise one
        check_text(one.input)
        async with places:
            found, samples, rate = await whole(service.speak_admitted(one.input, one, one.return_timestamps))
        data = await to_thread.run_sync(whole_sound, samples, rate, format)
    except Exception as fault:
        return {"status": "error", **error_of(fault).body}
    words = [word.to_dict() for piece in found for word in piece.words]
    return {
        "status": "ok",
        "audio": base64.b64encode(data).decode(),
        "media_type": MEDIA_TYPES[format],
        "duration": round(len(samples) / rate, 4),
        **({"words": words} if one.return_timestamps else {}),
    }
