"""Seal-Tools (Wu et al. 2024): questions with gold calls, kept where every value is stated; its 4,076 schemas."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from portico_engine.tool import Tool
from portico_engine.tune.data.example import Call, Example

_ORIGIN = ("Seal-Tools", "Apache-2.0")
_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


def seal_tools(folder: Path) -> dict[str, Tool]:
    """By name."""
    return {row["api_name"]: _tool(row) for row in _rows(folder / "tool.jsonl.gz")}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _tool(row: dict[str, Any]) -> Tool:
    properties = {
        name: {"type": _TYPES[about["type"]], "description": about["description"]} for name, about in row["parameters"].items()
    }
    schema = {"type": "object", "properties": properties, "required": [name for name in row["required"] if name in properties]}
    return Tool(row["api_name"], row["api_description"], schema)


def seal_examples(folder: Path) -> Iterator[Example]:
    """Questions whose calls hold nothing that the question doesn't state."""
    tools = seal_tools(folder)
    for part in ("dev", "test_in_domain", "test_out_domain"):
        for row in _rows(folder / f"{part}.jsonl.gz"):
            calls = [_call(tools[one["api"]], one["parameters"], row["query"]) for one in row["calling"] if one["api"] in tools]
            known = [call for call in calls if call is not None]
            if known and len(known) == len(row["calling"]):
                yield Example(row["query"], tuple(known), *_ORIGIN, domain="seal")


def _call(tool: Tool, given: dict[str, Any], question: str) -> Call | None:
    arguments = {}
    for name, value in given.items():
        schema = tool.parameters["properties"].get(name)
        if schema is None or "API_call_" in str(value):
            return None
        typed = _typed(value, schema["type"])
        if typed is None or not _is_stated(typed, question):
            return None
        arguments[name] = typed
    missing = set(tool.parameters["required"]) - set(arguments)
    return None if missing else Call(tool, arguments)


def _typed(value: Any, kind: str) -> Any:
    """The value as its type has it; the data set writes many numbers as text. None where it is none of that type."""
    try:
        match kind:
            case "string":
                return str(value)
            case "integer":
                return int(str(value))
            case "number":
                number = float(str(value))
                return int(number) if number.is_integer() and "." not in str(value) else number
        return {"true": True, "false": False}.get(str(value).lower())
    except ValueError:
        return None


def _is_stated(value: Any, question: str) -> bool:
    if isinstance(value, bool):
        return True
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return value[:4] in question
    return str(value).lower() in question.lower()
