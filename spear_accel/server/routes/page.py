"""The page at `/`: a few files as they lie beside this package. Nothing on it comes from another host."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

from spear_accel.server.errors import ApiError

__all__ = ["router"]

_HOME = Path(__file__).resolve().parents[1] / "page"
_KINDS = {"index.html": "text/html", "page.css": "text/css", "page.js": "text/javascript", "mel.js": "text/javascript"}
_HEADERS = {
    # The browser holds the page to it: no script, style or request of another host, and no frame around it.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; media-src blob:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def router() -> APIRouter:
    """The routes."""
    routes = APIRouter()

    @routes.get("/", include_in_schema=False)
    async def page() -> Response:
        """The page."""
        return _file("index.html")

    @routes.get("/page/{name}", include_in_schema=False)
    async def part(name: str) -> Response:
        """A file of the page."""
        if name not in _KINDS:
            raise ApiError(404, "there is no such file")
        return _file(name)

    return routes


def _file(name: str) -> Response:
    return Response((_HOME / name).read_bytes(), media_type=_KINDS[name], headers=_HEADERS)
