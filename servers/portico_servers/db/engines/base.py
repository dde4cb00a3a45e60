"""What every engine must do, and what they share: turning a cursor into a bounded, JSON-ready answer.

It knows no engine. A `Result` holds JSON values only: bytes become their hexadecimal, dates ISO 8601 text, decimals a number
where that loses nothing.
"""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from portico_servers.db.limits import CELL_CHARACTERS, StatementLimits
from portico_servers.db.schema import DatabaseSchema

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]

_BLOB_BYTES = 32


@dataclass(frozen=True, slots=True)
class StatementResult:
    """Columns and rows of one statement. `truncated` says that rows, bytes or cells were cut."""

    columns: list[str]
    rows: list[list[Any]]
    truncated: bool
    seconds: float = 0.0


class DatabaseEngine(Protocol):
    """One read-only connection, used by one thread."""

    warning: str | None  # to be told once, e.g. that the file was opened as immutable

    def schema(self) -> DatabaseSchema: ...

    def schema_version(self) -> str:
        """Changes when the schema does; cheap enough to ask every second."""
        ...

    def run(self, sql: str, parameters: Parameters, limits: StatementLimits) -> StatementResult:
        """Run one statement within `limits`. StatementError and its kinds."""
        ...

    def explain(self, sql: str, parameters: Parameters, limits: StatementLimits) -> list[str]:
        """The plan, one step a line, indented as a tree."""
        ...

    def close(self) -> None: ...


def collect(columns: list[str], rows: Iterable[Sequence[Any]], limits: StatementLimits) -> tuple[list[list[Any]], bool]:
    """Rows as JSON values until a limit is met, and whether anything was cut."""
    out: list[list[Any]] = []
    size = sum(len(name) for name in columns)
    cut = False
    for row in rows:
        if len(out) >= limits.rows:
            return out, True
        cells = []
        for cell in row:
            value, whole = json_value(cell)
            cut |= not whole
            size += len(value) + 3 if isinstance(value, str) else 8
            cells.append(value)
        if size > limits.bytes:
            return out, True
        out.append(cells)
    return out, cut


def json_value(value: Any) -> tuple[Any, bool]:
    """A JSON value for a cell, and whether it is whole."""
    if value is None or isinstance(value, bool | int):
        return value, True
    if isinstance(value, float):
        return (value, True) if math.isfinite(value) else (str(value), True)
    if isinstance(value, str):
        return (value, True) if len(value) <= CELL_CHARACTERS else (value[:CELL_CHARACTERS] + "…", False)
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        more = "…" if len(data) > _BLOB_BYTES else ""
        return f"x'{data[:_BLOB_BYTES].hex()}{more}' ({len(data)} bytes)", not more
    if isinstance(value, decimal.Decimal):
        return _decimal(value), True
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" "), True
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat(), True
    if isinstance(value, Mapping):
        pairs = [(str(key), json_value(item)) for key, item in value.items()]
        return {key: item[0] for key, item in pairs}, all(item[1] for _, item in pairs)
    if isinstance(value, list | tuple | set | frozenset):
        items = [json_value(item) for item in value]
        return [item[0] for item in items], all(item[1] for item in items)
    return json_value(str(value))


def _decimal(value: decimal.Decimal) -> Any:
    if not value.is_finite():
        return str(value)
    if value == value.to_integral_value() and value.adjusted() < 18:
        return int(value)
    as_float = float(value)
    if decimal.Decimal(repr(as_float)) == value:
        return as_float
    return str(value)
