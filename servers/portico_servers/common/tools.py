"""What the tools of all servers have in common: annotations, input schemas without generated titles, results and errors.

It knows no tool, and not how any of them finds its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, TextContent, ToolAnnotations

from portico_servers.common.unicode_text import plain_text, plain_value

READ_ONLY = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)


def read_only_tool(function: Callable[..., Any], *, name: str | None = None, title: str, description: str) -> Tool:
    """A tool that changes nothing, its input schema made from the function's signature; `name` is the function's by default."""
    tool = Tool.from_function(function, name=name, title=title, description=description, annotations=READ_ONLY)
    tool.parameters = without_titles(tool.parameters)
    return tool


def without_titles(schema: Mapping[str, Any]) -> dict[str, Any]:
    """An input schema without pydantic's generated titles, which say every name twice, at a cost in every host's prompt."""
    plain = {key: value for key, value in schema.items() if key != "title"}
    if "properties" in schema:
        plain["properties"] = {
            name: {key: value for key, value in part.items() if key != "title"} for name, part in schema["properties"].items()
        }
    return plain


def tool_result(text: str, structured: Mapping[str, Any]) -> CallToolResult:
    """A tool's answer: structured content, and the short text that a person and a small model read."""
    return CallToolResult(
        content=[TextContent(type="text", text=plain_text(text))], structured_content=plain_value(dict(structured))
    )


def tool_error(text: str) -> CallToolResult:
    """An answer that says in exactly these words what was wrong; a raised ToolError would get the SDK's own before them."""
    return CallToolResult(content=[TextContent(type="text", text=plain_text(text))], is_error=True)
