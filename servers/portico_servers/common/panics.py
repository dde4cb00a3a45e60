"""A panic of native code is no Exception (pyo3's derives from BaseException), and would end the server with all its requests:
here it ends its own.

It knows the protocol's methods, no server's.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR

log = logging.getLogger(__name__)
_ORDERS = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)


def is_order(error: BaseException) -> bool:
    """Does it tell whoever gets it to end, as no fault does? For the outermost loops of tasks."""
    return isinstance(error, _ORDERS) or (isinstance(error, BaseExceptionGroup) and error.subgroup(_ORDERS) is not None)


async def panics_end_requests(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware of any server: what is neither an Exception nor an order to end becomes an internal error."""
    try:
        return await call_next(ctx)
    except Exception:
        raise
    except BaseException as error:
        if is_order(error):
            raise
        log.critical("%s failed", ctx.method, exc_info=error)
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise MCPError(INTERNAL_ERROR, f"{ctx.method} failed ({type(error).__name__}): {error}") from None
