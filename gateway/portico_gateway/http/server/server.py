"""The server: uvicorn over a listening socket, which goes on where the process has run out of file handles.

asyncio then stops accepting for a second; but before that it tries as often as its backlog says, and logs each time, and with
uvicorn's 2,048 that is a flood which feeds itself. One try an event, and one line.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from portico_gateway.http.draining import Drain
from portico_servers.common.http_connection import IDLE_SECONDS, BoundedConnection

log = logging.getLogger(__name__)

BACKLOG = 1024  # connections that the kernel holds until they are accepted
GRACE_SECONDS = 3  # that running requests get at the end
_NO_HANDLES = "socket.accept() out of system resource"  # asyncio's words, the only sign that it gives


class HttpServer(uvicorn.Server):
    """`run(sockets=[...])` serves `app` until it is told to end."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        drain: Drain | None = None,
        drain_seconds: float = 0.0,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        """`tls`: certificate chain and key. At the end requests under way get `drain_seconds`, and `drain` tells the
        application."""
        self._drain = drain or Drain()
        self._drain_seconds = drain_seconds
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",  # uvloop, if installed, would be taken, and starts no process in a group of its own
                http=BoundedConnection,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=1,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
                ssl_certfile=tls[0] if tls is not None else None,
                ssl_keyfile=tls[1] if tls is not None else None,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """No new connections and requests; what is under way gets its time; then streams end, and the rest is cut."""
        self._drain.begin()
        for server in self.servers:
            server.close()
        if not self.force_exit:
            await self._drain.idle(self._drain_seconds)
        self._drain.end()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(_on_exception)
        await super().startup(sockets=sockets)
        for sock in sockets or ():
            sock.listen(BACKLOG)  # the loop set it to the tries that it makes


def _on_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if context.get("message") == _NO_HANDLES:
        log.warning("no new connection is accepted for a second: %s", context.get("exception"))
    else:
        loop.default_exception_handler(context)
