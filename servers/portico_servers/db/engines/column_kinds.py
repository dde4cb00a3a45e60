"""What declared types and CHECK constraints say about a column's values. It knows no engine in particular."""

from __future__ import annotations

import re

from portico_servers.db.schema import Kind

ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?")
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


def allowed_values(sql: str) -> dict[str, tuple[str, ...]]:
    """Per column (lower case) the values of `CHECK (column IN ('a', 'b'))` in a CREATE TABLE text."""
    found: dict[str, tuple[str, ...]] = {}
    for match in re.finditer(r"CHECK\s*\((?:\s*\()*", sql, re.IGNORECASE):
        inner = _CHECK_IN.match(sql[match.end() :].lstrip())
        rest = sql[match.end() :].lstrip()[inner.end() :].lstrip() if inner else ""
        if inner and rest.startswith(")"):
            found[inner[1].lower()] = tuple(v.replace("''", "'") for v in _LITERAL.findall(inner[2]))
    return found
