"""Faults of one request's parts, a matcher's or a prior's: they end that request and nothing else.

It owns how such a fault is told from an order to end, and how it is said. Native code panics with a BaseException (pyo3), and
memory may run out anywhere.
"""

from __future__ import annotations

import logging

_ORDERS = (KeyboardInterrupt, SystemExit, GeneratorExit)
_log = logging.getLogger(__name__)


def describe_fault(part: str, error: BaseException) -> str:
    """What is said of a fault in `part` ("its grammar"); the log has more. Raises what is no fault but an order to end."""
    if isinstance(error, _ORDERS):
        raise error
    _log.error("a request ends: %s failed", part, exc_info=error)
    if isinstance(error, MemoryError):
        return f"{part} failed: memory ran out"
    return f"{part} failed ({type(error).__name__}: {error})"
