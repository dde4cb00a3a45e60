"""An error that knows its HTTP status, and what the engine's errors are as one. Each API writes it in its own shape.

The one place where errors of this program become HTTP statuses. It knows no API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from portico_engine.errors import (
    ChatTemplateError,
    ContextOverflow,
    EngineDied,
    EngineError,
    GrammarError,
    ModelError,
    RequestError,
    UnknownAdapter,
)
from portico_gateway.errors import GatewayError
from portico_gateway.model.remote.errors import ModelServerFault

_LONGEST = 1000  # characters of a message: errors quote what was sent, which may be megabytes


class ApiError(GatewayError):
    """`kind` says whose fault it is, `param` the field of the body that it is about, `code` what programs look for."""

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
        super().__init__(message if len(message) <= _LONGEST else f"{message[: _LONGEST - 200]} ... {message[-190:]}")
        self.status = status
        self.kind = kind
        self.param = param
        self.code = code
        self.headers = headers or {}


def to_api_error(error: EngineError, *, messages: str, grammar: str | None, names: Mapping[str, str]) -> ApiError:
    """An engine's error as the client sees it. `messages` and `grammar` are the API's fields that the prompt and the grammar
    came from, `names` its words for fields of the engine's request."""
    message = str(error)
    if isinstance(error, ContextOverflow):
        return ApiError(400, message, param=messages, code="context_length_exceeded")
    if isinstance(error, GrammarError):
        return ApiError(400, message, param=grammar, code="invalid_grammar")
    if isinstance(error, ChatTemplateError):
        return ApiError(400, message, param=messages, code="chat_template_error")
    if isinstance(error, UnknownAdapter):
        return ApiError(404, message, param="adapter", code="model_not_found")
    if isinstance(error, RequestError):
        return ApiError(400, _renamed(message, names), param=grammar)
    if isinstance(error, ModelServerFault):
        headers = {"Retry-After": str(error.again)} if error.again is not None else {}
        return ApiError(error.status, message, kind="server_error", code=error.code, headers=headers)
    if isinstance(error, EngineDied):
        again = f"{message}; it is started again, so try again soon"
        return ApiError(503, again, kind="server_error", code="engine_died", headers={"Retry-After": "5"})
    code = "model_unavailable" if isinstance(error, ModelError) else None
    return ApiError(500, message, kind="server_error", code=code)


def _renamed(message: str, names: Mapping[str, str]) -> str:
    """The engine names the fields of its own request."""
    for name, said in names.items():
        message = re.sub(rf"\b{name}\b", said, message)
    return message
