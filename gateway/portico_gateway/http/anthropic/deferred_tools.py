"""Tools that a request brings but does not show (`defer_loading`): which of them a search has found, and how that is told.

A client's own search (Claude Code's ToolSearch) answers with `tool_reference` blocks. Each becomes the tool's definition where
it was found, so that the prompt before it stays as it was, and from there on the tool can be called. Shapes: Anthropic's
reference of its tool search tool.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Literal

from portico_engine import Tool
from portico_gateway.http.wire import LenientBody, ToolName

_SERVERS_SEARCH = "tool_search_tool_"  # with a date: the search that Anthropic's own server runs


class ToolReferenceBlock(LenientBody):
    """A tool that a search found."""

    type: Literal["tool_reference"]
    tool_name: ToolName

    def told(self, deferred: Mapping[str, Tool]) -> str:
        """The tool's definition; of one that the request does not defer (any more) its name alone."""
        tool = deferred.get(self.tool_name)
        if tool is None:
            return f"Found: {self.tool_name}"
        function = {"description": tool.description, "name": tool.name, "parameters": tool.parameters}
        said = json.dumps(function, ensure_ascii=False, separators=(",", ":"))
        return f"<functions>\n<function>{said}</function>\n</functions>"


def holds_back(deferring: Iterable[bool], other_types: Iterable[str]) -> bool:
    """Are deferred tools held back until they are found? `deferring`: of each of the client's tools, if it is deferred.
    They are not where nothing could find them: with none to search by, or where the server would search."""
    return not all(deferring) and not any(kind.startswith(_SERVERS_SEARCH) for kind in other_types)
