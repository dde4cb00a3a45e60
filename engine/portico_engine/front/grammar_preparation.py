"""Grammars made ready beside the engine's thread, so that no step of anybody's answer waits for one.

It owns one thread, and which requests wait for it. A request that is given up meanwhile never reaches the engine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from portico_engine.errors import EngineError
from portico_engine.grammar.compiled import CompiledGrammar

K = TypeVar("K")


class GrammarPreparation(Generic[K]):
    """Calls `prepare` for one grammar after another. Keys tell requests apart, as `EngineThread`'s do."""

    def __init__(self, prepare: Callable[[CompiledGrammar], None]) -> None:
        self._prepare = prepare
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="portico-grammar")
        self._lock = threading.Lock()
        self._waiting: list[tuple[K, Future[None]]] = []

    def start(self, grammar: CompiledGrammar, key: K, submit: Callable[[], Future[None]]) -> Future[None]:
        """Done with what `submit` comes to, which is called once the grammar is ready, or with what `prepare` raised."""
        answer: Future[None] = Future()
        answer.set_running_or_notify_cancel()
        with self._lock:
            self._waiting.append((key, answer))

        def prepare() -> None:
            if not self._is_waiting(answer):
                return
            try:
                self._prepare(grammar)
            except BaseException as error:  # noqa: BLE001 - it is the waiting caller's, a panic of native code too
                if self._leave(answer):
                    answer.set_exception(error)
                return
            with self._lock:  # an abort is queued behind the submission, or comes before it
                if self._drop(answer):
                    self._submit(submit, answer)

        try:
            self._pool.submit(prepare)
        except RuntimeError:  # shut down
            if self._leave(answer):
                answer.set_exception(EngineError("the engine is closed"))
        return answer

    def cancel(self, key: K) -> None:
        """Nobody waits for this request's grammar any more; no effect where it was submitted already."""
        with self._lock:
            found = [answer for waiting, answer in self._waiting if waiting == key]
            self._waiting = [entry for entry in self._waiting if entry[0] != key]
        for answer in found:
            answer.set_exception(EngineError("the request was given up"))

    def close(self) -> None:
        """What still waits hears that the engine is closed."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for _, answer in waiting:
            answer.set_exception(EngineError("the engine is closed"))

    def _submit(self, submit: Callable[[], Future[None]], answer: Future[None]) -> None:
        def done(submitted: Future[None]) -> None:
            error = submitted.exception()
            if error is None:
                answer.set_result(None)
            else:
                answer.set_exception(error)

        try:
            submit().add_done_callback(done)
        except EngineError as error:
            answer.set_exception(error)

    def _is_waiting(self, answer: Future[None]) -> bool:
        with self._lock:
            return any(each is answer for _, each in self._waiting)

    def _leave(self, answer: Future[None]) -> bool:
        with self._lock:
            return self._drop(answer)

    def _drop(self, answer: Future[None]) -> bool:
        """Take it out; was it there?"""
        for at, (_, each) in enumerate(self._waiting):
            if each is answer:
                del self._waiting[at]
                return True
        return False
