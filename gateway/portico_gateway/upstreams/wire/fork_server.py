"""The asker's side of `portico_servers.common.fork_server`: servers of ours, forked from a process that has imported their
modules.

It owns that process: one for each environment, started with the first server, told to end with the last. Its environment is a
server's, so that a fork has nothing of the gateway's in its memory. Linux alone has it: elsewhere a fork without exec is not
safe beside system libraries.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

import anyio
import anyio.to_thread

from portico_gateway.config.isolated_python import python_module
from portico_gateway.upstreams.wire.process_tree import GUARDIAN, MARK_VARIABLE
from portico_servers.common.fork_server import MAX_REQUEST, ForkRequest

_CHUNK = 1 << 16  # bytes that are read at once
_LEAVE_GRACE = 1.0  # seconds that it has to end; it may be importing

_Key = tuple[object, ...]  # folder and environment


class ForkedProcess:
    """A server that was forked; a `ServerProcess` once it has `started`."""

    def __init__(
        self, server: _ForkServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, report: socket.socket
    ) -> None:
        self.pid = -1
        self._server, self._reader, self._writer, self._report = server, reader, writer, report
        self._takes_input = True
        self._said = b""
        self._lines: list[int] = []  # its id, then its exit code

    async def started(self) -> bool:
        """Wait for its id. False where there is no process: it can't be forked, or what forks it has ended."""
        while not self._lines:
            await anyio.wait_readable(self._report)
            if not self._take():
                return False
        self.pid = self._lines[0]
        return True

    @property
    def returncode(self) -> int | None:
        """Also None where the process that forked it ended before it, and nobody knows."""
        self._take()
        return self._lines[1] if len(self._lines) > 1 else None

    def _take(self) -> bool:
        """Read what is said of it; False at the end."""
        try:
            chunk = self._report.recv(64)
        except BlockingIOError:
            return True
        except OSError:  # closed, or the other end was killed
            return False
        *lines, self._said = (self._said + chunk).split(b"\n")
        self._lines += map(int, lines)
        return bool(chunk)

    async def send(self, data: bytes) -> None:
        if not self._takes_input:
            raise anyio.ClosedResourceError
        self._writer.write(data)  # whole, whoever else sends and whether or not this is cancelled
        await self._writer.drain()

    async def close_input(self) -> None:
        self._takes_input = False
        self._writer.write_eof()

    async def output(self) -> AsyncIterator[bytes]:
        with suppress(ConnectionError):  # the end, where the process left some of its input unread
            while chunk := await self._reader.read(_CHUNK):
                yield chunk

    async def aclose(self) -> None:
        """The streams, and what forked it where it was the last. The process has been ended by then."""
        try:
            self._writer.transport.abort()
            with suppress(OSError):
                await self._writer.wait_closed()
        finally:
            self._report.close()
            await self._server.release()


class _ForkServer:
    """The process that forks. `users`: the servers that were asked for and not released."""

    def __init__(self, key: _Key, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._key, self._process, self._control = key, process, control
        self.users = 0

    @classmethod
    def start(cls, key: _Key, environ: Mapping[str, str], folder: str) -> _ForkServer:
        """Raises OSError."""
        control, theirs = socket.socketpair()
        try:
            with theirs:
                process = subprocess.Popen(
                    python_module("portico_servers.common.fork_server"),
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={**environ, MARK_VARIABLE: GUARDIAN.new_mark()},
                    cwd=folder,
                    start_new_session=True,
                )
        except BaseException:
            control.close()
            raise
        GUARDIAN.watch(process.pid)
        return cls(key, process, control)

    def ask(self, request: bytes, stderr: int) -> tuple[socket.socket, socket.socket]:
        """The sockets of the server's streams and of what is said of it. Raises OSError where the process has ended."""
        stdio, its_stdio = socket.socketpair()
        report, its_report = socket.socketpair()
        try:
            with its_stdio, its_report:
                report.sendall(request)
                socket.send_fds(self._control, [b"+"], [its_stdio.fileno(), stderr, its_report.fileno()])
        except BaseException:
            stdio.close()
            report.close()
            raise
        report.setblocking(False)
        return stdio, report

    def forget(self) -> None:
        """No further server is asked for here."""
        if _running.get(self._key) is self:
            del _running[self._key]

    async def release(self) -> None:
        self.users -= 1
        if self.users == 0:
            self.forget()
            self._control.close()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._end)

    def _end(self) -> None:
        try:
            self._process.wait(_LEAVE_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        GUARDIAN.forget(self._process.pid)


_running: dict[_Key, _ForkServer] = {}  # of this process


async def fork(request: ForkRequest, stderr: int) -> ForkedProcess | None:
    """The server, forked; None where that can't be, and it has to be started by itself. `stderr` is its standard error."""
    line = request.encode()
    if sys.platform != "linux" or len(line) > MAX_REQUEST:
        return None
    environ = {name: value for name, value in request.environ.items() if name != MARK_VARIABLE}
    key = (request.folder, *sorted(environ.items()))
    try:
        if (server := _running.get(key)) is None:
            server = _running[key] = _ForkServer.start(key, environ, request.folder)
        server.users += 1
    except OSError:
        return None
    process = None
    try:
        stdio, report = server.ask(line, stderr)
        process = ForkedProcess(server, *await asyncio.open_unix_connection(sock=stdio), report)
        if await process.started():
            return process
    except OSError:
        pass
    except BaseException:
        await _give_up(server, process)
        raise
    server.forget()
    await _give_up(server, process)
    return None


async def _give_up(server: _ForkServer, process: ForkedProcess | None) -> None:
    with anyio.CancelScope(shield=True):
        await (server.release() if process is None else process.aclose())
