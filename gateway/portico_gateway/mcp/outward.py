"""What goes out to a host: results and tools in the gateway's names, as its protocol version may see them.

It owns the rewriting of URIs, what an older version can't take, and the return of parts that no version here knows.
"""

from __future__ import annotations

import json
from typing import Any

import mcp_types
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types.version import LATEST_MODERN_VERSION, MODERN_PROTOCOL_VERSIONS

from portico_gateway.upstreams.names import outward_uri
from portico_gateway.upstreams.wire.answers import restore_unknown_parts


async def as_servers_sent_it(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Parts of results and tools that this gateway's protocol version does not know go out as they came in."""
    result = await call_next(ctx)
    if isinstance(result, dict) and ctx.method == "tools/call":
        return restore_unknown_parts(result)
    if isinstance(result, dict) and ctx.method == "tools/list":
        return {**result, "tools": [restore_unknown_parts(tool) for tool in result["tools"]]}
    return result


def handshake_result(result: mcp_types.CallToolResult) -> dict[str, Any]:
    """A call's result as it goes out in the handshake eras, which know no `resultType`."""
    return result.model_dump(by_alias=True, mode="json", exclude_none=True, exclude={"result_type"})


def for_version(tool: mcp_types.Tool, version: str) -> mcp_types.Tool:
    """The tool as a host of this version may see it: until 2025-11-25 what a tool gives is an object."""
    output = tool.output_schema
    if output is None or version in MODERN_PROTOCOL_VERSIONS or output.get("type") == "object":
        return tool
    return tool.model_copy(update={"output_schema": None})


def outward_result(
    server: str, result: mcp_types.CallToolResult, version: str = LATEST_MODERN_VERSION
) -> mcp_types.CallToolResult:
    """The result in the gateway's names; itself, where nothing in it is named."""
    content = [outward_content(server, block) for block in result.content]
    structured = result.structured_content
    if structured is None or isinstance(structured, dict) or version in MODERN_PROTOCOL_VERSIONS:
        same = all(ours is theirs for ours, theirs in zip(content, result.content, strict=True))
        return result if same else result.model_copy(update={"content": content})
    if not content:
        text = json.dumps(structured, ensure_ascii=False, separators=(",", ":"))
        content = [mcp_types.TextContent(type="text", text=text)]
    return result.model_copy(update={"content": content, "structured_content": None})


def outward_content(server: str, block: mcp_types.ContentBlock) -> mcp_types.ContentBlock:
    """A content block whose resource can be read through the gateway. Web addresses stay: a host fetches them itself."""
    if isinstance(block, mcp_types.ResourceLink) and not block.uri.startswith(("http://", "https://")):
        return block.model_copy(update={"uri": outward_uri(server, block.uri)})
    if isinstance(block, mcp_types.EmbeddedResource):
        return block.model_copy(
            update={"resource": block.resource.model_copy(update={"uri": outward_uri(server, block.resource.uri)})}
        )
    return block
