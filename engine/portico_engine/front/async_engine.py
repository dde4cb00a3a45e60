"""The engine for asyncio, in a thread of this process: streams come back as async iterators.

It owns the crossing between the thread and the event loop, one a step. It implements `EngineClient`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from portico_engine.adapters.adapter import AdapterInfo
from portico_engine.client import VocabularyView
from portico_engine.engine import Engine
from portico_engine.errors import EngineError
from portico_engine.front.engine_thread import EngineThread
from portico_engine.front.flow_control import Receipts
from portico_engine.loading.engine_loader import EngineLoader
from portico_engine.loading.options import LoadProgress
from portico_engine.request import Delta, Embeddings, ModelInfo, Pooling, Request
from portico_engine.tool import Tool

T = TypeVar("T")
_log = logging.getLogger(__name__)


class AsyncEngine:
    """`async with AsyncEngine(engine) as e: async for delta in e.generate(request): ...`

    Leaving the block cancels what is in flight, joins the thread and closes the engine.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread: EngineThread[asyncio.Queue[Delta]] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()

    @classmethod
    async def open(cls, load: EngineLoader, progress: LoadProgress = lambda _stage, _fraction: None) -> AsyncEngine:
        """Load and start; `aclose` ends it. `progress` is called on another thread."""
        return await cls(await asyncio.to_thread(load, progress)).__aenter__()

    async def __aenter__(self) -> AsyncEngine:
        if self._thread is not None:
            raise EngineError("this AsyncEngine was entered before; make a new one")
        self._loop = asyncio.get_running_loop()
        self._thread = EngineThread(self._engine, self._deliver, self._ended)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """See `EngineClient`."""
        thread = self._running
        thread.close()
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, thread.join))

    @property
    def info(self) -> ModelInfo:
        return self._engine.info

    @property
    def tokens(self) -> VocabularyView:
        return self._engine.tokenizer

    @property
    def chat_template(self) -> str:
        """See `EngineClient`."""
        return self._engine.chat_template

    async def render_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Tool] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> tuple[int, ...]:
        """See `EngineClient`."""
        return await asyncio.to_thread(self._engine.render_chat, messages, tools, variables)

    async def tokenize(self, text: str) -> tuple[int, ...]:
        """See `EngineClient`."""
        return tuple(await asyncio.to_thread(self._engine.tokenizer.encode, text))

    async def generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        """See `EngineClient`."""
        stream: asyncio.Queue[Delta] = asyncio.Queue()
        receipts = Receipts(lambda count: self._running.taken(request.id, stream, count))
        finished = False
        submission = self._running.submit(request, stream)
        try:
            await asyncio.wrap_future(submission)
            while not finished:
                delta = await stream.get()
                finished = delta.finish_reason is not None
                yield delta
                receipts.took(delta)
        finally:
            if not finished:
                self._running.abort(request.id, stream)

    async def score(
        self, prompt: Sequence[int], continuations: Sequence[Sequence[int]], salt: bytes = b""
    ) -> list[list[float]]:
        """See `EngineClient`."""
        return await self.run_sync(lambda: self._engine.score(prompt, continuations, salt))

    async def embed(self, texts: Sequence[str | Sequence[int]], pooling: Pooling | None = None) -> Embeddings:
        """See `EngineClient`."""
        return await self.run_sync(lambda: self._engine.embed(texts, pooling))

    async def load_adapter(self, name: str, path: Path) -> AdapterInfo:
        """See `EngineClient`. It is read beside the steps."""
        adapter = await asyncio.to_thread(self._engine.read_adapter, path)
        return await self.run_sync(lambda: self._engine.add_adapter(name, adapter))

    async def unload_adapter(self, name: str) -> None:
        """See `EngineClient`."""
        await self.run_sync(lambda: self._engine.unload_adapter(name))

    async def adapters(self) -> tuple[AdapterInfo, ...]:
        """See `EngineClient`."""
        return self._engine.adapters()

    async def stats(self) -> dict[str, float]:
        """See `EngineClient`."""
        return self._engine.stats()

    async def run_sync(self, fn: Callable[[], T]) -> T:
        """Run `fn` on the engine's thread, between two steps, where it may touch the engine."""
        return await asyncio.wrap_future(self._running.call(fn))

    async def ended(self) -> str:
        """See `EngineClient`."""
        await self._over.wait()
        return "the engine's thread ended"

    @property
    def _running(self) -> EngineThread[asyncio.Queue[Delta]]:
        if self._thread is None:
            raise EngineError("the engine is closed")
        return self._thread

    def _deliver(self, told: Sequence[tuple[asyncio.Queue[Delta], Delta]]) -> None:
        self._on_loop(_put_all, told)

    def _ended(self) -> None:
        self._on_loop(self._over.set)

    def _on_loop(self, fn: Callable[..., object], *args: object) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(fn, *args)
        except RuntimeError:  # the loop was closed under us: nobody listens any more
            _log.warning("the event loop ended before the engine did")


def _put_all(told: Sequence[tuple[asyncio.Queue[Delta], Delta]]) -> None:
    for stream, delta in told:
        stream.put_nowait(delta)
