"""An upstream as a child process: JSON-RPC lines over its pipes, and an end for all that it started.

It owns the process and its environment, and tells through an `UpstreamConnection` when and why the
process ended. It knows nothing of sessions, tools or restarts.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCMessage, JSONRPCRequest

from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.upstreams.wire.asked_requests import QuickAnswers
from portico_gateway.upstreams.wire.connection import UpstreamConnection
from portico_gateway.upstreams.wire.messages import LARGE, MAX_MESSAGE, addressed, read_messages, unreadable, write_message
from portico_gateway.upstreams.wire.pipe_requests import PipeRequests
from portico_gateway.upstreams.wire.process_tree import GUARDIAN, MARK_VARIABLE, end_marked, find_descendants
from portico_gateway.upstreams.wire.server_process import ServerProcess, start_server
from portico_gateway.upstreams.wire.stderr_log import StderrLog
from portico_gateway.upstreams.wire.whole_messages import MessageLines
from portico_servers.common.lines import Line, LineSplitter

log = logging.getLogger(__name__)

DEPTH_VARIABLE = "PORTICO_NESTING"  # in the environment of a server: how many gateways it is behind
_STOP_GRACE = 1.0  # seconds between closing stdin and SIGTERM, and between SIGTERM and SIGKILL
_POLL = 0.01
_AT_ONCE = 4  # turns of the event loop that a session takes for a message that nothing holds up
_CUT_LINE = 64 << 10  # bytes that are kept at each end of a line that is too long: they name the request that it answers


def gateway_depth() -> int:
    """How many gateways this process is behind. A host's file may name Portico itself, which would start itself for ever."""
    value = os.environ.get(DEPTH_VARIABLE, "0")
    return int(value) if value.isdecimal() and len(value) < 10 else 0


@asynccontextmanager
async def child_process_streams(
    spec: UpstreamSpec, connection: UpstreamConnection, log_dir: Path
) -> AsyncIterator[tuple[Any, Any]]:
    """Start the command in a process group of its own; leaving ends every member of the group."""
    mark = GUARDIAN.new_mark()
    with StderrLog(spec.name, log_dir) as stderr:
        connection.stderr = stderr
        environ = {
            **get_default_environment(),
            **spec.env,
            DEPTH_VARIABLE: str(gateway_depth() + 1),
            MARK_VARIABLE: mark,
        }
        process = await start_server(spec, environ, stderr.write_end)
        # No await between here and the streams' task group: a cancellation in the gap would leak the process.
        stderr.close_write_end()
        connection.pid = process.pid
        GUARDIAN.watch(process.pid)
        async with _streams(spec, process, connection, stderr, mark) as streams:
            yield streams


@asynccontextmanager
async def _streams(
    spec: UpstreamSpec, process: ServerProcess, connection: UpstreamConnection, stderr: StderrLog, mark: str
) -> AsyncIterator[tuple[Any, Any]]:
    to_session, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    answers = QuickAnswers(spec.name, lambda given: process.send(b"".join(write_message(answer) + b"\n" for answer in given)))
    mender = connection.mender
    assert mender is not None

    async def receive() -> None:
        async with to_session:
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, ConnectionError):
                async for line in _lines(process):
                    for message in await _read(line):
                        for each in addressed(message, chain(requests.waiting, mender.waiting)):
                            await take(each)
                connection.output_ended = True
        requests.close()
        connection.exit_code = await _exit_code(process, _STOP_GRACE / 4)
        stderr.take()
        connection.ended.set()

    async def take(message: JSONRPCMessage) -> None:
        if requests.is_answer(message):
            await session_has_taken_all()
            requests.take(message)
        elif isinstance(message, JSONRPCRequest) and message.method == "ping":
            await answers.pong(message)
        elif not mender.requests.admit(message):
            if isinstance(message, JSONRPCRequest):
                await answers.refuse(message)
        elif mender.is_wanted(message):
            await to_session.send(SessionMessage(message))

    async def session_has_taken_all() -> None:
        """What a server says before its answer, such as a line of its log, is begun with before the answer is known."""
        tries = 0
        while (session := to_session.statistics()).open_receive_streams and not session.tasks_waiting_receive:
            await anyio.sleep(0 if tries < _AT_ONCE else _POLL)  # longer where the server's own requests hold it up
            tries += 1

    async def send() -> None:
        async with from_session:
            try:
                async for message in from_session:
                    await process.send(write_message(message.message) + b"\n")
            except (anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
                await to_session.aclose()  # so that a waiting request hears of the end

    async with anyio.create_task_group() as tasks:
        connection.requests = requests = PipeRequests(process.send, tasks)
        tasks.start_soon(receive)
        tasks.start_soon(send)
        tasks.start_soon(answers.write)
        tasks.start_soon(stderr.copy)
        try:
            yield read, write
        finally:
            requests.close()
            with anyio.CancelScope(shield=True):
                connection.left = not connection.output_ended
                if (
                    connection.output_ended and not connection.ended.is_set()
                ):  # the session heard of the end first: its reason is still due
                    connection.exit_code = await _exit_code(process, _STOP_GRACE / 4)
                    stderr.take()
                    connection.ended.set()
                await read.aclose()
                await write.aclose()
                await _stop(process, mark)
            tasks.cancel_scope.cancel()


async def _lines(process: ServerProcess) -> AsyncIterator[Line]:
    """The lines that the server writes, those of one message together; the last one without its end too where it is whole."""
    splitter, texts = LineSplitter(MAX_MESSAGE, _CUT_LINE), MessageLines(MAX_MESSAGE)
    async for chunk in process.output():
        for line in splitter.feed(chunk):
            for text in [*texts.end(), line.data] if line.is_cut else texts.feed(line.data):
                yield Line(text, line.is_cut or len(text) > MAX_MESSAGE)
    last = splitter.take()
    if last.data.rstrip().endswith(b"}"):
        for text in texts.feed(last.data):
            yield Line(text, last.is_cut)


async def _read(line: Line) -> list[JSONRPCMessage]:
    if line.is_cut:
        return unreadable(line.data, f"its answer has more than {MAX_MESSAGE >> 20} MiB")
    if len(line.data) > LARGE:
        return await anyio.to_thread.run_sync(read_messages, line.data)
    return read_messages(line.data)


async def _stop(process: ServerProcess, mark: str) -> None:
    """Close stdin; SIGTERM to the group after a grace, SIGKILL after another, also to what the leader left behind, in its group
    or out of it."""
    started = find_descendants([process.pid])
    with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.close_input()
    if await _exit_code(process, _STOP_GRACE) is None:
        _signal_group(process, signal.SIGTERM)
        await _exit_code(process, _STOP_GRACE)
    _signal_group(process, signal.SIGKILL)
    await anyio.to_thread.run_sync(end_marked, mark, started)
    GUARDIAN.forget(process.pid)
    with anyio.move_on_after(_STOP_GRACE):
        await process.aclose()


async def _exit_code(process: ServerProcess, timeout: float) -> int | None:
    """Polls, because asyncio's wait() also waits for the end of pipes that a grandchild may hold open."""
    deadline = anyio.current_time() + timeout
    while process.returncode is None and anyio.current_time() < deadline:  # noqa: ASYNC110 - the process sets no event
        await anyio.sleep(_POLL)
    return process.returncode


def _signal_group(process: ServerProcess, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)  # the leader's pid is the group's id: it was started in a session of its own
