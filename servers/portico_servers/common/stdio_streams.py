"""MCP's stdio: the messages that a host writes on fd 0 and those for it on fd 1, one a line. It knows nothing of what they say.

While it runs fd 0 is empty and fd 1 leads to stderr, so that nobody else reads the host's messages or writes between ours,
child processes and native libraries included. Pipes and sockets are read and written on the event loop; a file or a terminal
takes a thread each way, three changes of thread a call.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, BinaryIO

import anyio
import anyio.lowlevel
import anyio.to_thread
import mcp_types
from anyio.streams.memory import MemoryObjectSendStream
from mcp.shared.message import SessionMessage

from portico_servers.common.edges import encoded
from portico_servers.common.host_messages import Refusal, outer_id, read_host_messages
from portico_servers.common.lines import Line, LineSplitter

MAX_LINE = 64 << 20  # bytes; what is beyond is read past and not kept
_EDGE = 4096  # bytes of the ends of a longer line that are kept
_LARGE = 256 << 10  # bytes; from here on a line is parsed in a thread
_CHUNK = 64 << 10  # bytes read at once
_WAITING = 1 << 20  # bytes that may wait to be read, or to be written before a writer waits
_FLUSH_SECONDS = 5.0  # that a host has to read the rest at the end
FromHost = SessionMessage | Refusal


@asynccontextmanager
async def stdio_streams() -> AsyncIterator[tuple[Any, Any]]:
    """What the host writes, an iterator of FromHost, and what takes messages for it (`send`, `aclose`). A host that reads no
    more is no error: it has hung up."""
    streams = _pipes if _is_pipe(0) and _is_pipe(1) and not _is_same(0, 1) and not _is_same(1, 2) else _threads
    with _moved(0, os.O_RDONLY) as stdin, _moved(1, os.O_WRONLY) as stdout:
        async with streams(stdin, stdout) as (read, write):
            yield read, write


@contextmanager
def _moved(fd: int, mode: int) -> Iterator[int]:
    """A private descriptor of what `fd` leads to, which leads somewhere harmless meanwhile."""
    private = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    blocking = os.get_blocking(private)
    harmless = os.dup(2) if mode == os.O_WRONLY and _is_open(2) else os.open(os.devnull, mode)
    os.dup2(harmless, fd)
    os.close(harmless)
    try:
        yield private  # never closed: a thread may still wait for a line
    finally:
        os.set_blocking(private, blocking)  # others may have it, too
        os.dup2(private, fd)


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


def _messages(line: Line) -> list[FromHost]:
    if line.is_cut:
        said = mcp_types.ErrorData(code=mcp_types.INVALID_REQUEST, message=f"a message has at most {MAX_LINE >> 20} MiB")
        return [Refusal(mcp_types.JSONRPCError(jsonrpc="2.0", id=outer_id(line.data)[0], error=said))]
    return [each if isinstance(each, Refusal) else SessionMessage(each) for each in read_host_messages(line.data)]


class _Host:
    """Takes messages, each a line, which `write` writes whole and in order. Where nobody reads any more they are dropped: the
    end of stdin tells of that.
    """

    def __init__(self, write: Callable[[bytes], Awaitable[None]], close: Callable[[], Awaitable[None]]) -> None:
        self._write = write
        self._close = close
        self._hung_up = False

    async def send(self, item: SessionMessage, /) -> None:
        if self._hung_up:
            return
        try:
            await self._write(encoded(item.message).encode() + b"\n")
        except OSError:
            if not self._hung_up:
                self._hung_up = True
                with suppress(OSError, ValueError):
                    print(f"{os.path.basename(sys.argv[0])}: the host reads no more", file=sys.stderr)

    async def aclose(self) -> None:
        """What was taken is written first, if the host reads it."""
        with suppress(ConnectionError):
            await self._close()

    async def __aenter__(self) -> _Host:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


@asynccontextmanager
async def _pipes(stdin: int, stdout: int) -> AsyncIterator[tuple[Any, Any]]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(_WAITING)
    protocol = asyncio.StreamReaderProtocol(reader)
    incoming, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(stdin, "rb", 0, closefd=False))
    flow = asyncio.StreamReaderProtocol(asyncio.StreamReader())
    outgoing, _ = await loop.connect_write_pipe(lambda: flow, os.fdopen(stdout, "wb", 0, closefd=False))
    outgoing.set_write_buffer_limits(_WAITING)
    writer = asyncio.StreamWriter(outgoing, flow, None, loop)

    async def write(line: bytes) -> None:
        writer.write(line)
        await writer.drain()

    async def close() -> None:
        writer.close()
        with anyio.move_on_after(_FLUSH_SECONDS):
            await writer.wait_closed()

    host = _Host(write, close)
    try:
        yield _from_pipe(reader), host
    finally:
        incoming.close()
        await host.aclose()


async def _from_pipe(reader: asyncio.StreamReader) -> AsyncIterator[FromHost]:
    lines = LineSplitter(MAX_LINE, _EDGE)
    while chunk := await reader.read(_CHUNK):
        for line in lines.feed(chunk):
            for message in await _parsed(line):
                yield message
    for message in await _parsed(lines.take()):  # the end of stdin ends the last line, too
        yield message


async def _parsed(line: Line) -> list[FromHost]:
    return _messages(line) if len(line.data) < _LARGE else await asyncio.to_thread(_messages, line)


@asynccontextmanager
async def _threads(stdin: int, stdout: int) -> AsyncIterator[tuple[Any, Any]]:
    to_server, incoming = anyio.create_memory_object_stream[FromHost](0)
    source, sink = os.fdopen(stdin, "rb", closefd=False), os.fdopen(stdout, "wb", closefd=False)

    turn = anyio.Lock()

    async def write(line: bytes) -> None:
        async with turn:
            await anyio.to_thread.run_sync(_write_line, sink, line)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_read, source, to_server)
        yield incoming, _Host(write, anyio.lowlevel.checkpoint)


async def _read(source: BinaryIO, to_server: MemoryObjectSendStream[FromHost]) -> None:
    async with to_server:
        while (messages := await anyio.to_thread.run_sync(_read_line, source)) is not None:
            for message in messages:
                try:
                    await to_server.send(message)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    return  # nobody listens any more


def _read_line(source: BinaryIO) -> list[FromHost] | None:
    """The messages of the next line; None at the end."""
    lines = LineSplitter(MAX_LINE, _EDGE)
    while piece := source.readline(_WAITING):
        if ended := lines.feed(piece):
            return _messages(ended[0])
    last = lines.take()
    return _messages(last) if last.data else None


def _write_line(sink: BinaryIO, line: bytes) -> None:
    sink.write(line)
    sink.flush()
