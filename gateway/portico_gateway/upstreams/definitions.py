"""What the tools of each server said of themselves when they were first seen, so that a later change is known as one.

It owns digests of definitions and the first one of each tool; a server that restarts or lists anew starts nothing afresh. What
follows from a change is the policy's to say.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import mcp_types

_PROSE = ("title", "description", "examples", "$comment", "default")
_NAMES = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_MAX_TOOLS = 10_000  # of one server that are remembered; each further one counts as changed, so that none is pushed out


class Standing(NamedTuple):
    """A tool's definition as digest, and whether it is another one than the first."""

    digest: str
    changed: bool


def definition_digest(tool: mcp_types.Tool) -> str:
    """sha256 over all that a server says of a tool: a tool is what this says."""
    whole = tool.model_dump(by_alias=True, mode="json", exclude_none=True)
    return hashlib.sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def without_words(tool: mcp_types.Tool, notice: str) -> mcp_types.Tool:
    """The tool with nothing of a server's prose in it: names, types and limits stay, so that it can be called."""
    return tool.model_copy(
        update={
            "description": notice,
            "title": None,
            "input_schema": _bare(tool.input_schema),
            "output_schema": None,
            "annotations": None,
            "meta": None,
        }
    )


def _bare(schema: Any, *, names: bool = False) -> Any:
    """A schema without titles, descriptions, examples and comments; where `names`, the keys are names of properties."""
    if isinstance(schema, dict):
        kept = {key: item for key, item in schema.items() if names or key not in _PROSE}
        return {key: _bare(item, names=not names and key in _NAMES) for key, item in kept.items()}
    return [_bare(item) for item in schema] if isinstance(schema, list) else schema


class FirstDefinitions:
    """Of all servers of one gateway."""

    def __init__(self) -> None:
        self._first: dict[str, dict[str, str]] = {}  # server -> tool -> digest

    def standings(self, server: str, tools: Iterable[mcp_types.Tool]) -> Mapping[str, Standing]:
        """By name, of the tools that a server lists now. Tools that are new are remembered as they are."""
        first = self._first.setdefault(server, {})
        found: dict[str, Standing] = {}
        for tool in tools:
            digest = definition_digest(tool)
            if tool.name not in first and len(first) < _MAX_TOOLS:
                first[tool.name] = digest
            found[tool.name] = Standing(digest, first.get(tool.name) != digest)
        return found

    def forget(self, server: str) -> None:
        """The owner has put another server in its place."""
        self._first.pop(server, None)
