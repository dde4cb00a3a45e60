"""The process's end: questions come in over the key's socket, each on a connection of its own, until nobody asks any more.

It owns the socket, who may connect, that a client which hangs up cancels its question alone, and when the process may end. It
does not know what answers: `answer` does, and returns the command's exit code.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskStatus
from anyio.streams.buffered import BufferedByteReceiveStream

from portico_gateway.background.memory import memory_of_tree
from portico_gateway.background.peer import ForeignPeer, refuse_foreign
from portico_gateway.background.protocol import MAX_LINE, AskedQuestion, BackgroundStatus, decode, encode, read_ask
from portico_gateway.background.remote_terminal import RemoteTerminal
from portico_gateway.background.socket_place import SocketPlace
from portico_servers.common.panics import is_order
from portico_servers.common.version import package_version

log = logging.getLogger(__name__)

Answer = Callable[[AskedQuestion, RemoteTerminal], Awaitable[int]]
_FAILED = 1  # the exit code of a question that ended by a mistake of ours
_FIRST_LINE = 10.0  # seconds that a client has to say what it wants


@dataclass(frozen=True, slots=True)
class BackgroundKind:
    """What this process is, for `portico background list`. `idle_seconds` None: it ends for other reasons than being idle."""

    name: str
    folder: str
    idle_seconds: float | None = None


class BackgroundServer:
    """`run` listens until it is cancelled, stopped, idle for long enough, or its end is asked for and nobody is connected."""

    def __init__(self, place: SocketPlace, kind: BackgroundKind, answer: Answer) -> None:
        self._place, self._kind, self._answer = place, kind, answer
        self._begun = self._last = time.monotonic()
        self._connected = 0  # of these `_asking` wait for an answer
        self._asking = 0
        self._questions = 0
        self._ending = self._ending_when_told = False
        self._changed = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """`task_status` hears when it listens. The caller holds the place's lock, so a socket that lies there is a dead
        process's. Raises OSError."""
        with suppress(FileNotFoundError):
            self._place.path.unlink()
        before = os.umask(0o177)  # so that it is never anybody else's, not even for a moment
        try:
            listener = await anyio.create_unix_listener(self._place.path, mode=0o600)
        finally:
            os.umask(before)
        async with anyio.create_task_group() as tasks, listener:
            tasks.start_soon(listener.serve, self._connection)
            task_status.started()
            await self._over()
            tasks.cancel_scope.cancel()

    def end_soon(self) -> None:
        """End once the questions under way are answered."""
        self._ending = True
        self._note()

    def end_when_told(self) -> None:
        """End likewise, but not before a question was told why: whoever started this process is about to ask."""
        self._ending_when_told = True
        if self._questions:
            self.end_soon()

    def _note(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def _over(self) -> None:
        """Wait until there is no reason to stay."""
        while not (self._ending and not self._connected):
            with anyio.move_on_after(self._until_idle()) as idle:
                await self._changed.wait()
            if idle.cancelled_caught:
                return

    def _until_idle(self) -> float | None:
        """Seconds until it has been idle for long enough; None where a question is under way, or that is no reason to end."""
        if self._asking or self._kind.idle_seconds is None:
            return None
        return max(0.0, self._last + self._kind.idle_seconds - time.monotonic())

    async def _connection(self, stream: SocketStream) -> None:
        self._connected += 1
        try:
            async with stream:
                refuse_foreign(stream.extra(SocketAttribute.raw_socket))
                lines = BufferedByteReceiveStream(stream)
                with anyio.fail_after(_FIRST_LINE):
                    request = decode(await lines.receive_until(b"\n", MAX_LINE))
                await self._serve(stream, lines, request)
        except (ForeignPeer, ValueError) as error:
            log.warning("a connection was refused: %s", error)
        except (TimeoutError, anyio.EndOfStream, anyio.IncompleteRead, anyio.DelimiterNotFound, anyio.BrokenResourceError):
            pass  # it said nothing that ends with a line's end, or hung up
        finally:
            self._connected -= 1
            self._note()

    async def _serve(self, stream: SocketStream, lines: BufferedByteReceiveStream, request: dict[str, Any]) -> None:
        if "status" in request:
            await stream.send(encode({"status": asdict(self._status())}))
        elif "stop" in request:
            if self._kind.idle_seconds is None:
                await stream.send(encode({"refused": f"it is a portico {self._kind.name}; end that instead"}))
            else:
                await stream.send(encode({"status": asdict(self._status())}))
                self.end_soon()
        elif request.get("version") != package_version():
            await stream.send(encode({"refused": f"it is portico {package_version()}"}))
        else:
            await self._question(stream, lines, request)

    async def _question(self, stream: SocketStream, lines: BufferedByteReceiveStream, request: dict[str, Any]) -> None:
        try:
            question, looks = read_ask(request)
        except (KeyError, TypeError, ValueError) as error:
            await stream.send(encode({"refused": f"it does not understand the question: {error}"}))
            return
        self._questions += 1
        self._asking += 1
        terminal = RemoteTerminal(stream, lines, looks)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._cancel_when_it_hangs_up, terminal, tasks.cancel_scope)
                tasks.start_soon(self._answered, question, terminal)
                await terminal.relay()
                tasks.cancel_scope.cancel()
        finally:
            terminal.close()
            self._asking -= 1
            self._last = time.monotonic()
            if self._ending_when_told:
                self.end_soon()

    async def _answered(self, question: AskedQuestion, terminal: RemoteTerminal) -> None:
        code = _FAILED
        try:
            code = await self._answer(question, terminal)
        except BaseException as error:  # the outermost loop of a question: the next ones go on
            if is_order(error):
                raise
            log.exception("a question failed")
            terminal.stderr.write("portico: the question failed; the log has more\n")
        terminal.finish(code)

    async def _cancel_when_it_hangs_up(self, terminal: RemoteTerminal, scope: anyio.CancelScope) -> None:
        await terminal.listen()
        scope.cancel()

    def _status(self) -> BackgroundStatus:
        now = time.monotonic()
        return BackgroundStatus(
            kind=self._kind.name,
            pid=os.getpid(),
            folder=self._kind.folder,
            version=package_version(),
            age=now - self._begun,
            idle=0.0 if self._asking else now - self._last,
            questions=self._questions,
            memory=memory_of_tree(os.getpid()),
        )
