"""The audit log's file: a table in SQLite, private to the user and bounded.

It owns the columns, the connection, which stays open while there is something to write, and what is dropped again. It knows
nothing of calls: `audit.py` makes the rows.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from portico_gateway.safe_output.private_files import private_folder

TABLE = "calls"
COLUMNS: dict[str, type] = {
    "id": int,
    "time": str,  # ISO 8601, UTC
    "caller": str,
    "client": str,
    "server": str,
    "tool": str,
    "arguments_sha256": str,
    "arguments": str,
    "decision": str,
    "approval": str,
    "outcome": str,
    "error": str,
    "seconds": float,
    "bytes": int,  # of the result as JSON
    "kind": str,
    "decided_by": str,  # the key that gave the consent
    "call": str,  # its id, as the result's `_meta` and feedback name it
    "result_sha256": str,
    "marks": str,  # where arguments were copied from, one a line
    "asked": str,  # the arguments before a person edited them, likewise
    "question": str,  # what was asked that the call is for, where [tune] use_log has it kept
}
_GIVEN = [name for name in COLUMNS if name != "id"]
_INSERT = f"insert into {TABLE} ({', '.join(_GIVEN)}) values ({', '.join(f':{name}' for name in _GIVEN)})"
_PRUNE_EVERY = 1000  # rows
_BUSY_TIMEOUT = 5.0


class AuditDatabase:
    """Of one thread. It is opened by the first rows, and anew where another file has taken its place."""

    def __init__(self, path: Path, max_rows: int, max_days: float) -> None:
        self.path = path
        self._max_rows = max_rows
        self._max_days = max_days
        self._written = 0
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None  # of the file that is open

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write these, in one transaction. Raises sqlite3.Error and OSError where the disk refuses."""
        try:
            connection = self._opened()
            with connection:
                connection.executemany(_INSERT, rows)
            if self._written % _PRUNE_EVERY + len(rows) >= _PRUNE_EVERY or not self._written:
                self._prune(connection)
        except (sqlite3.Error, OSError):
            self.close()
            raise
        self._written += len(rows)

    def close(self) -> None:
        """The next rows open it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None and self._identity == _identity(self.path):
            return self._connection
        self.close()
        private_folder(self.path.parent)
        # SQLite gives its journal files the permissions of the file itself, so this one is made first, for its owner alone.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        self._identity = _identity(self.path)
        self._connection = sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT)
        _make_table(self._connection)
        return self._connection

    def _prune(self, connection: sqlite3.Connection) -> None:
        oldest = datetime.fromtimestamp(time.time() - self._max_days * 86400, UTC).isoformat(timespec="milliseconds")
        with connection:
            connection.execute(f"delete from {TABLE} where time < ?", [oldest])
            connection.execute(
                f"delete from {TABLE} where id <= (select max(id) from {TABLE}) - ?",  # ids have no gaps but at the old end
                [self._max_rows],
            )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make_table(connection: sqlite3.Connection) -> None:
    """The table, made where it isn't; a log of an earlier version gets the columns that it lacks."""
    from sqlite_utils import Database

    database = Database(connection)
    database.enable_wal()
    database.table(TABLE).create(COLUMNS, pk="id", if_not_exists=True)
    there = {row[1] for row in connection.execute(f"pragma table_info({TABLE})")}
    for name, kind in COLUMNS.items():
        if name not in there:
            database.table(TABLE).add_column(name, kind)


@contextmanager
def open_read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that can't write. Raises sqlite3.OperationalError where there is no log."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def caller_of_call(path: Path, call: str) -> str | None:
    """Who made the call of this id; None where the log has none. Raises sqlite3.Error where it can't be read."""
    if not path.exists():
        return None
    with open_read_only(path) as connection:
        if "call" not in {row["name"] for row in connection.execute(f"pragma table_info({TABLE})")}:
            return None  # a log from before calls had ids
        row = connection.execute(f"select caller from {TABLE} where call = ? and kind != 'feedback' limit 1", [call]).fetchone()
    return None if row is None else str(row["caller"])
