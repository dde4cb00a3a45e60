"""MCP's messages over the process's own stdin and stdout, on the event loop where these are pipes or sockets.

The SDK reads and writes them in threads, three changes of thread a call, which a file or a terminal needs and a pipe does not:
those stay the SDK's. It owns the two descriptors while it runs, and a line's way to a message and back.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from typing import Any

import anyio
import mcp_types
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage

from portico_servers.common.edges import EncodedStream, encoded

_CHUNK = 64 << 10  # bytes read at once
_LIMIT = 1 << 20  # bytes that may wait to be read, or to be written before a writer waits
_FLUSH_SECONDS = 5.0  # that a host has to read the rest at the end


def own_streams() -> AbstractAsyncContextManager[tuple[Any, Any]]:
    """(messages that come in, and failures to read one; a stream that takes messages). While it is open, fd 0 is empty and fd 1
    points at stderr for everybody else, native libraries and children included."""
    if _is_pipe(0) and _is_pipe(1) and not _is_same(0, 1) and not _is_same(1, 2):
        return _pipe_streams()
    return _encoded_streams()


def _is_pipe(fd: int) -> bool:
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _is_same(one: int, other: int) -> bool:
    """Whether two descriptors are one pipe or socket: then what is set for one is set for the other, too."""
    try:
        return os.path.sameopenfile(one, other)
    except OSError:
        return False


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


@asynccontextmanager
async def _encoded_streams() -> AsyncIterator[tuple[Any, Any]]:
    async with stdio_server() as (read, write):
        yield read, EncodedStream(write)


@asynccontextmanager
async def _pipe_streams() -> AsyncIterator[tuple[Any, Any]]:
    loop = asyncio.get_running_loop()
    with _moved(0, os.O_RDONLY) as stdin, _moved(1, os.O_WRONLY) as stdout:
        reader = asyncio.StreamReader(_LIMIT)
        protocol = asyncio.StreamReaderProtocol(reader)
        incoming, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(stdin, "rb", 0, closefd=False))
        flow = asyncio.StreamReaderProtocol(asyncio.StreamReader())
        outgoing, _ = await loop.connect_write_pipe(lambda: flow, os.fdopen(stdout, "wb", 0, closefd=False))
        outgoing.set_write_buffer_limits(_LIMIT)
        writer = PipeWriter(asyncio.StreamWriter(outgoing, flow, None, loop))
        try:
            yield _messages(reader), writer
        finally:
            incoming.close()
            await writer.aclose()


@contextmanager
def _moved(fd: int, mode: int) -> Iterator[int]:
    """A private descriptor of what `fd` is, which is something harmless meanwhile."""
    private = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    blocking = os.get_blocking(private)
    harmless = os.dup(2) if mode == os.O_WRONLY and _is_open(2) else os.open(os.devnull, mode)
    os.dup2(harmless, fd)
    os.close(harmless)
    try:
        yield private
    finally:
        os.set_blocking(private, blocking)  # others may have it, too
        os.dup2(private, fd)
        os.close(private)


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[SessionMessage | Exception]:
    async for line in _lines(reader):
        try:
            yield SessionMessage(mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False))
        except ValueError as error:
            yield error


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    parts: list[bytes] = []
    while chunk := await reader.read(_CHUNK):
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            yield (b"".join(parts) + line).decode("utf-8", "replace")
            parts.clear()
        parts.append(rest)
    if last := b"".join(parts):
        yield last.decode("utf-8", "replace")


class PipeWriter:
    """Takes messages, each a line. Where nobody reads any more they are dropped: the end of stdin tells of that."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def send(self, item: SessionMessage, /) -> None:
        self._writer.write(encoded(item.message).encode() + b"\n")
        with suppress(ConnectionError):
            await self._writer.drain()

    async def aclose(self) -> None:
        """What was taken is written first, if the host reads it."""
        self._writer.close()
        with anyio.move_on_after(_FLUSH_SECONDS), suppress(ConnectionError):
            await self._writer.wait_closed()

    async def __aenter__(self) -> PipeWriter:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
