"""Requests that the protocol does not allow are refused in words that help. The SDK says "Invalid request parameters" alone,
and takes any cursor.

It knows the protocol's methods, no server's.
"""

from __future__ import annotations

from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS
from pydantic import ValidationError

_IN_ONE_PAGE = frozenset(["tools/list", "prompts/list", "resources/list", "resources/templates/list"])
_SHOWN = 100  # characters of what was sent
_MAX_NAMED = 3  # things that are wrong


async def with_reasons(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware of a server whose lists have one page: invalid parameters and cursors are -32602, with what is wrong."""
    cursor = (ctx.params or {}).get("cursor")
    if ctx.method in _IN_ONE_PAGE and isinstance(cursor, str) and cursor:
        said = (
            f"{ctx.method}: cursor {cursor[:_SHOWN]!r} was not given out: the list has one page, which comes without a cursor"
        )
        raise MCPError(INVALID_PARAMS, said)
    try:
        return await call_next(ctx)
    except ValidationError as error:
        raise MCPError(INVALID_PARAMS, f"{ctx.method}: {_wrong_parts(error)}") from None
    except MCPError as error:
        if error.error.code != INVALID_PARAMS or error.error.data != "":
            raise
        raise MCPError(INVALID_PARAMS, f"{ctx.method}: the session begins with initialize, which has not been sent") from None


def _wrong_parts(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    named = [f"{'/'.join(map(str, each['loc']))[:_SHOWN]}: {each['msg'][:_SHOWN]}" for each in found[:_MAX_NAMED]]
    return "; ".join(named) + (f"; and {len(found) - _MAX_NAMED} more" if len(found) > _MAX_NAMED else "")
