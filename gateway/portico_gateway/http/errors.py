"""Whatever goes wrong, in the error shape of the API that was called: OpenAI's, or under /v1/messages Anthropic's. No stack
trace leaves.

The one place where errors of this program become HTTP statuses.
"""

from __future__ import annotations

import difflib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from portico_engine.errors import (
    ChatTemplateError,
    ContextOverflow,
    EngineDied,
    EngineError,
    GrammarError,
    ModelError,
    RequestError,
)
from portico_gateway.errors import GatewayError
from portico_gateway.http.anthropic.body import MessagesRequest
from portico_gateway.http.openai_chat.body import ChatRequest
from portico_gateway.http.openai_responses.body import ResponsesRequest

log = logging.getLogger(__name__)


class ApiError(GatewayError):
    """An error that knows its HTTP status and OpenAI's fields."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param
        self.code = code
        self.headers = headers or {}

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}}


_BODIES: dict[str, type[BaseModel]] = {"/v1/messages": MessagesRequest, "/v1/responses": ResponsesRequest}
_ANTHROPIC = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large"}


def anthropic_body(error: ApiError) -> dict[str, Any]:
    """The error in Anthropic's shape."""
    kind = _ANTHROPIC.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": str(error)}}


def error_body(error: ApiError, path: str) -> dict[str, Any]:
    """The error in the shape of the API that `path` belongs to."""
    return anthropic_body(error) if path.startswith("/v1/messages") else error.body


def from_engine(error: EngineError, *, param: str | None = None) -> ApiError:
    """An engine's error as the client sees it. `param` is the field that a grammar came from."""
    message = str(error)
    if isinstance(error, ContextOverflow):
        return ApiError(400, message, param="messages", code="context_length_exceeded")
    if isinstance(error, GrammarError):
        return ApiError(400, message, param=param, code="invalid_grammar")
    if isinstance(error, ChatTemplateError):
        return ApiError(400, message, param="messages", code="chat_template_error")
    if isinstance(error, RequestError):
        return ApiError(400, message, param=param)
    if isinstance(error, EngineDied):
        again = f"{message}; it is started again, so try again soon"
        return ApiError(503, again, kind="server_error", code="engine_died", headers={"Retry-After": "5"})
    code = "model_unavailable" if isinstance(error, ModelError) else None
    return ApiError(500, message, kind="server_error", code=code)


def install(app: FastAPI) -> None:
    """Make every error of `app` come out in this shape."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _api_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return JSONResponse(error_body(error, request.url.path), error.status, headers=error.headers)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    path = f"{request.method} {request.url.path}"
    message = {404: f"there is no {path}", 405: f"{path}: this method is not allowed here"}.get(
        error.status_code, str(error.detail)
    )
    return await _api_error(request, ApiError(error.status_code, message, headers=dict(error.headers or {})))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return await _api_error(request, ApiError(500, "internal error; the server's log has more", kind="server_error"))


async def _validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    path = request.url.path
    body = next((model for start, model in _BODIES.items() if path.startswith(start)), ChatRequest)
    return await _api_error(request, explain(error.errors(), body))


@contextmanager
def explained(body: BaseModel) -> Iterator[None]:
    """What pydantic minds in the block is a problem with `body`, which is being turned into another form."""
    try:
        yield
    except ValidationError as error:
        problems = [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors()]
        raise explain(problems, type(body)) from None


def explain(problems: Sequence[Any], body: type[BaseModel]) -> ApiError:
    """The deepest of pydantic's problems with a `body`, which is the one nearest to the mistake, with its field's path."""
    first = max(problems, key=lambda problem: len(problem["loc"]))
    where = _field(first["loc"][1:])
    param = ".".join(where) or None
    reason = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if first["type"] == "json_invalid":
        detail = (first.get("ctx") or {}).get("error", reason)
        return ApiError(400, f"the body is not valid JSON: {detail} at character {first['loc'][-1]}", code="invalid_json")
    if first["type"] == "missing":
        message = (
            f"{param}: this field is required" if param else "the body is missing; send JSON with content-type application/json"
        )
    elif first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(where[-1], body.model_fields, n=1)
        message = f"{param}: this field is not known here" + (f"; did you mean {close[0]!r}?" if close else "")
    elif first["type"] == "union_tag_invalid":
        context = first["ctx"]
        message = f"{param}: the type {context['tag']!r} is not taken here; it takes {context['expected_tags']}"
    else:
        message = f"{param}: {reason}{_given(first.get('input'))}" if param else reason
    return ApiError(400, message, param=param)


def _field(loc: Sequence[str | int]) -> list[str]:
    """The path of a field, without what pydantic adds for the arms of a union and the tags of one."""
    where: list[str] = []
    tag_follows = False  # and it is also the name of a field
    tagged_list = False
    for part in map(str, loc):
        if tag_follows or part in ("str", "NamedToolChoice") or part.startswith(("list[", "literal[")):
            tag_follows = False
            tagged_list = part.startswith("list[tagged")
            continue
        where.append(part)
        tag_follows = part == "response_format" or tagged_list
        tagged_list = False
    return where


def _given(value: Any) -> str:
    """The offending value, where it is short enough to help."""
    if value is None or isinstance(value, dict | list):
        return ""
    text = json.dumps(value, default=str)
    return f" (is {text})" if len(text) <= 60 else ""
