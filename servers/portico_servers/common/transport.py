"""How a server of ours meets its host: stdio or Streamable HTTP, both eras. It knows nothing of what the server does."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import MCPServer


def serve(server: MCPServer[Any], *, http: int | None = None, host: str = "127.0.0.1") -> None:
    """Run until the host hangs up (stdio) or the process is told to end (Streamable HTTP on `http`, path /mcp)."""
    if http is None:
        server.run("stdio")
    else:
        server.run("streamable-http", host=host, port=http)
