"""The shape of OpenAI's errors."""

from __future__ import annotations

from portico_gateway.http.errors import ApiError
from portico_gateway.http.wire import Json


def openai_error_body(error: ApiError) -> Json:
    return {"error": {"message": str(error), "type": error.kind, "param": error.param, "code": error.code}}
