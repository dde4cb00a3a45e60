"""One model that this process serves: loaded in the background, waited for by requests, loaded again where its engine ends
by itself, and closed at the end.

It owns the model's states, its name in the API and the decision to start it again. It knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from portico_engine.errors import EngineDied, EngineError, ModelError
from portico_engine.request import TEMPLATE_PROBLEM
from portico_gateway.config.sections import EngineConfig, ModelConfig, NamedModelConfig
from portico_gateway.model.bench_record import follow_bench
from portico_gateway.model.chosen_adapter import adapter_places, chosen_adapter
from portico_gateway.model.installed import INSTALL_ENGINE
from portico_gateway.model.options import load_options

if TYPE_CHECKING:
    from portico_engine import EngineClient, LoadProgress

log = logging.getLogger(__name__)

Start: TypeAlias = "Callable[[LoadProgress], Awaitable[EngineClient]]"
BeforeReady: TypeAlias = "Callable[[EngineClient], Awaitable[None]]"

FIRST_DELAY = 0.5  # seconds before an engine that ended is started again; doubled with each end in a row
STABLE = 60.0  # an engine that lasted this long starts the count afresh
MAX_ENDS = 5  # in a row; then it is given up for a while
PAUSE = 60.0  # seconds that an engine which was given up is left alone: what broke it may be gone by then
STATS_TIMEOUT = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class LoadStatus:
    """How the model is. `fraction` is of the current stage of loading, `seconds` what loading took, `error` the last one; of a
    model that is ready, why it can't answer chats.
    """

    state: Literal["unloaded", "loading", "ready", "restarting", "failed"]
    stage: str = ""
    fraction: float = 0.0
    error: str | None = None
    seconds: float | None = None
    restarts: int = 0


class ModelHost:
    """`async with host.running():` loads; meanwhile `engine(timeout)` waits for it. One on demand is started and stopped by
    whoever has it (`pool`).
    """

    def __init__(
        self,
        name: str,
        start: Start,
        *,
        on_end: Callable[[LoadStatus], None] | None = None,
        adapter: str | None = None,
        first_delay: float = FIRST_DELAY,
        pause: float = PAUSE,
        aliases: Sequence[str] = (),
        keep_alive: float | None = None,
        needed: Callable[[], int] = lambda: 0,
        before_ready: BeforeReady | None = None,
    ) -> None:
        """`name` is the model's id in the API, `aliases` are further ones, `adapter` the one that answers where a request names
        none. `start(progress)` raises EngineError where the model can't be loaded. Of one on demand: `keep_alive` seconds
        without a request end it (None: nothing does), `needed()` says how many bytes it takes.

        `on_end` hears when the first loading is over, one way or the other. `before_ready(engine)` is waited for with each
        engine, before requests have it.
        """
        self.name = name
        self.created = int(time.time())
        self.status = LoadStatus("loading")
        self._start = start
        self._on_end = on_end
        self.adapter = adapter
        self.aliases = tuple(aliases)
        self.keep_alive = keep_alive
        self.needed = needed
        self.before_ready = before_ready
        self._task: asyncio.Task[None] | None = None
        self._first_delay = first_delay
        self._pause = pause
        self._engine: EngineClient | None = None
        self._settled = asyncio.Event()  # it is ready, or will never be

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.start()
        try:
            yield
        finally:
            await self.stop()

    @property
    def is_started(self) -> bool:
        """Is it there, or on its way? False where nobody has started it, or where it was given up."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Load it, in the background. No effect on one that is started."""
        if not self.is_started:
            self._settled.clear()
            self.status = LoadStatus("loading")
            self._task = asyncio.create_task(self._run(), name=f"model {self.name}")

    async def stop(self) -> None:
        """End what runs; it may be started again."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._settled.clear()
            self.status = LoadStatus("unloaded")

    async def engine(self, timeout: float) -> EngineClient | None:
        """The engine, once it is loaded; None where that takes over `timeout` seconds. Raises ModelError if it failed."""
        try:
            async with asyncio.timeout(timeout):
                await self._settled.wait()
        except TimeoutError:
            return None
        if self._engine is None:
            raise ModelError(self.status.error or f"the model {self.name} is not available")
        return self._engine

    @property
    def loaded(self) -> EngineClient | None:
        return self._engine

    async def stats(self) -> dict[str, float] | None:
        """The engine's; None where it isn't there, or doesn't answer at once."""
        if self._engine is None:
            return None
        try:
            async with asyncio.timeout(STATS_TIMEOUT):
                return await self._engine.stats()
        except (TimeoutError, EngineDied):
            return None

    async def _run(self) -> None:
        """Load, and load again where the engine ends by itself: at once, then less and less often. Requests wait for a restart,
        but not for an engine that was given up.
        """
        ends = 0  # in a row
        while True:
            begun = time.monotonic()
            try:
                how = await self._serve()
            except EngineDied as error:
                if self.status.state == "loading":
                    self._fail(f"{error} while it loaded the model")
                    return
                how = str(error)
            except (EngineError, ImportError, MemoryError) as error:
                self._fail(_reason(error))
                return
            except Exception:
                log.exception("the model %s could not be loaded", self.name)
                self._fail("internal error while loading; the log has more")
                raise
            ends = 1 if time.monotonic() - begun > STABLE else ends + 1
            if ends >= MAX_ENDS:
                self._fail(f"{how}, {ends} times in a row: it is not started again for {self._pause:g} s")
                await asyncio.sleep(self._pause)
                self.status = replace(self.status, restarts=self.status.restarts + 1)
                continue
            log.warning("%s; it is started again", how)
            self._enter(replace(self.status, state="restarting", error=how, restarts=self.status.restarts + 1))
            await asyncio.sleep(self._first_delay * 2 ** (ends - 1))

    async def _serve(self) -> str:
        """Start an engine and have it used until it ends; how it did."""
        begun = time.monotonic()
        loop = asyncio.get_running_loop()

        def progress(stage: str, fraction: float) -> None:
            loop.call_soon_threadsafe(self._progress, stage, fraction)

        engine = await self._start(progress)
        try:
            if self.before_ready is not None:
                progress("tools", 0.0)
                await self.before_ready(engine)
            self._engine = engine
            seconds = time.monotonic() - begun
            if self.status.restarts:
                log.warning("the model %s is ready again after %.1f s", self.name, seconds)
            problem = engine.info.extra.get(TEMPLATE_PROBLEM)
            self._enter(LoadStatus("ready", error=problem, seconds=seconds, restarts=self.status.restarts))
            return await engine.ended()
        finally:
            self._engine = None
            self._settled.clear()
            await engine.aclose()

    def _fail(self, error: str) -> None:
        level = logging.INFO if self.status.state == "loading" else logging.ERROR  # the first time `on_end` is who says it
        log.log(level, "the model %s is not available: %s", self.name, error)
        self._enter(replace(self.status, state="failed", error=error))

    def _enter(self, status: LoadStatus) -> None:
        first = self.status.state == "loading"
        self.status = status
        if status.state != "restarting":
            self._settled.set()
        if first and self._on_end is not None:
            self._on_end(status)

    def _progress(self, stage: str, fraction: float) -> None:
        if self.status.state in ("loading", "restarting"):
            self.status = replace(self.status, stage=stage, fraction=fraction)


