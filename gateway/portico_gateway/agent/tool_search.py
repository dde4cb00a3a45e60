"""A catalog that is too large to be told whole: one tool that finds others, and what it says of them.

It owns the words of `find_tools` and `call_tool`, for the model of this machine, another server's and an MCP host's, and which
search is used for which view of the catalog. What was found is only ever appended to a conversation, so that its prefix stays.
"""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import mcp_types

from portico_engine import Tool
from portico_gateway.agent.tool_signatures import signature
from portico_gateway.errors import GatewayError
from portico_gateway.guidance.catalog_search import CatalogSearch
from portico_gateway.guidance.tool_retrieval import TextEmbedding

FIND_TOOLS = "find_tools"
CALL_TOOL = "call_tool"
FOUND = 5  # tools that a search shows unless more are asked for
MOST_FOUND = 20
_ABOUT = 70  # characters that are said of a found tool
_MAX_OPTIONAL = 4  # of its parameters that are told
_MAX_SERVERS = 40  # that the description of `find_tools` names
_MAX_VIEWS = 8  # of the catalog, by caller, that are kept ready
_FIND_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "minLength": 1, "maxLength": 500, "description": "What is to be done, in a few words"},
        "limit": {"type": "integer", "minimum": 1, "maximum": MOST_FOUND, "description": f"At most so many; default {FOUND}"},
    },
    "required": ["query"],
    "additionalProperties": False,
}
_CALL_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": f"A name that {FIND_TOOLS} has shown"},
        "arguments": {"type": "object", "description": "As the tool's schema says"},
    },
    "required": ["name", "arguments"],
    "additionalProperties": False,
}


def find_tool(servers: Sequence[str], *, by_name: bool) -> Tool:
    """`find_tools` over tools of these servers, one entry a tool. `by_name`: what it shows is called by its own name."""
    counts = Counter(servers)
    listed = ", ".join(f"{server} ({count})" for server, count in list(counts.items())[:_MAX_SERVERS])
    more = f" and {len(counts) - _MAX_SERVERS} more" if len(counts) > _MAX_SERVERS else ""
    then = "then call what fits by its own name" if by_name else f"then call what fits with {CALL_TOOL}"
    about = f"Find tools for what is to be done, {then}. There are {len(servers)} tools, of these servers: {listed}{more}."
    return Tool(FIND_TOOLS, about, _FIND_SCHEMA)


def call_tool() -> Tool:
    """`call_tool`, for whoever can't call a tool that was not listed from the beginning."""
    return Tool(CALL_TOOL, f"Call a tool that {FIND_TOOLS} has shown, with arguments of its schema.", _CALL_SCHEMA)


def read_query(arguments: Mapping[str, Any]) -> tuple[str, int]:
    """The query and how many tools are wanted. Raises GatewayError."""
    query, limit = arguments.get("query"), arguments.get("limit", FOUND)
    if not isinstance(query, str) or not query.strip():
        raise GatewayError("'query' must say in a few words what is to be done")
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MOST_FOUND:
        raise GatewayError(f"'limit' must be a number from 1 to {MOST_FOUND}")
    return query.strip(), limit


def read_call(arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The tool and its arguments, of a call of `call_tool`. Raises GatewayError."""
    name, inner = arguments.get("name"), arguments.get("arguments", {})
    if not isinstance(name, str) or not name:
        raise GatewayError(f"'name' must be the name of a tool that {FIND_TOOLS} has shown")
    if not isinstance(inner, dict):
        raise GatewayError("'arguments' must be an object, as the tool's schema says")
    return name, inner


def found_result(found: Sequence[Tool], *, by_name: bool, known: Collection[str] = ()) -> mcp_types.CallToolResult:
    """What a search shows: a signature a tool where the grammar knows the schemas, else the schemas. Of tools that are
    `known`, since an earlier search has shown them, names alone."""
    if not found:
        text = "No tool was found; say in other words what is to be done."
    elif by_name:
        text = "\n".join(f"{tool.name}, as above" if tool.name in known else _brief(tool) for tool in found)
    else:
        text = json.dumps([_as_json(tool) for tool in found], ensure_ascii=False, separators=(",", ":"))
    return mcp_types.CallToolResult(
        content=[mcp_types.TextContent(type="text", text=text)],
        structured_content=None if by_name else {"tools": [_as_json(tool) for tool in found]},
    )


def _brief(tool: Tool) -> str:
    """A signature with what is required and the first of what isn't; the grammar knows the rest."""
    properties, required = tool.parameters.get("properties"), tool.parameters.get("required", [])
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        return signature(tool, _ABOUT)
    optional = [name for name in properties if name not in required]
    gone = set(optional[_MAX_OPTIONAL:])
    kept = {name: schema for name, schema in properties.items() if name not in gone}
    said = signature(replace(tool, parameters={**tool.parameters, "properties": kept}), _ABOUT)
    return said.replace(") - ", f", and {len(gone)} optional more) - ", 1) if gone else said


def _as_json(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "inputSchema": tool.parameters}


class CatalogSearches:
    """Searches by view of the catalog: callers that see the same tools share one."""

    def __init__(self, embedder: Callable[[], TextEmbedding]) -> None:
        """`embedder` gives the embeddings, when they are first needed."""
        self._embedder = embedder
        self._ready: OrderedDict[tuple[str, ...], CatalogSearch] = OrderedDict()

    def search(self, key: str, tools: Sequence[Tool], servers: Mapping[str, str], query: str, limit: int) -> list[Tool]:
        """The tools that fit; `key` changes whenever a definition does. The first search of a view takes longer: call it from a
        thread."""
        view = (key, *(tool.name for tool in tools))
        if view not in self._ready:
            self._ready[view] = CatalogSearch(tools, servers, self._embedder())
            if len(self._ready) > _MAX_VIEWS:
                self._ready.popitem(last=False)
        self._ready.move_to_end(view)
        return self._ready[view].search(query, limit)
