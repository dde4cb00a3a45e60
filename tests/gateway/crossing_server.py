"""A small MCP server that does everything which has to cross a gateway; run as a subprocess by tests.

Usage: python crossing_server.py [--http PORT]

It serves both eras: what a server pushes is a request of its own through 2025-11-25, and part of a call's answer since.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Annotated, Any

import anyio
import mcp_types
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve, Sample
from mcp_types import Completion, CreateMessageResultWithTools, ListRootsResult, SamplingMessage, TextContent, ToolAnnotations
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel

READ = ToolAnnotations(read_only_hint=True)
NOTE = "note://x"
APP = "ui://clock/face.html"
cancelled: list[str] = []
subscribed: list[str] = []


class Size(BaseModel):
    size: int


def ask_size() -> Elicit[Size]:
    return Elicit("Which size?", Size)


def ask_model() -> Sample:
    said = SamplingMessage(role="user", content=TextContent(type="text", text="Use the tool."))
    tool = mcp_types.Tool(name="clock", description="The time.", input_schema={"type": "object", "properties": {}})
    return Sample(messages=[said], max_tokens=16, tools=[tool])


def ask_roots() -> ListRoots:
    return ListRoots()


def build() -> MCPServer[Any]:
    server: MCPServer[Any] = MCPServer("crossing")

    @server.tool(annotations=READ)
    async def log(ctx: Context[Any, Any]) -> str:
        """Log three lines."""
        for level, data in (("debug", "small"), ("warning", "careful"), ("error", {"code": 7})):
            await ctx.session.send_log_message(level, data, "part", related_request_id=ctx.request_id)  # type: ignore[arg-type]
        return "logged"

    @server.tool(annotations=READ)
    async def steps(ctx: Context[Any, Any]) -> str:
        """Report progress."""
        for step in (1.0, 2.0):
            await ctx.report_progress(step, 2.0, f"step {step:.0f}")
        return "done"

    @server.tool(annotations=READ)
    def form(size: Annotated[Size, Resolve(ask_size)]) -> str:
        """Ask the user for a size."""
        return f"size {size.size}"

    @server.tool(annotations=READ)
    def think(answer: Annotated[CreateMessageResultWithTools, Resolve(ask_model)]) -> str:
        """Ask the host's model, which may call a tool."""
        blocks = answer.content if isinstance(answer.content, list) else [answer.content]
        return ", ".join(f"{block.type} {getattr(block, 'name', '')}".strip() for block in blocks)

    @server.tool(annotations=READ)
    def where(roots: Annotated[ListRootsResult, Resolve(ask_roots)]) -> list[str]:
        """Ask for the host's roots."""
        return [str(root.uri) for root in roots.roots]

    @server.tool(annotations=READ)
    async def page(ctx: Context[Any, Any]) -> Any:
        """Send the user to a page."""
        url, identity = "https://login.example/start", "e-1"
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            answer = await ctx.session.elicit_url("Please log in.", url, identity, related_request_id=ctx.request_id)
            return answer.action
        if ctx.input_responses and "page" in ctx.input_responses:
            return ctx.input_responses["page"].action
        params = mcp_types.ElicitRequestURLParams(message="Please log in.", url=url, elicitation_id=identity)
        return mcp_types.InputRequiredResult(input_requests={"page": mcp_types.ElicitRequest(params=params)}, request_state="s")

    @server.tool(annotations=READ)
    async def hang() -> str:
        """Never answer, and remember how that ended."""
        try:
            await anyio.sleep_forever()
        except BaseException:
            cancelled.append("hang")
            raise
        return "never"

    @server.tool(annotations=READ)
    def ended() -> list[str]:
        """Which calls were cancelled."""
        return cancelled

    @server.tool(annotations=READ)
    async def touch(ctx: Context[Any, Any]) -> str:
        """Change the note, and say so in either era."""
        await ctx.notify_resource_updated(NOTE)
        await ctx.session.send_resource_updated(NOTE)
        return "touched"

    @server.tool(annotations=READ, meta={"ui": {"resourceUri": APP}})
    def clock() -> str:
        """Show a clock."""
        return "12:00"

    @server.resource(NOTE)
    def note() -> str:
        """A text."""
        return "text"

    @server.resource(APP, mime_type="text/html;profile=mcp-app")
    def face() -> str:
        """The clock's face."""
        return "<html></html>"

    @server.prompt()
    def greet(name: str) -> str:
        """Greet somebody."""
        return f"Hello {name}"

    @server.completion()
    async def complete(ref: Any, argument: Any, context: Any) -> Completion:
        return Completion(values=[name for name in ("Ada", "Alan", "Grace") if name.startswith(argument.value)])

    _serve_subscriptions(server)
    return server


def _serve_subscriptions(server: MCPServer[Any]) -> None:
    """What the handshake eras call `resources/subscribe`, and `logging/setLevel`."""

    async def subscribe(ctx: Any, params: mcp_types.SubscribeRequestParams) -> mcp_types.EmptyResult:
        subscribed.append(params.uri)
        return mcp_types.EmptyResult()

    async def unsubscribe(ctx: Any, params: mcp_types.UnsubscribeRequestParams) -> mcp_types.EmptyResult:
        return mcp_types.EmptyResult()

    async def set_level(ctx: Any, params: mcp_types.SetLevelRequestParams) -> mcp_types.EmptyResult:
        return mcp_types.EmptyResult()

    lowlevel = server._lowlevel_server
    lowlevel.add_request_handler("resources/subscribe", mcp_types.SubscribeRequestParams, subscribe)
    lowlevel.add_request_handler("resources/unsubscribe", mcp_types.UnsubscribeRequestParams, unsubscribe)
    lowlevel.add_request_handler("logging/setLevel", mcp_types.SetLevelRequestParams, set_level)


def main() -> None:
    warnings.simplefilter("ignore")  # what 2026-07-28 deprecates has to cross all the same
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=int)
    args = parser.parse_args()
    if args.http is not None:
        build().run("streamable-http", host="127.0.0.1", port=args.http)
    else:
        build().run("stdio")


if __name__ == "__main__":
    main()
