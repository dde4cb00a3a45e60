"""An engine that is started when somebody first asks for it: nothing is loaded before the first question.

It owns that one late start and the engine's end. It does not start an engine again: `host.py` does, for a model that is served.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, TypeAlias

import anyio

from portico_gateway.config.sections import EngineConfig, ModelConfig
from portico_gateway.errors import GatewayError
from portico_gateway.model.chosen_adapter import with_chosen_adapter
from portico_gateway.model.options import device_options, load_options
from portico_gateway.model.start import start_engine

if TYPE_CHECKING:
    from portico_engine import EngineClient

GetEngine: TypeAlias = Callable[[], Awaitable["EngineClient"]]  # raises GatewayError where the model can't be had


class LazyEngine:
    """Loads the model when it is first asked for, once; closing it ends what runs."""

    def __init__(self, config: ModelConfig, engine: EngineConfig | None = None) -> None:
        """`engine` says over which devices; the rest of it is for a model that is served."""
        self._config = config
        self._devices = device_options(engine or EngineConfig())
        self._lock = anyio.Lock()
        self._engine: EngineClient | None = None
        self._stack = AsyncExitStack()

    async def get(self) -> EngineClient:
        """The engine. Raises GatewayError where the model can't be had."""
        async with self._lock:
            if self._engine is None:
                self._engine = await self._load()
            return self._engine

    async def _load(self) -> EngineClient:
        from portico_engine import EngineError, find_model

        try:
            engine = await start_engine(find_model(self._config.name), load_options(self._config) | self._devices)
            engine = await with_chosen_adapter(engine, self._config)
        except EngineError as error:
            raise GatewayError(f"the model can't be loaded: {error}") from None
        self._stack.push_async_callback(engine.aclose)
        return engine

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._stack.aclose()
