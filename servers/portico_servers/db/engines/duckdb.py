"""DuckDB, read-only by the engine itself: read_only, no external access, no extensions, configuration locked, memory bounded.

It owns one connection. What the tables are like is in `duckdb_schema.py`.
"""

from __future__ import annotations

import datetime
import math
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from portico_servers.db.engines import duckdb_schema
from portico_servers.db.engines.base import Parameters, StatementResult, collect
from portico_servers.db.errors import DatabaseSourceError, LimitError, ReadOnlyError, StatementError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.schema import DatabaseSchema

# Kinds of statement that only read, as DuckDB's own parser names them. MULTI is what PIVOT becomes.
_READING = {"SELECT", "EXPLAIN", "PRAGMA", "MULTI"}
_CONFIG = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",  # else a table name could mean a Python variable of ours
    "memory_limit": "512MB",
    "temp_directory": "",  # its default lies beside the database
    "threads": "2",
    "lock_configuration": "true",
}
_LOSSY_TYPES = ("INTERVAL", "TIMESTAMP_NS")
_DATED_TYPES = ("DATE", "TIMESTAMP")
_REFUSED = ("read-only", "read only", "disabled by configuration", "configuration has been locked", "permission error")


class DuckDBEngine:
    """One connection to one file."""

    warning: str | None = None

    def __init__(self, path: Path) -> None:
        try:
            self._connection = duckdb.connect(str(path), read_only=True, config=dict(_CONFIG))
        except duckdb.Error as exc:
            raise DatabaseSourceError(f"{path}: {_line(exc)}; expected a DuckDB database that can be read") from None

    def schema(self) -> DatabaseSchema:
        """All tables and views of all schemas."""
        try:
            return duckdb_schema.read(self._connection)
        except duckdb.Error as exc:
            raise _translated(exc, 30.0) from None

    def schema_version(self) -> str:
        try:
            return duckdb_schema.version(self._connection)
        except duckdb.Error as exc:
            raise _translated(exc, 30.0) from None

    def run(self, sql: str, parameters: Parameters, limits: StatementLimits) -> StatementResult:
        """One statement of a kind that only reads."""
        start = time.monotonic()
        timer = threading.Timer(limits.seconds, self._connection.interrupt)
        timer.daemon = True
        try:
            timer.start()
            statement = self._only_statement(sql)
            cursor = self._connection.execute(statement, parameters)
            columns = [item[0] for item in cursor.description or ()]
            types = [str(item[1]) for item in cursor.description or ()]
            fetched: list[tuple[Any, ...]] = []
            rows, truncated = collect(columns, _fetch(cursor, types, fetched), limits)
            altered = altered_columns(types, fetched[: len(rows)])
            if altered:
                again = self._with_texts(statement, parameters, fetched[: len(rows)], altered)
                rows, _ = collect(columns, again, limits)
        except duckdb.Error as exc:
            raise _translated(exc, limits.seconds) from None
        except (RuntimeError, MemoryError, OverflowError, ValueError) as exc:
            raise _translated(exc, limits.seconds) from None
        finally:
            timer.cancel()
        return StatementResult(columns, rows, truncated, time.monotonic() - start)

    def _with_texts(
        self, statement: duckdb.Statement, parameters: Parameters, rows: Sequence[tuple[Any, ...]], altered: Sequence[int]
    ) -> list[tuple[Any, ...]]:
        """These rows with DuckDB's own text in the columns `altered`; NULL in them where running the statement once more gives
        other rows, or can't be done."""
        names = [f"c{n}" for n in range(len(rows[0]))]
        texts = ", ".join(f"CAST(c{n} AS VARCHAR)" for n in altered)
        inner = statement.query.strip().rstrip(";")
        try:
            cursor = self._connection.execute(f"SELECT *, {texts} FROM (\n{inner}\n) AS t({', '.join(names)})", parameters)
            found = cursor.fetchmany(len(rows))
        except duckdb.InterruptException:
            raise
        except duckdb.Error:
            found = []
        # repr, for a NaN is not equal to itself
        same = len(found) == len(rows) and all(repr(old) == repr(new[: len(old)]) for old, new in zip(rows, found, strict=True))
        out = []
        for number, row in enumerate(rows):
            cells = list(row)
            for place, column in enumerate(altered):
                cells[column] = found[number][len(row) + place] if same else None
            out.append(tuple(cells))
        return out

    def _only_statement(self, sql: str) -> duckdb.Statement:
        statements = self._connection.extract_statements(sql)
        if len(statements) != 1:
            raise ReadOnlyError("only one statement at a time is run" if statements else "there is no statement in it")
        kind = statements[0].type.name
        if kind not in _READING:
            raise ReadOnlyError(f"refused, this connection only reads: {kind} statements are not run")
        return statements[0]

    def explain(self, sql: str, parameters: Parameters, limits: StatementLimits) -> list[str]:
        """The physical plan as DuckDB draws it."""
        names = () if parameters else self._only_statement(sql).named_parameters
        unset: Parameters = [None] * len(names) if all(name.isdigit() for name in names) else dict.fromkeys(names)
        found = self.run("EXPLAIN " + sql, unset or parameters, limits)  # a plan needs no values
        return [line for row in found.rows for line in str(row[-1]).splitlines() if line.strip()]

    def close(self) -> None:
        self._connection.close()


