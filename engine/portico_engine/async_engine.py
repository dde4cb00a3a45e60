"""The engine for asyncio: a thread of its own runs the steps, streams come back as async iterators.

It owns the thread and the crossing between it and the event loop. Everything that touches the engine runs on that thread,
between two steps. A step that raises ends all requests with FinishReason.ERROR; nobody waits for ever.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from portico_engine.engine import Engine
from portico_engine.errors import EngineError
from portico_engine.request import Delta, FinishReason, Request

T = TypeVar("T")
_log = logging.getLogger(__name__)


class AsyncEngine:
    """`async with AsyncEngine(engine) as e: async for delta in e.generate(request): ...`

    Leaving the block cancels what is in flight and joins the thread; the engine itself stays the caller's to close.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._commands: queue.SimpleQueue[_Command[Any] | None] = queue.SimpleQueue()
        self._streams: dict[str, asyncio.Queue[Delta]] = {}  # the thread's own
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = True
        self._gate = threading.Lock()  # no command is queued behind the end

    async def __aenter__(self) -> AsyncEngine:
        if self._thread is not None:
            raise EngineError("this AsyncEngine was entered before; make a new one")
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="portico-engine", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        with self._gate:
            self._closed = True
            self._commands.put(None)
        assert self._thread is not None
        thread = self._thread
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, thread.join))

    async def generate(self, request: Request) -> AsyncIterator[Delta]:
        """The request's deltas, the last one with its finish reason. Closing the iterator aborts it.

        Raises what `Engine.submit` raises, at the first delta.
        """
        stream: asyncio.Queue[Delta] = asyncio.Queue()

        def submit() -> None:
            self.engine.submit(request)
            self._streams[request.id] = stream

        finished = False
        submission = self._post(submit)
        try:
            await asyncio.wrap_future(submission)
            while not finished:
                delta = await stream.get()
                finished = delta.finish_reason is not None
                yield delta
        finally:
            if not finished:
                self._abort(request.id, stream)

    async def score(self, prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[list[float]]:
        """`Engine.score`, between two steps."""
        return await self.run_sync(lambda: self.engine.score(prompt, continuations))

    async def run_sync(self, fn: Callable[[], T]) -> T:
        """Run `fn` on the engine's thread, between two steps, where it may touch the engine."""
        return await asyncio.wrap_future(self._post(fn))

    def _post(self, fn: Callable[[], T]) -> Future[T]:
        command = _Command(fn)
        with self._gate:
            if self._closed:
                raise EngineError("the engine is closed")
            self._commands.put(command)
        return command.future

    def _abort(self, request_id: str, stream: asyncio.Queue[Delta]) -> None:
        def abort() -> None:
            if self._streams.get(request_id) is stream:  # not another's of the same id, which refused ours
                del self._streams[request_id]
                self.engine.abort(request_id)

        with self._gate:
            if not self._closed:
                self._commands.put(_Command(abort))

    def _run(self) -> None:
        """The thread: commands, then a step, until the end."""
        reason, message = FinishReason.CANCELLED, "the engine was closed"
        try:
            while self._run_commands():
                if self.engine.has_work:
                    self._deliver(self._step())
        except Exception as error:  # noqa: BLE001 - the outermost loop of the thread: without it everybody would wait for ever
            _log.critical("the engine's thread ended", exc_info=error)
            reason, message = FinishReason.ERROR, f"the engine's thread ended ({type(error).__name__}: {error})"
        with self._gate:
            self._closed = True
        for request_id in list(self._streams):
            self._deliver([Delta(request_id, finish_reason=reason, error=message)])
            self.engine.abort(request_id)
        self._refuse_the_rest(message)

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
        try:
            return self.engine.step()
        except Exception as error:  # noqa: BLE001 - the outermost loop of the thread
            _log.exception("a step of the engine failed")
            message = f"the engine failed in a step ({type(error).__name__}: {error})"
        try:
            self.engine.fail_all(message)
            return self.engine.step()
        except Exception:  # noqa: BLE001 - the same
            _log.exception("the engine can't recover from a failed step")
            return [Delta(request_id, finish_reason=FinishReason.ERROR, error=message) for request_id in self._streams]

    def _deliver(self, deltas: Sequence[Delta]) -> None:
        """One crossing to the event loop a step."""
        pairs: list[tuple[asyncio.Queue[Delta], Delta]] = []
        for delta in deltas:
            stream = self._streams.get(delta.request_id)
            if stream is None:
                continue
            pairs.append((stream, delta))
        for _, delta in pairs:
            if delta.finish_reason is not None:
                self._streams.pop(delta.request_id, None)
        if pairs and self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(_put_all, pairs)
            except RuntimeError:  # the loop was closed under us: nobody listens any more
                _log.warning("the event loop ended before the engine did")


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
        except BaseException as error:  # noqa: BLE001 - it is the waiting caller's
            self.future.set_exception(error)


def _put_all(pairs: Sequence[tuple[asyncio.Queue[Any], Delta]]) -> None:
    for stream, delta in pairs:
        stream.put_nowait(delta)
