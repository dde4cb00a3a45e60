"""Faults of one request's parts, a matcher's or a prior's, or of its row in a step: they end that request and nothing else.

It owns how such a fault is told from an order to end and from a lost device, and how it is said. Native code panics with a
BaseException (pyo3), and memory may run out anywhere.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from portico_engine.errors import DeviceLost, EngineError

_ORDERS = (KeyboardInterrupt, SystemExit)  # to the program, where they reach its main thread; on others they are faults
_log = logging.getLogger(__name__)


def raise_if_end(error: BaseException) -> None:
    """Raises what ends more than a request."""
    ordered = isinstance(error, _ORDERS) and threading.current_thread() is threading.main_thread()
    if ordered or isinstance(error, DeviceLost):
        raise error


def describe_fault(part: str, error: BaseException) -> str:
    """What is said of a fault in `part` ("its grammar"); the log has more. Raises what ends more than that."""
    raise_if_end(error)
    _log.error("%s failed", part, exc_info=error)
    if isinstance(error, MemoryError):
        return f"{part} failed: memory ran out"
    return f"{part} failed ({error_text(error)})"


def error_text(error: BaseException) -> str:
    """An error's kind and its words, if it can say them: what is foreign may fail at that, too."""
    try:
        words = str(error)
    except Exception:  # noqa: BLE001 - its own method, whatever that does
        words = "it has no words"
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


@contextmanager
def faults_of(part: str) -> Iterator[None]:
    """A fault within is raised as EngineError; one that is an EngineError already, or an order to end, as it is."""
    try:
        yield
    except EngineError:
        raise
    except BaseException as error:
        raise EngineError(describe_fault(part, error)) from error