def _fetch(
    cursor: duckdb.DuckDBPyConnection, types: Sequence[str], fetched: list[tuple[Any, ...]]
) -> Iterator[tuple[Any, ...]]:
    """The rows, kept in `fetched` as they came; single floats as the shortest number that reads back as the same."""
    singles = [n for n, kind in enumerate(types) if kind == "FLOAT"]
    while some := cursor.fetchmany(200):
        for row in some:
            fetched.append(row)
            yield _shortened(row, singles) if singles else row


def _shortened(row: tuple[Any, ...], singles: Sequence[int]) -> tuple[Any, ...]:
    cells = list(row)
    for n in singles:
        if cells[n] is not None:
            cells[n] = shortest_single(cells[n])
    return tuple(cells)


def shortest_single(number: float) -> float:
    """The number of fewest digits that is this one in 32 bits: 0.1 for 0.10000000149011612."""
    if not math.isfinite(number):
        return number
    for digits in range(6, 9):
        short = float(f"{number:.{digits}g}")
        try:
            if struct.unpack("f", struct.pack("f", short))[0] == number:
                return short
        except OverflowError:  # rounded up beyond the largest one
            continue
    return float(f"{number:.9g}")


def altered_columns(types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> list[int]:
    """The columns with values that Python's own types can't hold, so that DuckDB's client makes others of them: months in
    intervals, nanoseconds, infinite dates (which come as the first or last one there is)."""
    always = [n for n, kind in enumerate(types) if any(lossy in kind for lossy in _LOSSY_TYPES)]
    dated = [n for n, kind in enumerate(types) if n not in always and any(part in kind for part in _DATED_TYPES)]
    found = [n for n in always if any(row[n] is not None for row in rows)]
    return sorted([*found, *(n for n in dated if any(_holds_edge(row[n]) for row in rows))])


def _holds_edge(value: Any) -> bool:
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None) in (datetime.datetime.min, datetime.datetime.max)
    if isinstance(value, datetime.date):
        return value in (datetime.date.min, datetime.date.max)
    if isinstance(value, dict):
        return any(map(_holds_edge, (*value.keys(), *value.values())))
    return isinstance(value, list | tuple) and any(map(_holds_edge, value))


def _line(exc: BaseException) -> str:
    return str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__


def _translated(exc: BaseException, seconds: float) -> StatementError:
    text = str(exc)
    if isinstance(exc, duckdb.InterruptException) or "INTERRUPT" in text:
        return LimitError(f"stopped after {seconds:g} s, the limit for one statement")
    if isinstance(exc, duckdb.OutOfMemoryException | MemoryError) or "Out of Memory" in text or "bad_alloc" in text:
        return LimitError("the statement needs more memory than it may have")
    if any(part in text.lower() for part in _REFUSED):
        return ReadOnlyError(f"refused, this connection only reads: {_line(exc)}")
    return StatementError(_line(exc))
