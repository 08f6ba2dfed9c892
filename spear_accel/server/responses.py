"""Answers that are sent while they are made, and that end when the client leaves or its time is over."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from spear_accel.server.errors import ApiError, error_of, log
from spear_accel.server.metrics import Metrics

__all__ = ["LiveResponse"]


class LiveResponse(Response):
    """Chunks of bytes as they come. A fault before the first of them becomes an error with a status of its own; behind
    it the connection breaks off, so that nobody takes half a sound for a whole one."""

    def __init__(self, chunks: AsyncIterator[bytes], media_type: str, deadline: float, metrics: Metrics) -> None:
        """deadline: seconds until the last byte."""
        self.status_code, self.media_type, self.background = 200, media_type, None
        # Proxies must not hold back what should be heard at once.
        self.init_headers({"X-Accel-Buffering": "no", "Cache-Control": "no-store"})
        self._chunks, self._deadline, self._metrics = chunks, deadline, metrics
        self._fault: BaseException | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the answer, an ASGI application."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, receive, tasks.cancel_scope)
            try:
                await self._send(scope, receive, send)
            except Exception as fault:  # A task group would wrap it.
                self._fault = fault
            tasks.cancel_scope.cancel()
        if self._fault is not None:
            raise self._fault

    async def _watch(self, receive: Receive, scope: anyio.CancelScope) -> None:
        """Stops everything when the client leaves."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._metrics.gone.inc()
        scope.cancel()

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False
        try:
            with anyio.fail_after(self._deadline):
                async for chunk in self._chunks:
                    if not started:
                        started = True
                        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                        await send(head)
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except Exception as fault:
            error = _late(self._deadline) if isinstance(fault, TimeoutError) else error_of(fault)
            log.info("%s: %d %s", scope["path"], error.status_code, error.message)
            if started:
                raise
            await error.response()(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._chunks.aclose()  # type: ignore[attr-defined]


def _late(deadline: float) -> ApiError:
    return ApiError(503, f"the request took longer than {deadline:g} s", code="deadline", headers={"Retry-After": "10"})
