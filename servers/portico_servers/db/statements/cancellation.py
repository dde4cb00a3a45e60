"""Cancelling a tool call: ties the call to the worker process that runs its statement, so that cancelling ends the process.

It knows neither MCP nor SQL. Thread-safe.
"""

from __future__ import annotations

import threading

from portico_servers.db.errors import DbError
from portico_servers.db.statements.worker_pool import Worker


class StatementCancelled(DbError):
    """The caller gave up."""


class Cancellation:
    """One tool call's: which worker runs a statement of it now, and whether the caller gave up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._cancelled = False

    def started(self, worker: Worker) -> None:
        """A worker took a statement of this call."""
        with self._lock:
            if self._cancelled:
                raise StatementCancelled("cancelled")
            self._worker = worker

    def cancel(self) -> None:
        """End the statement under way, and let no further one start."""
        with self._lock:
            self._cancelled = True
            if self._worker is not None:
                self._worker.kill()

    def finished(self) -> None:
        """The worker is done with this call. A kill that is under way is waited for, so that its end is seen."""
        with self._lock:
            self._worker = None
