"""Errors as clients of OpenAI's interface expect them: one body for everything that can go wrong."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from spear_accel.errors import UserError

__all__ = ["ApiError", "add_handlers", "error_of", "log", "unsound"]

log = logging.getLogger("spear_accel.server")

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class ApiError(HTTPException):
    """A request that is answered with an error body."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """message: what is wrong, and the fix; param: the field that is wrong."""
        super().__init__(status, message, dict(headers or {}))
        self.message, self.code, self.param = message, code, param

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        kind = "server_error" if self.status_code >= 500 else _TYPES.get(self.status_code, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse(self.body, self.status_code, self.headers)


def error_of(fault: BaseException) -> ApiError:
    """What a client is told of a fault. What nobody foresaw goes to the log, and no word of it to the client."""
    if isinstance(fault, ApiError):
        return fault
    if isinstance(fault, UserError):
        return ApiError(400, str(fault), code="invalid_request")
    if isinstance(fault, HTTPException):
        return ApiError(fault.status_code, str(fault.detail), headers=fault.headers)
    log.error("a request failed", exc_info=fault)
    return ApiError(500, "the server failed at this request; its log tells more", code="internal_error")


def unsound(errors: Sequence[Any]) -> ApiError:
    """The first fault that pydantic found in a request."""
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        message, place = f"the body is not valid JSON ({first.get('ctx', {}).get('error', message)})", ""
    return ApiError(400, f"{place}: {message}" if place else message, code="invalid_request", param=place or None)


def add_handlers(app: FastAPI) -> None:
    """Answer every error of an application with the one body."""

    async def unsound_request(request: Request, fault: Exception) -> Response:
        assert isinstance(fault, RequestValidationError)
        return answer(request, unsound(fault.errors()))

    async def any_other(request: Request, fault: Exception) -> Response:
        return answer(request, error_of(fault))

    app.add_exception_handler(RequestValidationError, unsound_request)
    app.add_exception_handler(HTTPException, any_other)
    app.add_exception_handler(UserError, any_other)
    app.add_exception_handler(Exception, any_other)


def answer(request: Request, fault: ApiError) -> Response:
    """The error as a response, with a line in the log."""
    log.info("%s %s: %d %s", request.method, request.url.path, fault.status_code, fault.message)
    return fault.response()
