"""An upstream as a child process: JSON-RPC lines over its pipes, its stderr in a file, and an end for its whole group.

It owns the process group, its environment and its stderr file, and tells through an `UpstreamConnection` when and why the
process ended. It knows nothing of sessions, tools or restarts.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import mcp_types
from anyio.abc import Process
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage

from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.upstreams.connection import UpstreamConnection

log = logging.getLogger(__name__)

DEPTH_VARIABLE = "PORTICO_NESTING"  # in the environment of a server: how many gateways it is behind
_STOP_GRACE = 1.0  # seconds between closing stdin and SIGTERM, and between SIGTERM and SIGKILL
_POLL = 0.01
_MAX_LINE = 64 << 20  # bytes of one message; a server that sends more is broken
_MAX_LOG = 1 << 20


def gateway_depth() -> int:
    """How many gateways this process is behind. A host's file may name Portico itself, which would start itself for ever."""
    value = os.environ.get(DEPTH_VARIABLE, "0")
    return int(value) if value.isdigit() else 0


@asynccontextmanager
async def child_process_streams(
    spec: UpstreamSpec, connection: UpstreamConnection, log_dir: Path
) -> AsyncIterator[tuple[Any, Any]]:
    """Start the command in a process group of its own; leaving ends every member of the group."""
    stderr, start = _open_log(spec.name, log_dir)
    connection.stderr = (Path(stderr.name), start)
    with stderr:
        process = await anyio.open_process(
            [spec.command, *spec.args],
            env={**get_default_environment(), **spec.env, DEPTH_VARIABLE: str(gateway_depth() + 1)},
            stderr=stderr,
            cwd=spec.cwd,
            start_new_session=True,
        )
    connection.pid = process.pid
    # No await between here and the task group: a cancellation in the gap would leak the process.
    to_session, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, from_session = anyio.create_memory_object_stream[SessionMessage](0)

    async def receive() -> None:
        async with to_session:
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, ConnectionError):
                async for line in _lines(process):
                    await to_session.send(_parse(line))
                connection.output_ended = True
        connection.exit_code = await _exit_code(process, _STOP_GRACE / 4)
        connection.ended.set()

    async def send() -> None:
        assert process.stdin is not None
        async with from_session:
            try:
                async for message in from_session:
                    json = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                    await process.stdin.send(json.encode() + b"\n")
            except (anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
                await to_session.aclose()  # so that a waiting request hears of the end

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        tasks.start_soon(send)
        try:
            yield read, write
        finally:
            with anyio.CancelScope(shield=True):
                if (
                    connection.output_ended and not connection.ended.is_set()
                ):  # the session heard of the end first: its reason is still due
                    connection.exit_code = await _exit_code(process, _STOP_GRACE / 4)
                    connection.ended.set()
                await read.aclose()
                await write.aclose()
                await _stop(process)
            tasks.cancel_scope.cancel()


async def _lines(process: Process) -> AsyncIterator[bytes]:
    assert process.stdout is not None
    parts: list[bytes] = []
    size = 0
    async for chunk in process.stdout:
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            yield b"".join(parts) + line
            parts, size = [], 0
        parts.append(rest)
        size += len(rest)
        if size > _MAX_LINE:
            log.error("a message of more than %d MiB without an end; closing the connection", _MAX_LINE >> 20)
            return


def _parse(line: bytes) -> SessionMessage | Exception:
    try:
        return SessionMessage(mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        log.warning("not a JSON-RPC message on stdout: %.200r", line)
        return error


async def _stop(process: Process) -> None:
    """Close stdin; SIGTERM to the group after a grace, SIGKILL after another, also to what the leader left behind."""
    assert process.stdin is not None
    with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.aclose()
    if await _exit_code(process, _STOP_GRACE) is None:
        _signal_group(process, signal.SIGTERM)
        await _exit_code(process, _STOP_GRACE)
    _signal_group(process, signal.SIGKILL)
    with anyio.move_on_after(_STOP_GRACE):
        await process.aclose()


async def _exit_code(process: Process, timeout: float) -> int | None:
    """Polls, because asyncio's wait() also waits for the end of pipes that a grandchild may hold open."""
    deadline = anyio.current_time() + timeout
    while process.returncode is None and anyio.current_time() < deadline:  # noqa: ASYNC110 - the process sets no event
        await anyio.sleep(_POLL)
    return process.returncode


def _signal_group(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)  # the leader's pid is the group's id: it was started in a session of its own


def _open_log(name: str, log_dir: Path) -> tuple[Any, int]:
    """The server's stderr file, opened for appending, and where this process's part starts. One old file is kept."""
    log_dir.mkdir(parents=True, exist_ok=True)
    path = log_dir / f"server-{''.join(c if c.isalnum() or c in '-_' else '_' for c in name)}.log"
    with suppress(OSError):
        if path.stat().st_size > _MAX_LOG:
            path.replace(path.with_suffix(".log.1"))
    file = path.open("ab")
    return file, file.tell()
