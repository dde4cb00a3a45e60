"""Requests over a server's pipes: a line out, and the result in the line that answers it.

The SDK's client takes a request through four streams, three tasks and as many models; a tool call, which is nearly all that a
gateway sends, needs none of them. It owns the ids of its requests, their progress, and telling the server of one that nobody
waits for any more. Whatever else a server sends goes to the SDK's session.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
import mcp_types
from anyio.abc import TaskGroup
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp_types import ErrorData, JSONRPCError, JSONRPCMessage, JSONRPCNotification, JSONRPCResponse

from portico_gateway.upstreams.wire.messages import id_number, write_message, write_request

log = logging.getLogger(__name__)

FIRST_ID = 1 << 30  # the SDK's own count from 1; some servers take no strings
_CANCEL_SECONDS = 5.0  # that telling of a cancellation may take
_TELL_SECONDS = 5.0  # that an answer waits for the progress before it to be told
_MAX_REPORTS = 200  # of one request that wait to be told; the newest count
_NOT_SENT = (OSError, anyio.ClosedResourceError, anyio.BrokenResourceError)
_CLOSED = ErrorData(code=mcp_types.CONNECTION_CLOSED, message="Connection closed")


@dataclass(slots=True)
class _Waiting:
    """`reports`: progress that was not told yet, the oldest first; `told`: is set when all is, and there where some is being
    told."""

    answer: asyncio.Future[dict[str, Any]]
    progress: ProgressFnT | None
    reports: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=_MAX_REPORTS))
    told: asyncio.Event | None = None

    async def tell(self, progress: ProgressFnT, told: asyncio.Event) -> None:
        while self.reports:
            await _report(progress, self.reports.popleft())
        self.told = None
        told.set()


class PipeRequests:
    """Of one connection. `send` writes lines whole; whoever reads the pipe gives `take` what `is_answer` knows."""

    def __init__(self, send: Callable[[bytes], Awaitable[None]], tasks: TaskGroup) -> None:
        """What hears of progress runs in `tasks`."""
        self._send = send
        self._lines: list[tuple[int, bytes]] = []  # of requests that go out together, after whoever can run has run
        self._tasks = tasks
        self._next_id = FIRST_ID
        self._waiting: dict[int, _Waiting] = {}
        self._closed = False

    async def request(self, method: str, params: Mapping[str, Any], progress: ProgressFnT | None = None) -> dict[str, Any]:
        """The result, as the server sent it, after all progress before it was told. Cancelling this cancels the request there.

        Raises MCPError for what it answers as an error, and with CONNECTION_CLOSED where the connection ends first; OSError and
        anyio's errors where nothing can be sent.
        """
        if self._closed:
            raise MCPError.from_error_data(_CLOSED)
        identity = self._next_id
        self._next_id += 1
        if progress is not None:
            params = {**params, "_meta": {**params.get("_meta", {}), "progressToken": identity}}
        line = write_request(identity, method, params)
        waiting = _Waiting(asyncio.get_running_loop().create_future(), progress)
        self._waiting[identity] = waiting
        try:
            await self._write(identity, line)
            answer = await waiting.answer
            if (told := waiting.told) is not None:
                with anyio.move_on_after(_TELL_SECONDS):
                    await told.wait()
            return answer
        except anyio.get_cancelled_exc_class():
            await self._cancel(identity)
            raise
        finally:
            del self._waiting[identity]
            del waiting  # what it holds as an error holds this frame

    async def _write(self, identity: int, line: bytes) -> None:
        """Send a request's line: with those of others that are made at the same time, since each write wakes the server."""
        if len(self._waiting) == 1:
            await self._send(line)
            return
        self._lines.append((identity, line))
        if len(self._lines) > 1:
            return  # the first of them sends it
        try:
            await asyncio.sleep(0)
            await anyio.lowlevel.checkpoint_if_cancelled()  # the pipe asks that, too, and then writes nothing
        except anyio.get_cancelled_exc_class():  # the others' lines are in it
            with anyio.move_on_after(_CANCEL_SECONDS, shield=True), suppress(*_NOT_SENT):
                await self._send_lines()
            raise
        await self._send_lines()

    async def _send_lines(self) -> None:
        lines, self._lines = self._lines, []
        try:
            await self._send(b"".join(line for _, line in lines))
        except _NOT_SENT as error:
            for identity, _ in lines[1:]:
                if (waiting := self._waiting.get(identity)) is not None and not waiting.answer.done():
                    waiting.answer.set_exception(error)
            raise

    async def _cancel(self, identity: int) -> None:
        if any(number == identity for number, _ in self._lines):  # it was not sent yet, and is not
            self._lines = [each for each in self._lines if each[0] != identity]
            return
        params = {"requestId": identity, "reason": "caller cancelled"}
        message = JSONRPCNotification(jsonrpc="2.0", method="notifications/cancelled", params=params)
        with (
            anyio.move_on_after(_CANCEL_SECONDS, shield=True),
            suppress(*_NOT_SENT),
        ):
            await self._send(write_message(message) + b"\n")

    @property
    def waiting(self) -> Iterable[int]:
        """The ids of the requests without an answer."""
        return self._waiting.keys()

    def is_answer(self, message: JSONRPCMessage) -> bool:
        """Whether it belongs to a request made here, waited for or not."""
        return _request_of(message) >= FIRST_ID

    def take(self, message: JSONRPCMessage) -> None:
        """An answer, or word of progress. What comes too late is dropped, and progress that comes too fast."""
        waiting = self._waiting.get(_request_of(message))
        if waiting is None or waiting.answer.done():
            return
        if isinstance(message, JSONRPCResponse):
            waiting.answer.set_result(message.result)
        elif isinstance(message, JSONRPCError):
            waiting.answer.set_exception(MCPError.from_error_data(message.error))
        elif isinstance(message, JSONRPCNotification) and waiting.progress is not None:
            waiting.reports.append(message.params or {})
            if waiting.told is None:
                waiting.told = asyncio.Event()
                self._tasks.start_soon(waiting.tell, waiting.progress, waiting.told)

    def close(self) -> None:
        """The connection has ended: nobody waits any longer."""
        self._closed = True
        for waiting in self._waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(MCPError.from_error_data(_CLOSED))


def _request_of(message: JSONRPCMessage) -> int:
    """The number of the request that a message is about; 0 where it is about none that has one."""
    identity: Any = None
    if isinstance(message, JSONRPCResponse | JSONRPCError):
        identity = message.id
    elif isinstance(message, JSONRPCNotification) and message.method == "notifications/progress":
        identity = (message.params or {}).get("progressToken")
    identity = id_number(identity)
    return identity if isinstance(identity, int) else 0


async def _report(progress: ProgressFnT, said: Mapping[str, Any]) -> None:
    try:
        done, total, text = said.get("progress"), said.get("total"), said.get("message")
        if isinstance(done, int | float) and not isinstance(done, bool):
            await progress(
                float(done),
                float(total) if isinstance(total, int | float) else None,
                text if isinstance(text, str) else None,
            )
    except Exception:
        log.warning("progress could not be told", exc_info=True)
