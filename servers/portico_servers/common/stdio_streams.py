"""MCP's stdio: the messages that a host writes on fd 0 and those for it on fd 1, one a line. It knows nothing of what they say.

While it runs fd 0 is empty and fd 1 leads to stderr, so that nobody else reads the host's messages or writes between ours,
child processes and native libraries included.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import BinaryIO

import anyio
import mcp_types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

from portico_servers.common.edges import encoded
from portico_servers.common.host_messages import Refusal, outer_id, read_host_messages

MAX_LINE = 64 << 20  # bytes; what is beyond is read past and not kept
_EDGE = 4096  # bytes of the ends of a longer line that are kept
FromHost = SessionMessage | Refusal


@asynccontextmanager
async def stdio_streams() -> AsyncIterator[tuple[MemoryObjectReceiveStream[FromHost], MemoryObjectSendStream[SessionMessage]]]:
    """What the host writes, and where to write to it. A host that reads no more is no error: it has hung up."""
    to_server, incoming = anyio.create_memory_object_stream[FromHost](0)
    outgoing, to_host = anyio.create_memory_object_stream[SessionMessage](0)
    with ExitStack() as stack:
        source = stack.enter_context(_moved(0, "rb"))
        sink = stack.enter_context(_moved(1, "wb"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_read, source, to_server)
            tasks.start_soon(_write, to_host, sink)
            yield incoming, outgoing


@contextmanager
def _moved(fd: int, mode: str) -> Iterator[BinaryIO]:
    """What `fd` led to, behind another number, until it is given back."""
    kept = os.dup(fd)
    elsewhere = os.dup(2) if fd else os.open(os.devnull, os.O_RDONLY)
    os.dup2(elsewhere, fd)
    os.close(elsewhere)
    try:
        # Never closed: a thread may still wait for a line.
        yield os.fdopen(kept, mode, closefd=False)  # type: ignore[misc]
    finally:
        os.dup2(kept, fd)


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
    line = source.readline(MAX_LINE + 1)
    if not line:
        return None
    if len(line) <= MAX_LINE:
        return [each if isinstance(each, Refusal) else SessionMessage(each) for each in read_host_messages(line)]
    head, tail = line[:_EDGE], line[-_EDGE:]
    while line and not line.endswith(b"\n"):
        line = source.readline(MAX_LINE)
        tail = (tail + line)[-_EDGE:]
    said = mcp_types.ErrorData(code=mcp_types.INVALID_REQUEST, message=f"a message has at most {MAX_LINE >> 20} MiB")
    return [Refusal(mcp_types.JSONRPCError(jsonrpc="2.0", id=outer_id(head + tail)[0], error=said))]


async def _write(to_host: MemoryObjectReceiveStream[SessionMessage], sink: BinaryIO) -> None:
    hung_up = False
    async with to_host:
        async for item in to_host:
            if not hung_up:
                hung_up = not await anyio.to_thread.run_sync(_write_line, sink, encoded(item.message))


def _write_line(sink: BinaryIO, text: str) -> bool:
    """Whether it could be written."""
    try:
        sink.write(text.encode() + b"\n")
        sink.flush()
    except OSError:
        print(f"{os.path.basename(sys.argv[0])}: the host reads no more", file=sys.stderr)
        return False
    return True
