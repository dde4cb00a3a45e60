"""SQLite, read-only by the engine itself: mode=ro, query_only, an authorizer, no extensions, no ATTACH, bounded values.

It owns one connection. What the tables are like is in `sqlite_schema.py`, what statements may do in `sqlite_authorizer.py`.
"""

from __future__ import annotations

import re
import sqlite3
import time
from pathlib import Path
from typing import Any

from portico_servers.common.regular_files import open_regular
from portico_servers.common.sqlite_header import SQLITE_MAGIC
from portico_servers.db.engines import sqlite_authorizer, sqlite_schema
from portico_servers.db.engines.base import Parameters, StatementResult, collect
from portico_servers.db.errors import DatabaseSourceError, LimitError, ReadOnlyError, StatementError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.schema import DatabaseSchema

_VALUE_BYTES = 16_000_000
_STATEMENT_BYTES = 1_000_000
# Of all that SQLite holds at once. A statement whose parts name each other twice, 40 times, is expanded while it is compiled,
# where no clock is looked at: memory ends it, after a second or two.
_HEAP_BYTES = 256_000_000
_SCHEMA_SECONDS = 10.0  # for reading what the tables are like
_STEPS_BETWEEN_CHECKS = 2_000  # virtual machine steps between two looks at the clock
_MISSING_VALUES = re.compile(r"statement uses (\d+), and there are 0 supplied")
_REFUSED = (
    "not authorized",
    "authorization denied",
    "readonly database",
    "read-only",
    "access to",
    "prohibited",
    "unsafe use of",
    "may not be modified",
)


def check_file(path: Path) -> None:
    """DatabaseSourceError unless `path` is a readable SQLite database (an empty file is one, without tables)."""
    expected = "expected a SQLite database file"
    try:
        with open_regular(path) as file:
            head = file.read(len(SQLITE_MAGIC))
    except FileNotFoundError:
        raise DatabaseSourceError(f"{path}: no such file; {expected}") from None
    except OSError as exc:
        raise DatabaseSourceError(f"{path}: {exc.strerror or exc}; {expected}") from None
    if head and head != SQLITE_MAGIC:
        raise DatabaseSourceError(f"{path}: not a SQLite database (it begins with {head[:16]!r}); {expected}")


