"""JSON Schema fragments that several tools' inputs and outputs are made of. It knows no tool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

JSON = dict[str, Any]

NULLABLE_STRING: JSON = {"anyOf": [{"type": "string"}, {"type": "null"}]}  # several APIs take no list of types
_SCALAR: JSON = {"anyOf": [{"type": kind} for kind in ("string", "number", "boolean", "null")]}
PARAMETERS: JSON = {"type": "array", "items": _SCALAR}
ANY_ROWS: JSON = {"type": "array", "items": {"type": "array"}}
STRING_LIST: JSON = {"type": "array", "items": {"type": "string"}}


def object_schema(properties: JSON, required: Sequence[str] = ()) -> JSON:
    """A closed object."""
    schema: JSON = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    return {**schema, "additionalProperties": False}


def sql_input(properties: JSON, connections: Sequence[str]) -> JSON:
    """The properties of a tool that takes SQL: which connection comes first where there are several."""
    if len(connections) == 1:
        return object_schema(properties, ["sql"])
    return object_schema({"connection": {"enum": list(connections)}, **properties}, ["connection", "sql"])
