"""What declared types and CHECK constraints say about a column's values. It knows no engine in particular."""

from __future__ import annotations

import re
from collections.abc import Sequence

from portico_servers.db.schema import Kind

ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?")
_TIMELY = re.compile(
    r"(?:^|_)(?:ts|at|on|time|timestamp|date|datetime|epoch|unix|created|updated|modified|since|until)(?:_|$)", re.IGNORECASE
)
_EPOCHS = ((1, 1e8, 5e9), (1_000, 1e11, 5e12))  # seconds and milliseconds, from 1973 to 2128
_CHECK_IN = re.compile(r"""["'`\[]?(\w+)["'`\]]?\s+IN\s*\(\s*('(?:[^']|'')*'(?:\s*,\s*'(?:[^']|'')*')*)\s*\)""", re.IGNORECASE)
_LITERAL = re.compile(r"'((?:[^']|'')*)'")
_NUMBERS = ("INT", "REAL", "FLOA", "DOUB", "DEC", "NUM", "MONEY", "SERIAL")
_TEXTS = ("CHAR", "CLOB", "TEXT", "STRING", "UUID", "ENUM", "NAME", "CITEXT", "INET", "USER-DEFINED")


def declared_kind(declared: str) -> Kind:
    """ "other" where the type says nothing, or nothing that can be compared with a plain value."""
    name = declared.upper()
    if name.endswith(("[]", "RANGE")) or name.startswith(
        ("STRUCT", "MAP", "LIST", "UNION", "JSON", "BLOB", "BYTEA", "INTERVAL", "POINT")
    ):
        return "other"
    if "BOOL" in name:
        return "boolean"
    if "DATE" in name or "TIMESTAMP" in name:
        return "date"
    if any(part in name for part in _TEXTS):
        return "text"
    if any(part in name for part in _NUMBERS):
        return "number"
    return "other"


def epoch_unit(name: str, cells: Sequence[object]) -> int:
    """Whether numbers are points in time since 1970, by a column's name and some of its cells: 1 for seconds, 1000 for
    milliseconds, 0 for none."""
    numbers = [cell for cell in cells if isinstance(cell, int | float)]
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    if not numbers or len(numbers) < len(cells) or not _TIMELY.search(spaced):
        return 0
    return next((unit for unit, least, most in _EPOCHS if all(least <= number < most for number in numbers)), 0)


def allowed_values(sql: str) -> dict[str, tuple[str, ...]]:
    """Per column (lower case) the values of `CHECK (column IN ('a', 'b'))` in a CREATE TABLE text."""
    found: dict[str, tuple[str, ...]] = {}
    for match in re.finditer(r"CHECK\s*\((?:\s*\()*", sql, re.IGNORECASE):
        inner = _CHECK_IN.match(sql[match.end() :].lstrip())
        rest = sql[match.end() :].lstrip()[inner.end() :].lstrip() if inner else ""
        if inner and rest.startswith(")"):
            found[inner[1].lower()] = tuple(v.replace("''", "'") for v in _LITERAL.findall(inner[2]))
    return found
