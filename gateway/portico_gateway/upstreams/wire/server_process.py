"""How a server's process is started: by itself from its command, or forked where it is one of ours.

It owns the one interface of both. It knows nothing of JSON-RPC, and ends nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import anyio
import anyio.lowlevel

from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.upstreams.wire.fork_server import fork
from portico_servers.common.fork_server import ForkRequest

_CHUNK = 1 << 16  # bytes that are read at once
_END_SECONDS = 5.0  # that a killed process may take to be gone, with its pipes


class ServerProcess(Protocol):
    """A running server, leader of a session of its own, and its pipes. `send` and `close_input` raise anyio's errors of closed
    and broken resources, or OSError."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None:
        """Negative for a signal; None while it runs."""

    async def send(self, data: bytes) -> None: ...
    async def close_input(self) -> None: ...
    def output(self) -> AsyncIterator[bytes]: ...
    async def aclose(self) -> None:
        """Close the pipes, and wait for the process."""


class _OwnProcess:
    """One that was started by itself."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._input, self._output = process, process.stdin, process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    async def send(self, data: bytes) -> None:
        if self._input.is_closing():
            raise anyio.ClosedResourceError
        self._input.write(data)  # whole, whoever else sends and whether or not this is cancelled
        await self._input.drain()

    async def close_input(self) -> None:
        self._input.close()  # when the server has read what was sent, if it reads

    async def output(self) -> AsyncIterator[bytes]:
        while chunk := await self._output.read(_CHUNK):
            yield chunk

    async def aclose(self) -> None:
        self._process._transport.close()  # type: ignore[attr-defined]  # its pipes too, which others may hold open
        with anyio.move_on_after(_END_SECONDS, shield=True):  # it is killed; else nobody would fetch its exit code
            await self._process.wait()


async def start_server(spec: UpstreamSpec, environ: Mapping[str, str], stderr: int) -> ServerProcess:
    """Its process, with this whole environment and standard error, in a session of its own. Raises OSError."""
    if spec.own is not None and spec.cwd is not None:
        forked = await fork(ForkRequest(spec.own, spec.own_args, environ, spec.cwd), stderr)
        if forked is not None:
            return forked
    command = [spec.command, *spec.args]
    pipe = asyncio.subprocess.PIPE
    await anyio.lowlevel.checkpoint()  # it is cancelled before it starts, or not at all: amid it asyncio leaves its pipes open
    with anyio.CancelScope(shield=True):
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=stderr, env=environ, cwd=spec.cwd, start_new_session=True
        )
    return _OwnProcess(process)
