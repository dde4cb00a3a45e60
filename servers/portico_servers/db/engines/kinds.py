"""From declared SQL types to what a value compares as. It knows no engine in particular."""

from __future__ import annotations

import re

from portico_servers.db.schema import Kind

ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?")
_NUMBERS = ("INT", "REAL", "FLOA", "DOUB", "DEC", "NUM", "MONEY", "SERIAL")
_TEXTS = ("CHAR", "CLOB", "TEXT", "STRING", "UUID", "ENUM", "NAME", "CITEXT", "INET", "USER-DEFINED")


def declared_kind(declared: str) -> Kind:
    """ "other" where the type says nothing, or nothing that can be compared with a plain value."""
    name = declared.upper()
    if name.endswith("[]") or name.startswith(("STRUCT", "MAP", "LIST", "UNION", "JSON", "BLOB", "BYTEA", "INTERVAL", "POINT")):
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
