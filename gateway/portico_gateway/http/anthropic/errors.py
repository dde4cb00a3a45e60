"""The shape of Anthropic's errors."""

from __future__ import annotations

from portico_engine import ContextOverflow
from portico_gateway.http.errors import ApiError
from portico_gateway.http.wire import Json

_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
}


def anthropic_error_body(error: ApiError) -> Json:
    kind = _KINDS.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": _message(error)}}


def _message(error: ApiError) -> str:
    """In this API's own words where clients read them: Claude Code shortens a conversation when it is told so, and no other
    way. The shape has no place for a code."""
    overflow = error.__cause__
    if isinstance(overflow, ContextOverflow):
        return f"prompt is too long: {overflow.prompt_tokens} tokens > {overflow.context_tokens} maximum"
    return str(error)
