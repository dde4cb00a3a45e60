"""Tools whose own words speak of another server's tools: a way to steer a model away from those, or through this one.

It owns finding them; what follows is the policy's to say. A name counts where nobody would write it by chance: one with an
underscore, a hyphen or a capital within, or a whole gateway name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

import mcp_types

# Each word is read once (lookbehinds, possessive): a text without names would else take the square of its length.
_NAME = re.compile(
    r"(?<![A-Za-z0-9])[0-9]*+([A-Za-z][A-Za-z0-9]*+(?:[_-]++[A-Za-z0-9]++)++)|(?<![a-z])([a-z]++(?:[A-Z][a-z0-9]++)++)"
)
_MAX_TEXT = 50_000  # characters of one definition


def names_in(tool: mcp_types.Tool) -> frozenset[str]:
    """What in a tool's definition looks like the name of a tool."""
    said = f"{tool.title or ''}\n{tool.description or ''}\n{json.dumps(tool.input_schema)}"[:_MAX_TEXT]
    return frozenset(found[1] or found[2] for found in _NAME.finditer(said))


def shadowed_tools(tools: Iterable[tuple[str, str, mcp_types.Tool]]) -> Mapping[str, str]:
    """By gateway name, the tools whose definition names a tool of another server, and that tool's gateway name. `tools` are
    (server, gateway name, tool). A name that the tool's own server has too is its own."""
    every = list(tools)
    owners: dict[str, list[tuple[str, str]]] = {}
    for server, name, tool in every:
        for each in {tool.name, name}:
            owners.setdefault(each, []).append((server, name))
    found: dict[str, str] = {}
    for server, name, tool in every:
        for said in sorted(names_in(tool)):
            having = owners.get(said, [])
            if having and all(owner != server for owner, _ in having):
                found[name] = having[0][1]
                break
    return found
