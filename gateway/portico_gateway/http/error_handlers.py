"""Whatever goes wrong in the application, in the error shape of the API that was called. No stack trace leaves."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from portico_gateway.http.apis import error_body
from portico_gateway.http.errors import ApiError
from portico_gateway.http.json_text import StrictJsonResponse

log = logging.getLogger(__name__)


def add_error_handlers(app: FastAPI) -> None:
    """Every error of `app` comes out in its API's shape."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _query)
    app.add_exception_handler(Exception, _unexpected)


async def _api_error(request: Request, error: Exception) -> StrictJsonResponse:
    assert isinstance(error, ApiError)
    return StrictJsonResponse(error_body(error, request.url.path), error.status, headers=error.headers)


async def _http(request: Request, error: Exception) -> StrictJsonResponse:
    assert isinstance(error, HTTPException)
    path = f"{request.method} {request.url.path}"
    message = {404: f"there is no {path}", 405: f"{path}: this method is not allowed here"}.get(
        error.status_code, str(error.detail)
    )
    return await _api_error(request, ApiError(error.status_code, message, headers=dict(error.headers or {})))


async def _query(request: Request, error: Exception) -> StrictJsonResponse:
    """What is wrong with a parameter of the path or the query; bodies are read by `bodies/`."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = str(first["loc"][-1])
    return await _api_error(request, ApiError(400, f"{name}: {first['msg'].removeprefix('Input ')}", param=name))


async def _unexpected(request: Request, error: Exception) -> StrictJsonResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return await _api_error(request, ApiError(500, "internal error; the server's log has more", kind="server_error"))
