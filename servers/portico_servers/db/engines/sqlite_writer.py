"""SQLite for the tool `write`: INSERT, UPDATE and DELETE of one statement in one transaction, and nothing else.

It opens the file for writing, so it lives in a worker of its own. DDL, ATTACH, PRAGMA and extensions stay refused.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from portico_servers.db.engines import sqlite_authorizer
from portico_servers.db.engines.base import Parameters, StatementResult
from portico_servers.db.engines.sqlite import SQLiteEngine, check_file, translated
from portico_servers.db.errors import ReadOnlyError, StatementError
from portico_servers.db.limits import StatementLimits

_CHANGING = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}


class SQLiteWriter(SQLiteEngine):
    """One connection that may change rows."""

    def __init__(self, path: Path) -> None:
        check_file(path)
        self.warning: str | None = None
        self._deadline = float("inf")
        self._connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=2.0, isolation_level=None)
        self._connection.execute("PRAGMA foreign_keys = 1")
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        self._connection.set_progress_handler(self._out_of_time, 2_000)

    def run(self, sql: str, parameters: Parameters, limits: StatementLimits) -> StatementResult:
        """Run it whole or not at all; the one row that comes back is the number of rows it changed."""
        start = time.monotonic()
        self._deadline = start + limits.seconds
        connection = self._connection
        before = connection.total_changes
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._changes = False
            connection.set_authorizer(self._authorize)
            try:
                connection.execute(sql, parameters).fetchall()
            finally:
                connection.set_authorizer(None)
            if not self._changes:
                raise ReadOnlyError("refused: only INSERT, UPDATE and DELETE are run here")
            changed = connection.total_changes - before
            connection.execute("COMMIT")
        except (sqlite3.Error, sqlite3.Warning) as exc:
            raise translated(exc, limits.seconds) from None
        except (ValueError, OverflowError) as exc:
            raise StatementError(f"the statement can't be read: {exc}") from None
        finally:
            if connection.in_transaction:
                self._deadline = float("inf")
                connection.execute("ROLLBACK")
        return StatementResult(["changed_rows"], [[changed]], False, time.monotonic() - start)

    def _authorize(self, action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
        if action in _CHANGING and not (first or "").lower().startswith("sqlite_"):
            self._changes = True
            return sqlite3.SQLITE_OK
        return sqlite_authorizer.authorize(action, first, second, database, trigger)