def model_host(config: ModelConfig, engine: EngineConfig, *, on_end: Callable[[LoadStatus], None] | None = None) -> ModelHost:
    """A host for the configured model and its adapters, whose engine is a process of its own. Raises ModelError where there is
    no such model.
    """
    from portico_engine import find_model

    path = find_model(config.name)
    return ModelHost(model_id(config.name, path), _starter(path, config, engine), on_end=on_end, adapter=chosen_adapter(config))


def model_on_demand(name: str, entry: NamedModelConfig, engine: EngineConfig) -> ModelHost:
    """A host for a model of [models.NAME]. Whether there is such a file is found out when it is first asked for."""
    from portico_engine import find_model

    config, own = entry.model_config_of(name), entry.engine_config(engine)

    async def start(progress: LoadProgress) -> EngineClient:
        return await _starter(await asyncio.to_thread(find_model, config.name), config, own)(progress)

    def needed() -> int:
        from portico_engine import needed_memory

        return needed_memory(find_model(config.name), **load_options(config, own))

    host = ModelHost(
        name,
        start,
        adapter=chosen_adapter(config),
        aliases=entry.aliases,
        keep_alive=entry.keep_alive_seconds,
        needed=needed,
    )
    host.status = LoadStatus("unloaded")
    return host


def _starter(path: Path, config: ModelConfig, engine: EngineConfig) -> Start:
    """What starts an engine with the model at `path` and its adapters, in a process of its own."""
    from portico_engine import EngineProcess, engine_loader

    places = adapter_places(config)
    load = engine_loader(path, **follow_bench(path, load_options(config, engine)))

    async def start(progress: LoadProgress) -> EngineClient:
        process = await EngineProcess.open(load, progress)
        try:
            for adapter, place in places.items():
                await process.load_adapter(adapter, place)
        except BaseException:
            await process.aclose()
            raise
        return process

    return start


def remote_host(config: EngineConfig, *, on_end: Callable[[LoadStatus], None] | None = None) -> ModelHost:
    """A host for the model behind the configured servers, by the name that they have for it. Raises ModelServerFault where none
    of them answers."""
    from portico_gateway.model.remote.engine import RemoteEngine
    from portico_gateway.model.remote.first_model import first_model

    form = None if config.grammar_as == "auto" else config.grammar_as

    async def start(progress: LoadProgress) -> EngineClient:
        return await RemoteEngine.open(config.urls, config.key, seconds=config.timeout, form=form)

    return ModelHost(first_model(config.urls, config.key), start, on_end=on_end)


def model_id(name: str, path: Path) -> str:
    """What the API calls the model: the known name it was asked for by, or its file's name."""
    return path.name.removesuffix(".gguf") if name.endswith(".gguf") or "/" in name else name


def _reason(error: BaseException) -> str:
    if isinstance(error, ImportError):
        return f"the engine's libraries are not installed ({error}); {INSTALL_ENGINE}"
    return str(error) or type(error).__name__
