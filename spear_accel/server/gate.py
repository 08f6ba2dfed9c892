"""What stands in front of every request: its key, and bounds on its body. A pure ASGI middleware."""

from __future__ import annotations

import secrets
import time

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spear_accel.server.errors import ApiError, log
from spear_accel.server.metrics import Metrics
from spear_accel.server.options import ServerOptions

__all__ = ["Gate"]

_OPEN = ("/", "/page/page.css", "/page/page.js", "/page/mel.js", "/health")
"""Paths that ask for no key: the page asks its user, and who watches over a server has none."""
_BODY_SECONDS = 30.0
"""A body that takes longer to arrive is not waited for."""


class Gate:
    """Lets requests in whose key is right and whose body is small, and counts all of them."""

    def __init__(self, app: ASGIApp, options: ServerOptions, metrics: Metrics) -> None:
        self._app, self._options, self._metrics = app, options, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except ApiError as error:
            log.info("%s: %d %s", scope["path"], error.status_code, error.message)
            await self._refuse(error, scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._app(scope, self._bounded(receive), self._counted(scope, send))

    def _check(self, scope: Scope) -> None:
        headers, key = Headers(scope=scope), self._options.api_key
        if key is not None and scope["path"] not in _OPEN and scope.get("method") != "OPTIONS":
            given = headers.get("authorization", "").removeprefix("Bearer ").strip()
            if not secrets.compare_digest(given.encode(), key.encode()):
                raise ApiError(
                    401, "the API key is wrong or missing; send it as: Authorization: Bearer KEY",
                    code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"},
                )  # fmt: skip
        origin = headers.get("origin")
        # Browsers send messages to any host over a WebSocket; what CORS does for requests is done here.
        if scope["type"] == "websocket" and origin is not None and not self._knows(origin, headers.get("host", "")):
            raise ApiError(403, f"pages of {origin} may not use this server; start it with --origin {origin}")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._options.largest_body:
            raise self._too_large()

    def _knows(self, origin: str, host: str) -> bool:
        return origin in self._options.origins or origin.partition("://")[2] == host

    def _too_large(self) -> ApiError:
        most = self._options.largest_body
        return ApiError(413, f"the body has more than {most} bytes; send the text in parts", code="request_too_large")

    def _bounded(self, receive: Receive) -> Receive:
        """`receive` of a body that may neither be too large nor take too long."""
        size, whole, end = 0, False, time.monotonic() + _BODY_SECONDS

        async def bounded() -> Message:
            nonlocal size, whole
            if whole:
                return await receive()
            try:
                with anyio.fail_after(max(0.0, end - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                raise ApiError(408, "the body did not arrive in time", code="timeout") from None
            size, whole = size + len(message.get("body", b"")), not message.get("more_body", False)
            if size > self._options.largest_body:
                raise self._too_large()
            return message

        return bounded

    def _counted(self, scope: Scope, send: Send) -> Send:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Paths that nobody serves are one line: clients choose them, and every line costs memory.
                route = scope.get("route")
                path = getattr(route, "path", None) or "other"
                self._metrics.requests.labels(path, str(message["status"])).inc()
            await send(message)

        return counted

    async def _refuse(self, error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
        self._metrics.requests.labels("refused", str(error.status_code)).inc()
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": error.message[:120]})
        else:
            await error.response()(scope, receive, send)