class SQLiteEngine:
    """One connection to one file."""

    def __init__(self, path: Path) -> None:
        check_file(path)
        self.warning: str | None = None
        self._path = path
        self._deadline = float("inf")
        self._version = ""
        self._connection = self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = self._open(self._path)
        self._protect(connection)
        self._version = _schema_version(connection)
        return connection

    def _refresh(self) -> None:
        """Connect anew where the schema changed: SQLite declares its virtual tables again then, as `_protect` does ahead."""
        try:
            changed = _schema_version(self._connection) != self._version
        except sqlite3.Error:
            changed = True
        if changed:
            self._connection.close()
            self._connection = self._connect()

    def _open(self, path: Path) -> sqlite3.Connection:
        uri = path.absolute().as_uri()
        try:
            return _connect(f"{uri}?mode=ro")
        except sqlite3.OperationalError as exc:
            if not _has_wal(path):
                raise DatabaseSourceError(f"{path}: {exc}; expected a SQLite database that can be read") from None
        # A WAL database needs its -shm file, which can't be made here: read the main file as it stands.
        try:
            connection = _connect(f"{uri}?mode=ro&immutable=1")
        except sqlite3.OperationalError as exc:
            raise DatabaseSourceError(f"{path}: {exc}; expected a SQLite database that can be read") from None
        self.warning = (
            f"{path.name} is in WAL mode in a folder that can't be written: opened as immutable, recent changes may be missing"
        )
        return connection

    def _protect(self, connection: sqlite3.Connection) -> None:
        connection.text_factory = _text
        connection.create_function("casefold", 1, _casefold, deterministic=True)
        for name in (*sqlite_authorizer.READABLE_MODULES, *sqlite_schema.virtual_tables(connection)):
            _touch(connection, name)
        connection.execute("PRAGMA query_only = 1")
        connection.execute("PRAGMA trusted_schema = 0")
        connection.execute("PRAGMA temp_store = 2")  # in memory: sorting writes no file
        connection.execute("PRAGMA cell_size_check = 1")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _VALUE_BYTES)
        connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, _STATEMENT_BYTES)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000)
        connection.set_authorizer(sqlite_authorizer.authorize)
        connection.set_progress_handler(self._out_of_time, _STEPS_BETWEEN_CHECKS)

    def _out_of_time(self) -> bool:
        return time.monotonic() > self._deadline

    def schema(self) -> DatabaseSchema:
        """All tables and views but SQLite's own and the shadows of virtual tables."""
        self._deadline = time.monotonic() + _SCHEMA_SECONDS
        self._refresh()
        try:
            return sqlite_schema.read(self._connection, self._out_of_time)
        except (sqlite3.Error, MemoryError) as exc:
            raise translated(exc, _SCHEMA_SECONDS) from None

    def schema_version(self) -> str:
        self._deadline = time.monotonic() + 1.0
        try:
            return _schema_version(self._connection)
        except sqlite3.Error as exc:
            raise translated(exc, 1.0) from None

    def run(self, sql: str, parameters: Parameters, limits: StatementLimits) -> StatementResult:
        """One statement; SQLite itself refuses a second one behind it."""
        start = time.monotonic()
        self._deadline = start + limits.seconds
        self._refresh()
        cursor = self._connection.cursor()
        try:
            cursor.execute(sql, parameters)
            if cursor.description is None:
                raise StatementError("the statement returns no rows: write a SELECT")
            columns = [item[0] for item in cursor.description]
            rows, truncated = collect(columns, cursor, limits)
        except (sqlite3.Error, sqlite3.Warning) as exc:
            raise translated(exc, limits.seconds) from None
        except OverflowError as exc:
            raise LimitError(f"a value is out of bounds: {exc}") from None
        except MemoryError:
            raise LimitError(f"the statement takes more than {_HEAP_BYTES // 1_000_000} MB of memory") from None
        except ValueError as exc:  # NUL or a lone surrogate in the text
            raise StatementError(f"the statement can't be read: {exc}") from None
        finally:
            cursor.close()
        return StatementResult(columns, rows, truncated, time.monotonic() - start)

    def explain(self, sql: str, parameters: Parameters, limits: StatementLimits) -> list[str]:
        """EXPLAIN QUERY PLAN, indented."""
        try:
            plan = self.run("EXPLAIN QUERY PLAN " + sql, parameters, limits)
        except StatementError as exc:
            missing = _MISSING_VALUES.search(str(exc))
            if missing is None or parameters:
                raise
            plan = self.run("EXPLAIN QUERY PLAN " + sql, [None] * int(missing[1]), limits)  # a plan needs no values
        depth: dict[int, int] = {0: -1}
        lines = []
        for identity, parent, _, detail in plan.rows:
            depth[identity] = depth.get(parent, -1) + 1
            lines.append("  " * depth[identity] + str(detail))
        return lines

    def close(self) -> None:
        self._connection.close()


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(
            f"PRAGMA hard_heap_limit = {_HEAP_BYTES}"
        )  # of the whole process; before anything of the file counts
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except MemoryError:
        connection.close()
        raise sqlite3.OperationalError("its schema is larger than allowed") from None
    except sqlite3.DatabaseError as exc:
        connection.close()
        if isinstance(exc, sqlite3.OperationalError):
            raise
        raise sqlite3.OperationalError(str(exc)) from None
    return connection


def _schema_version(connection: sqlite3.Connection) -> str:
    return str(connection.execute("PRAGMA schema_version").fetchone()[0])


def _has_wal(path: Path) -> bool:
    with open_regular(path) as file:
        head = file.read(20)
    return len(head) == 20 and head[18] == 2


def _touch(connection: sqlite3.Connection, name: str) -> None:
    """Connect a virtual table now: its first use declares it, which the authorizer would refuse."""
    quoted = '"' + name.replace('"', '""') + '"'
    try:
        connection.execute(f"SELECT 1 FROM {quoted} LIMIT 0").fetchone()
    except (sqlite3.Error, MemoryError):
        pass  # its module isn't there: a statement that uses it gets that very error


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _casefold(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def translated(exc: Exception, seconds: float) -> StatementError:
    """SQLite's error as one of ours."""
    text = str(exc)
    if text == "interrupted":
        return LimitError(f"stopped after {seconds:g} s, the limit for one statement")
    if "string or blob too big" in text or "out of memory" in text:
        return LimitError(f"a value or result is larger than allowed: {text}")
    if "one statement at a time" in text:
        return ReadOnlyError("only one statement at a time is run")
    if any(part in text for part in _REFUSED):
        return ReadOnlyError(f"refused, this connection only reads: {text}")
    return StatementError(text)
