"""ToolRL's RLLA (Qian et al. 2025): first turns with tools under masked and plain names, and several calls."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from portico_engine.tool import Tool
from portico_engine.tune.data.example import Call, Example
from portico_engine.tune.data.sources.compressed import read_json_xz

_ORIGIN = ("ToolRL (RLLA)", "Apache-2.0")
_TOOL = re.compile(r"^\d+\. Name: (?P<name>.*)\nDescription: (?P<about>.*)\nParameters: (?P<parameters>\{.*\})$", re.MULTILINE)
_CALLS = re.compile(r"<tool_call>\n(.*?)\n</tool_call>", re.DOTALL)
_ASKED = re.compile(r"\*\*Dialogue Records History\*\*\n<user> (.*?) </user>", re.DOTALL)
_TYPES = {"str": "string", "string": "string", "int": "integer", "integer": "integer", "float": "number", "bool": "boolean",
    "number": "number", "boolean": "boolean"}  # fmt: skip


def rlla_examples(path: Path) -> Iterator[Example]:
    """Those whose types are plain, and whose values fit them."""
    for row in read_json_xz(path):
        tools = {match["name"]: tool for match in _TOOL.finditer(row["instruction"]) if (tool := _tool(match)) is not None}
        asked, made = _ASKED.fullmatch(row["input"].strip()), _CALLS.search(row["output"])
        if asked is None or made is None:
            continue
        try:
            calls = [json.loads(line) for line in made[1].splitlines()]
        except ValueError:
            continue
        if calls and all(call.get("name") in tools and _fits(call.get("parameters"), tools[call["name"]]) for call in calls):
            gold = tuple(Call(tools[call["name"]], call["parameters"]) for call in calls)
            used = {call.tool.name for call in gold}
            others = tuple(tool for name, tool in tools.items() if name not in used)
            yield Example(" ".join(asked[1].split()), gold, *_ORIGIN, domain="rlla", offered=others)


def _tool(match: re.Match[str]) -> Tool | None:
    try:
        given = json.loads(match["parameters"])
    except ValueError:
        return None
    properties, required = {}, []
    for name, about in given.items():
        kind = str(about.get("type", "")).split(",")[0].strip().lower()
        inner = re.fullmatch(r"list\[(\w+)\]", kind)
        if inner is not None and inner[1] in _TYPES:
            properties[name] = {"type": "array", "items": {"type": _TYPES[inner[1]]}}
        elif kind in _TYPES:
            properties[name] = {"type": _TYPES[kind]}
        else:
            return None
        if "optional" not in str(about.get("type", "")) and about.get("default") in (None, ""):
            required.append(name)
    return Tool(match["name"], match["about"], {"type": "object", "properties": properties, "required": required})


def _fits(arguments: Any, tool: Tool) -> bool:
    python: dict[str, type | tuple[type, ...]] = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "array": list,
    }
    if not isinstance(arguments, dict):
        return False
    properties = tool.parameters["properties"]
    return all(name in properties and isinstance(value, python[properties[name]["type"]]) for name, value in arguments.items())
