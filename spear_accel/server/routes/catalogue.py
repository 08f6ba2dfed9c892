"""What there is, and how it goes: models, voices, health, figures."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

import spear_accel
from spear_accel.server.errors import ApiError
from spear_accel.server.service import MODELS, SpeechService

__all__ = ["router"]


def router(service: SpeechService) -> APIRouter:
    """The routes."""
    routes, started = APIRouter(), int(time.time())

    def model(name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": started, "owned_by": "spear-accel"}

    @routes.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The models, of which there is one."""
        return {"object": "list", "data": [model(MODELS[0])]}

    @routes.get("/v1/models/{name}")
    async def one_model(name: str) -> dict[str, Any]:
        """A model by a name that clients know."""
        if name not in MODELS:
            raise ApiError(404, f"model {name!r} is not here; ask for {MODELS[0]!r}", code="model_not_found")
        return model(name)

    @routes.get("/v1/audio/voices")
    async def voices() -> dict[str, Any]:
        """The voices."""
        return {
            "voices": [
                {"id": name, "name": name, "language": speaker.voice.card.language, "sample_rate": speaker.sample_rate}
                for name, speaker in service.speakers.items()
            ]
        }

    @routes.get("/health")
    async def health() -> dict[str, Any]:
        """That requests are taken, and how many are spoken or wait."""
        return {"status": "ok", "version": spear_accel.__version__, "requests": service.admission.requests}

    @routes.get("/metrics")
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(service.metrics.text(), media_type=service.metrics.content_type)

    return routes
