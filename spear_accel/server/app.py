"""The application: routes over one service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

import spear_accel
from spear_accel.server.errors import add_handlers
from spear_accel.server.gate import Gate
from spear_accel.server.routes import batch, captioned, catalogue, page, speech, stream
from spear_accel.server.service import SpeechService

__all__ = ["Beside", "create_app"]


Beside = Callable[[], AbstractAsyncContextManager[None]]
"""What else is served with the same voices, from the start of an application to its end."""


def create_app(service: SpeechService, beside: Beside = nullcontext) -> FastAPI:
    """An ASGI application that warms the voices up when it starts, and drains and closes the service when it stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await service.start()
        async with beside():
            yield
        service.close()

    # FastAPI's own pages of documentation load scripts from other hosts.
    app = FastAPI(
        title="spear-accel", version=spear_accel.__version__, docs_url=None, redoc_url=None, lifespan=lifespan
    )
    add_handlers(app)
    for routes in (speech, captioned, batch, stream, catalogue):
        app.include_router(routes.router(service))
    app.include_router(page.router())
    app.add_middleware(Gate, options=service.options, metrics=service.metrics)
    if service.options.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(service.options.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )
    return app
