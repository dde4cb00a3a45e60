"""A thread of its own for one engine: commands between two steps, and what happened in a step, told at once.

It owns the thread and, at the end, the engine. Callers give every request a key of their own kind, by which they know its
deltas; who they are (an event loop, a process behind a socket) is not known here. A request whose reader lags behind is paused
until it catches up. A step that raises ends all requests with FinishReason.ERROR; one that has lost its device ends the thread.
Nobody waits for ever.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from portico_engine.engine import Engine
from portico_engine.errors import DeviceLost, EngineError
from portico_engine.faults import error_text
from portico_engine.front.flow_control import WINDOW, size
from portico_engine.front.grammar_preparation import GrammarPreparation
from portico_engine.request import Delta, FinishReason, Request

K = TypeVar("K")
T = TypeVar("T")
MOST_FAILED_STEPS = 3  # in a row, each with requests of its own: then what computes them is broken, and the thread ends
_log = logging.getLogger(__name__)


class EngineThread(Generic[K]):
    """Runs `engine` until `close`. `deliver` is called on the thread, once a step, with the deltas of requests still asked for.

    `on_end` is called on the thread when it has ended, whatever the reason.
    """

    def __init__(
        self,
        engine: Engine,
        deliver: Callable[[Sequence[tuple[K, Delta]]], None],
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.engine = engine
        self._deliver = deliver
        self._on_end = on_end
        self._commands: queue.SimpleQueue[_Command[Any] | None] = queue.SimpleQueue()
        self._streams: dict[str, _Stream[K]] = {}  # of the requests in flight; the thread's own
        self._preparation: GrammarPreparation[K] = GrammarPreparation(engine.prepare_grammar)
        self._closed = False
        self._failed_steps = 0  # in a row
        self._gate = threading.Lock()  # no command is queued behind the end
        self._thread = threading.Thread(target=self._run, name="portico-engine", daemon=True)
        self._thread.start()

    def submit(self, request: Request, key: K) -> Future[None]:
        """Done once the engine has accepted the request, or with what `Engine.submit` raised."""

        def submit() -> None:
            self.engine.submit(request)
            self._streams[request.id] = _Stream(key)

        grammar = request.grammar
        if grammar is None or self.engine.has_grammar(grammar):
            return self.call(submit)
        return self._preparation.start(grammar, key, lambda: self.call(submit))

    def abort(self, request_id: str, key: K) -> None:
        """End the request that was submitted with this key; no effect on one that ended, or on another's of the same id."""

        def abort() -> None:
            if self._stream(request_id, key) is not None:
                del self._streams[request_id]
                self.engine.abort(request_id)

        self._preparation.cancel(key)
        self._tell_thread(abort)

    def taken(self, request_id: str, key: K, count: int) -> None:
        """The reader of the request that was submitted with this key has taken so many more tokens."""

        def take() -> None:
            stream = self._stream(request_id, key)
            if stream is not None:
                stream.untaken -= count
                if stream.paused and stream.untaken < WINDOW:
                    stream.paused = False
                    self.engine.resume(request_id)

        self._tell_thread(take)

    def call(self, fn: Callable[[], T]) -> Future[T]:
        """Run `fn` between two steps, where it may touch the engine; what it raises is its caller's, where that is no Exception
        as EngineError. Raises EngineError after the end.
        """
        command = _Command(fn)
        with self._gate:
            if self._closed:
                raise EngineError("the engine is closed")
            self._commands.put(command)
        return command.future

    def close(self) -> None:
        """Ask for the end: what is in flight is cancelled, the engine closed. `join` waits for it."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._commands.put(None)
        self._preparation.close()

    def join(self) -> None:
        self._thread.join()

    def _tell_thread(self, fn: Callable[[], None]) -> None:
        """Something that nobody waits for, and that has no effect after the end."""
        with self._gate:
            if not self._closed:
                self._commands.put(_Command(fn))

    def _stream(self, request_id: str, key: K) -> _Stream[K] | None:
        stream = self._streams.get(request_id)
        return stream if stream is not None and stream.key == key else None

    def _run(self) -> None:
        reason, message = FinishReason.CANCELLED, "the engine was closed"
        died = False
        try:
            while self._run_commands():
                if self.engine.has_work:
                    self._tell(self._step())
        except BaseException as error:  # noqa: BLE001 - the outermost loop of the thread: without it everybody would wait for ever
            died = True
            reason, message = FinishReason.ERROR, f"the engine's thread ended ({error_text(error)})"
            _log.critical("the engine's thread ended", exc_info=error)
        with self._gate:
            self._closed = True
        try:
            self._tell([Delta(request_id, finish_reason=reason, error=message) for request_id in self._streams])
            self._refuse_the_rest(message)
        finally:
            if died:  # said at once: closing may take its time, and what is in memory isn't worth saving
                self._on_end()
            self._close_engine()
            if not died:
                self._on_end()

    def _close_engine(self) -> None:
        try:
            self.engine.close()
        except BaseException:  # noqa: BLE001 - the same
            _log.exception("the engine could not be closed in order")

    def _refuse_the_rest(self, message: str) -> None:
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            if command is not None:
                command.future.set_exception(EngineError(message))

    def _run_commands(self) -> bool:
        """Run what is queued; wait for something where there is nothing else to do. False at the end."""
        wait = not self.engine.has_work
        while True:
            try:
                command = self._commands.get(block=wait)
            except queue.Empty:
                return True
            if command is None:
                return False
            command.run()
            wait = False

    def _step(self) -> list[Delta]:
        """A step that raises ends all requests. Raises itself where steps do nothing else any more."""
        try:
            deltas = self.engine.step()
        except DeviceLost:
            raise
        except BaseException as error:  # noqa: BLE001 - the outermost loop of the thread
            self._failed_steps += 1
            _log.exception("a step of the engine failed")
            last = error_text(error)
        else:
            self._failed_steps = 0
            return deltas
        deltas = self.engine.step()  # their ends
        if self._failed_steps >= MOST_FAILED_STEPS:
            self._tell(deltas)
            raise EngineError(f"{self._failed_steps} steps in a row failed; the last one: {last}")
        return deltas

    def _tell(self, deltas: Sequence[Delta]) -> None:
        told = [(stream.key, delta) for delta in deltas if (stream := self._streams.get(delta.request_id)) is not None]
        for _, delta in told:
            if delta.finish_reason is not None:
                self._streams.pop(delta.request_id, None)
            else:
                self._count(delta)
        if told:
            self._deliver(told)

    def _count(self, delta: Delta) -> None:
        """Pause the request that is too far ahead of its reader."""
        stream = self._streams[delta.request_id]
        stream.untaken += size(delta)
        if not stream.paused and stream.untaken >= WINDOW:
            stream.paused = True
            self.engine.pause(delta.request_id)


@dataclass(slots=True)
class _Stream(Generic[K]):
    """One request in flight: by what its reader knows it, and how far it is ahead of that."""

    key: K
    untaken: int = 0  # tokens
    paused: bool = False


class _Command(Generic[T]):
    """Something to do on the thread, and who waits for it."""

    def __init__(self, fn: Callable[[], T]) -> None:
        self._fn = fn
        self.future: Future[T] = Future()

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self._fn())
        except BaseException as error:
            self.future.set_exception(error if isinstance(error, Exception) else EngineError(error_text(error)))
            if isinstance(error, DeviceLost):
                raise
