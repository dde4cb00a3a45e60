"""Faults of one request's parts, a matcher's or a prior's, or of its row in a step: they end that request and nothing else.

It owns how such a fault is told from an order to end and from a lost device, and how it is said. Native code panics with a
BaseException (pyo3), and memory may run out anywhere.
"""

from __future__ import annotations

import logging

from portico_engine.errors import DeviceLost

_ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit, DeviceLost)
_log = logging.getLogger(__name__)


def raise_if_end(error: BaseException) -> None:
    """Raises what ends more than a request."""
    if isinstance(error, _ENDS):
        raise error


def describe_fault(part: str, error: BaseException) -> str:
    """What is said of a fault in `part` ("its grammar"); the log has more. Raises what ends more than that."""
    raise_if_end(error)
    _log.error("%s failed", part, exc_info=error)
    if isinstance(error, MemoryError):
        return f"{part} failed: memory ran out"
    return f"{part} failed ({type(error).__name__}: {error})"
