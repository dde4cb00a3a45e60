"""What a server asks of its client, bounded: as much as a few calls may need, and what it asks beyond is refused.

It owns the allowance of a connection, and the answers that need no session: to pings, and those that refuse. It knows nothing
of what is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import mcp_types
from mcp_types import JSONRPCError, JSONRPCRequest, JSONRPCResponse

from portico_gateway.upstreams.wire.messages import write_message

log = logging.getLogger(__name__)

MAX_ALLOWED = 256  # requests of a server's that are passed on at once
PER_REQUEST = 32  # more, for each request that it is sent: no call may ask more
_PER_SECOND = 10.0  # more, as time passes
_MAX_LINES = 1000  # quick answers that wait to be written
_PATIENCE = 1.0  # seconds that a server may let them wait before they are left out
_REFUSED = mcp_types.ErrorData(code=mcp_types.INVALID_REQUEST, message="more requests than this client answers at once")


class AskedRequests:
    """How much one server may ask yet."""

    def __init__(self) -> None:
        self._allowed = float(MAX_ALLOWED)
        self._since = anyio.current_time()

    def grant(self) -> None:
        """The server is sent a request, for which it may ask back."""
        self._allowed = min(MAX_ALLOWED, self._allowed + PER_REQUEST)

    def admit(self, message: mcp_types.JSONRPCMessage) -> bool:
        """Whether it may be passed on, which a request may not beyond what is allowed."""
        if not isinstance(message, JSONRPCRequest):
            return True
        now = anyio.current_time()
        self._allowed = min(MAX_ALLOWED, self._allowed + _PER_SECOND * (now - self._since))
        self._since = now
        if self._allowed < 1:
            return False
        self._allowed -= 1
        return True


class QuickAnswers:
    """Answers that are written by `write` as fast as the server reads; one that doesn't read gets none. `send` writes its lines
    whole."""

    def __init__(self, server: str, send: Callable[[bytes], Awaitable[None]]) -> None:
        self._server = server
        self._send = send
        self._lines: list[bytes] = []
        self._more, self._taken = anyio.Event(), anyio.Event()
        self._is_reading = True
        self._told: set[str] = set()

    async def pong(self, request: JSONRPCRequest) -> None:
        await self._give(JSONRPCResponse(jsonrpc="2.0", id=request.id, result={}))

    async def refuse(self, request: JSONRPCRequest) -> None:
        self._tell("asks without end and is refused")
        await self._give(JSONRPCError(jsonrpc="2.0", id=request.id, error=_REFUSED))

    async def write(self) -> None:
        """Until the server reads no more, or cancelled."""
        with suppress(OSError, anyio.ClosedResourceError, anyio.BrokenResourceError):
            while True:
                await self._more.wait()
                self._more = anyio.Event()
                lines, self._lines = self._lines, []
                self._taken.set()
                self._taken = anyio.Event()
                await self._send(b"".join(lines))
                self._is_reading = True

    async def _give(self, answer: mcp_types.JSONRPCMessage) -> None:
        if len(self._lines) >= _MAX_LINES and self._is_reading:
            with anyio.move_on_after(_PATIENCE) as waited:
                await self._taken.wait()
            self._is_reading = not waited.cancelled_caught
        if len(self._lines) >= _MAX_LINES:
            self._tell("asks and does not read its answers, which are left out")
            return
        self._lines.append(write_message(answer) + b"\n")
        self._more.set()

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            log.warning("server %r %s", self._server, text)
