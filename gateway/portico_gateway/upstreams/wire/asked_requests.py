"""What a server asks of its client and tells it, bounded: as much as a few calls may need. What it asks beyond is refused,
lines of its log beyond are left out.

It owns the allowances of a connection, and the answers that need no session: to pings, and those that refuse. It knows nothing
of what is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import anyio
import mcp_types
from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

log = logging.getLogger(__name__)

MAX_ALLOWED = 256  # requests of a server's, and lines of its log, that are passed on at once
PER_REQUEST = 32  # more, for each request that it is sent: no call may ask more
_PER_SECOND = 10.0  # more, as time passes
_LINES_PER_SECOND = 100.0  # of its log
_MAX_ANSWERS = 1000  # quick answers that wait to be written
_PATIENCE = 1.0  # seconds that a server may let them wait before they are left out
_REFUSED = mcp_types.ErrorData(code=mcp_types.INVALID_REQUEST, message="more requests than this client answers at once")


class AskedRequests:
    """How much one server may ask yet."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._requests, self._lines = _Allowance(_PER_SECOND), _Allowance(_LINES_PER_SECOND)
        self._told = False

    def grant(self) -> None:
        """The server is sent a request, for which it may ask back, and of which it may tell."""
        self._requests.grant()
        self._lines.grant()

    def admit(self, message: mcp_types.JSONRPCMessage) -> bool:
        """Whether it may be passed on, which a request or a line of its log may not beyond what is allowed."""
        if isinstance(message, JSONRPCRequest):
            return self._requests.take()
        if not isinstance(message, JSONRPCNotification) or message.method != "notifications/message" or self._lines.take():
            return True
        if not self._told:
            self._told = True
            log.warning("server %r writes its log without end; lines of it are left out", self._server)
        return False


class _Allowance:
    def __init__(self, per_second: float) -> None:
        self._left = float(MAX_ALLOWED)
        self._per_second = per_second
        self._since = anyio.current_time()

    def grant(self) -> None:
        self._left = min(MAX_ALLOWED, self._left + PER_REQUEST)

    def take(self) -> bool:
        now = anyio.current_time()
        self._left = min(MAX_ALLOWED, self._left + self._per_second * (now - self._since))
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class QuickAnswers:
    """Answers that are written by `write` as fast as the server reads; one that doesn't read gets none. `send` takes some."""

    def __init__(self, server: str, send: Callable[[Sequence[JSONRPCMessage]], Awaitable[None]]) -> None:
        self._server = server
        self._send = send
        self._answers: list[JSONRPCMessage] = []
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
                answers, self._answers = self._answers, []
                self._taken.set()
                self._taken = anyio.Event()
                await self._send(answers)
                self._is_reading = True

    async def _give(self, answer: JSONRPCMessage) -> None:
        if len(self._answers) >= _MAX_ANSWERS and self._is_reading:
            with anyio.move_on_after(_PATIENCE) as waited:
                await self._taken.wait()
            self._is_reading = not waited.cancelled_caught
        if len(self._answers) >= _MAX_ANSWERS:
            self._tell("asks and does not read its answers, which are left out")
            return
        self._answers.append(answer)
        self._more.set()

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            log.warning("server %r %s", self._server, text)
