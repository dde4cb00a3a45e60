"""A small MCP server whose tools ask back, in either way of the SDK, and some that write; run as a subprocess by tests.

Usage: python asking_server.py [--http PORT]
"""

from __future__ import annotations

import argparse
from typing import Annotated, Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve, Sample
from mcp_types import CreateMessageResult, ListRootsResult, SamplingMessage, TextContent, ToolAnnotations
from pydantic import BaseModel

READ = ToolAnnotations(read_only_hint=True)


class Size(BaseModel):
    size: int


def ask_size() -> Elicit[Size]:
    return Elicit("Which size?", Size)


def ask_model() -> Sample:
    said = SamplingMessage(role="user", content=TextContent(type="text", text="Say something."))
    return Sample(messages=[said], max_tokens=16)


def ask_roots() -> ListRoots:
    return ListRoots()


def build() -> MCPServer[Any]:
    server: MCPServer[Any] = MCPServer("asking")

    @server.tool(annotations=READ)
    def order(size: Annotated[Size, Resolve(ask_size)]) -> str:
        """Ask the user for a size, in the connection's own era."""
        return f"size {size.size}"

    @server.tool(annotations=READ)
    async def order_by_request(ctx: Context[Any, Any]) -> str:
        """Ask by a request of the server's own, which exists through 2025-11-25 only."""
        answer = await ctx.elicit("Which size?", Size)
        return f"size {answer.data.size}" if answer.action == "accept" else answer.action

    @server.tool(annotations=READ)
    def think(answer: Annotated[CreateMessageResult, Resolve(ask_model)]) -> str:
        """Ask the host's model."""
        assert isinstance(answer.content, TextContent)
        return f"{answer.model}: {answer.content.text}"

    @server.tool(annotations=READ)
    def able(ctx: Context[Any, Any]) -> dict[str, Any]:
        """What the caller can be asked, as far as the server is told."""
        can = ctx.session.client_capabilities
        return {} if can is None else can.model_dump(mode="json", by_alias=True, exclude_none=True)

    @server.tool(annotations=READ)
    def where(roots: Annotated[ListRootsResult, Resolve(ask_roots)]) -> list[str]:
        """Ask for the host's roots."""
        return [str(root.uri) for root in roots.roots]

    @server.tool(annotations=READ)
    async def hang() -> str:
        """Never answer."""
        await anyio.sleep_forever()
        return "never"

    @server.tool(annotations=READ)
    def read() -> str:
        """Read something."""
        return "text"

    @server.tool(annotations=ToolAnnotations(read_only_hint=False))
    def write(text: str) -> str:
        """Write something."""
        return f"wrote {text}"

    @server.tool(annotations=READ)
    def headers(ctx: Context[Any, Any]) -> dict[str, str]:
        """The HTTP headers of the request as they came."""
        return dict(ctx.headers or {})

    @server.resource("note://x")
    def note() -> str:
        """A text."""
        return "text"

    return server


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=int)
    args = parser.parse_args()
    if args.http is not None:
        build().run("streamable-http", host="127.0.0.1", port=args.http)
    else:
        build().run("stdio")


if __name__ == "__main__":
    main()
