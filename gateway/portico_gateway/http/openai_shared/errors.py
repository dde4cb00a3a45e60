"""The shape of OpenAI's errors."""

from __future__ import annotations

from typing import Any

from portico_gateway.http.errors import ApiError


def openai_error_body(error: ApiError) -> dict[str, Any]:
    return {"error": {"message": str(error), "type": error.kind, "param": error.param, "code": error.code}}
