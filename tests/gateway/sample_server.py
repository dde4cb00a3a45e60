"""A small MCP server with well- and ill-behaved tools, run as a subprocess by the gateway's tests.

Usage: python sample_server.py [NAME] [--http PORT | --sse PORT] [--die-at-start CODE] [--pid-file FILE]
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp_types import Completion, ToolAnnotations


def build(name: str, pid_file: Path | None) -> MCPServer[Any]:
    server: MCPServer[Any] = MCPServer(name)

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    async def count(to: int, ctx: Context[Any, Any]) -> str:
        """Count up, reporting progress."""
        for step in range(to):
            await ctx.report_progress(step + 1, to, f"step {step + 1}")
        return f"counted to {to}"

    @server.tool()
    async def hang(marker: str) -> str:
        """Never answer; write a file when cancelled."""
        Path(marker).with_suffix(".started").touch()
        try:
            await anyio.sleep_forever()
        finally:
            Path(marker).touch()
        return "never"

    @server.tool()
    async def wait(started: str, go_on: str) -> str:
        """Write the file `started`, and answer once `go_on` is there."""
        Path(started).touch()
        while not Path(go_on).exists():  # noqa: ASYNC110 - another process makes it
            await anyio.sleep(0.01)
        return "went on"

    @server.tool()
    def fail() -> str:
        """Fail."""
        raise ValueError("no such thing")

    @server.tool()
    def die(code: int) -> str:
        """End the process in mid-call."""
        print(f"fatal: told to die with {code}", file=sys.stderr, flush=True)
        os._exit(code)

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def print_to_stdout() -> str:
        """Write to fd 1, as a careless library would."""
        os.write(1, b"this is not JSON-RPC\n")
        print("nor is this", flush=True)
        return "printed"

    @server.tool()
    async def grow(ctx: Context[Any, Any]) -> str:
        """Offer one more tool from now on."""

        def grown() -> str:
            """A tool that came later."""
            return "grown"

        server.add_tool(grown)
        await ctx.notify_tools_changed()
        await ctx.session.send_tool_list_changed()
        return "ok"

    @server.tool()
    def environment() -> dict[str, str]:
        """The environment as the server sees it."""
        return dict(os.environ)

    @server.tool()
    def child() -> int:
        """Start a child that ignores SIGTERM, and tell its process id."""
        code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        return process.pid

    @server.resource("note://motto")
    def motto() -> str:
        """A fixed text."""
        return "festina lente"

    @server.resource("note://{+path}")
    def note(path: str) -> str:
        """A text by path."""
        if path == "gone":
            raise ResourceNotFoundError(f"not found: {path}")
        return f"note {path} of {name}"

    @server.prompt()
    def greet(who: str) -> str:
        """Greet somebody."""
        return f"Greet {who} for {name}."

    @server.completion()
    async def complete(ref: Any, argument: Any, context: Any) -> Completion:
        return Completion(values=[value for value in ("alpha", "beta") if value.startswith(argument.value)])

    return server


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", nargs="?", default="sample")
    parser.add_argument("--http", type=int)
    parser.add_argument("--sse", type=int)
    parser.add_argument("--die-at-start", type=int)
    parser.add_argument("--ignore-sigterm", action="store_true")
    parser.add_argument("--pid-file", type=Path)
    args = parser.parse_args()
    if args.pid_file:
        args.pid_file.write_text(str(os.getpid()))
    if args.die_at_start is not None:
        print("fatal: can't open the thing", file=sys.stderr, flush=True)
        sys.exit(args.die_at_start)
    if args.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = build(args.name, args.pid_file)
    if args.http is not None:
        server.run("streamable-http", host="127.0.0.1", port=args.http)
    elif args.sse is not None:
        server.run("sse", host="127.0.0.1", port=args.sse)
    else:
        server.run("stdio")


if __name__ == "__main__":
    main()
