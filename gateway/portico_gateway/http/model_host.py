"""The one model that this process serves: loaded in the background, waited for by requests, and closed at the end.

It owns loading and its states. It knows the engine's root API, and nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from portico_engine.errors import EngineError, ModelError

if TYPE_CHECKING:
    from portico_engine import AsyncEngine, Engine

log = logging.getLogger(__name__)

Load = Callable[[Callable[[str, float], None]], "Engine"]


@dataclass(frozen=True, slots=True)
class LoadStatus:
    """How far loading is. `fraction` is of the current stage."""

    state: Literal["loading", "ready", "failed"]
    stage: str = ""
    fraction: float = 0.0
    error: str | None = None
    seconds: float | None = None


class ModelHost:
    """`async with host.running():` loads; meanwhile `engine(timeout)` waits for it."""

    def __init__(self, name: str, load: Load, *, on_end: Callable[[LoadStatus], None] | None = None) -> None:
        """`name` is the model's id in the API. `load(progress)` blocks and raises EngineError where it can't.

        `on_end` hears when loading is over, one way or the other.
        """
        self.name = name
        self.created = int(time.time())
        self.status = LoadStatus("loading")
        self._load = load
        self._on_end = on_end
        self._engine: AsyncEngine | None = None
        self._over = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._run(), name=f"load {self.name}")
        try:
            yield
        finally:
            await self._stop(task)

    async def engine(self, timeout: float) -> AsyncEngine | None:
        """The engine, once it is loaded; None where that takes over `timeout` seconds. Raises ModelError if it failed."""
        try:
            async with asyncio.timeout(timeout):
                await self._over.wait()
        except TimeoutError:
            return None
        if self._engine is None:
            raise ModelError(self.status.error or f"the model {self.name} is not available")
        return self._engine

    @property
    def loaded(self) -> AsyncEngine | None:
        return self._engine

    async def _run(self) -> None:
        begun = time.monotonic()
        loop = asyncio.get_running_loop()

        def progress(stage: str, fraction: float) -> None:
            loop.call_soon_threadsafe(self._progress, stage, fraction)

        try:
            engine = await asyncio.to_thread(self._load, progress)
            from portico_engine import AsyncEngine

            self._engine = await AsyncEngine(engine).__aenter__()
            self.status = LoadStatus("ready", seconds=time.monotonic() - begun)
        except (EngineError, ImportError, MemoryError) as error:
            self.status = LoadStatus("failed", error=_reason(error))
            log.info("the model %s could not be loaded: %s", self.name, self.status.error)
        except Exception:
            self.status = LoadStatus("failed", error="internal error while loading; the log has more")
            log.exception("the model %s could not be loaded", self.name)
            raise
        finally:
            self._over.set()
            if self._on_end is not None and self.status.state != "loading":
                self._on_end(self.status)

    def _progress(self, stage: str, fraction: float) -> None:
        if self.status.state == "loading":
            self.status = LoadStatus("loading", stage, fraction)

    async def _stop(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if self._engine is not None:
            await self._engine.__aexit__(None, None, None)
            await asyncio.to_thread(self._engine.engine.close)


def model_host(name: str, path: Path, *, on_end: Callable[[LoadStatus], None] | None = None, **options: Any) -> ModelHost:
    """A host for the GGUF file at `path`. `options` are `Engine.load`'s."""

    def load(progress: Callable[[str, float], None]) -> Engine:
        from portico_engine import Engine

        return Engine.load(path, progress=progress, **options)

    return ModelHost(name, load, on_end=on_end)


def _reason(error: BaseException) -> str:
    if isinstance(error, ImportError):
        return f"the engine's libraries are not installed ({error}); pip install 'portico-mcp[engine]'"
    return str(error) or type(error).__name__
