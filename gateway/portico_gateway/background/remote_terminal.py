"""The client's terminal, as the process that answers sees it: two streams to write to, a person who may be asked.

Writing never waits and may come from any thread; lines go out in the order in which they were written.
"""

from __future__ import annotations

import asyncio
import io
import math
from typing import Any

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from portico_gateway.background.protocol import MAX_LINE, TerminalLooks, decode, encode


class RemoteStream(io.TextIOBase):
    """A text stream whose text becomes messages of one kind: "stdout" or "stderr"."""

    def __init__(self, terminal: RemoteTerminal, kind: str, *, is_terminal: bool, encoding: str) -> None:
        super().__init__()
        self._terminal, self._kind, self._is_terminal, self._encoding = terminal, kind, is_terminal, encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._is_terminal

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if text:
            self._terminal.send({self._kind: text})
        return len(text)


class RemoteTerminal:
    """Of one connection. `relay` must run while it is used."""

    def __init__(self, stream: SocketStream, lines: BufferedByteReceiveStream, looks: TerminalLooks) -> None:
        self.looks = looks
        self.stdout = RemoteStream(self, "stdout", is_terminal=looks.stdout_is_terminal, encoding=looks.encoding)
        self.stderr = RemoteStream(self, "stderr", is_terminal=looks.stderr_is_terminal, encoding=looks.encoding)
        self._stream, self._lines = stream, lines
        self._loop = asyncio.get_running_loop()
        self._out, self._to_send = anyio.create_memory_object_stream[dict[str, Any]](math.inf)
        self._heard, self._replies = anyio.create_memory_object_stream[dict[str, Any]](math.inf)

    def send(self, message: dict[str, Any]) -> None:
        """From any thread. What is sent to somebody who hung up is lost."""
        self._loop.call_soon_threadsafe(self._put, message)

    def _put(self, message: dict[str, Any]) -> None:
        try:
            self._out.send_nowait(message)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass

    async def confirm(self, question: Any) -> Any:
        """Ask the person at the client's terminal; both are JSON, and theirs who ask and answer."""
        self.send({"confirm": question})
        return (await self._replies.receive()).get("confirmed")

    async def listen(self) -> None:
        """Take the client's replies until it hangs up."""
        while True:
            try:
                message = decode(await self._lines.receive_until(b"\n", MAX_LINE))
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.DelimiterNotFound, ValueError):
                return
            self._heard.send_nowait(message)

    async def relay(self) -> None:
        """Send what is written, until `finish`; or until nobody takes it."""
        try:
            async for message in self._to_send:
                await self._stream.send(encode(message))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass

    def finish(self, code: int) -> None:
        """The last message; `relay` ends when it is sent."""
        self.send({"exit": code})
        self._loop.call_soon_threadsafe(self._out.close)

    def close(self) -> None:
        for each in (self._out, self._to_send, self._heard, self._replies):
            each.close()
