"""Which adapters a configuration has loaded, and which of them answers where a request names none: [model] adapter."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portico_gateway.config.sections import DEFAULT_ADAPTER, ModelConfig

if TYPE_CHECKING:
    from portico_engine import AdapterInfo, Delta, Embeddings, EngineClient, ModelInfo, Pooling, Request, Tool, VocabularyView


def chosen_adapter(config: ModelConfig) -> str | None:
    """Its name; None: the model answers by itself."""
    return None if config.adapter == "none" else config.adapter


def adapter_places(config: ModelConfig) -> dict[str, Path]:
    """All that are loaded, by name. Raises AdapterError where the package's own is meant and isn't there."""
    from portico_engine import default_adapter

    own = {DEFAULT_ADAPTER: default_adapter()} if config.adapter == DEFAULT_ADAPTER else {}
    return own | {name: place.expanduser() for name, place in config.adapters.items()}


async def with_chosen_adapter(engine: EngineClient, config: ModelConfig) -> EngineClient:
    """The engine with the chosen adapter loaded, which its requests are under. It is closed where that
    fails. Raises AdapterError."""
    name = chosen_adapter(config)
    if name is None:
        return engine
    try:
        await engine.load_adapter(name, adapter_places(config)[name])
    except BaseException:
        await engine.aclose()
        raise
    return AdaptedEngine(engine, name)


class AdaptedEngine:
    """An `EngineClient` whose requests are under an adapter unless they name another."""

    def __init__(self, engine: EngineClient, adapter: str) -> None:
        self._engine = engine
        self._adapter = adapter

    @property
    def base(self) -> EngineClient:
        """The engine itself, whose requests are under no adapter."""
        return self._engine

    @property
    def info(self) -> ModelInfo:
        return self._engine.info

    @property
    def tokens(self) -> VocabularyView:
        return self._engine.tokens

    @property
    def chat_template(self) -> str:
        return self._engine.chat_template

    async def render_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Tool] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> tuple[int, ...]:
        return await self._engine.render_chat(messages, tools, variables)

    async def tokenize(self, text: str) -> tuple[int, ...]:
        return await self._engine.tokenize(text)

    def generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        return self._engine.generate(request if request.adapter is not None else replace(request, adapter=self._adapter))

    async def score(
        self, prompt: Sequence[int], continuations: Sequence[Sequence[int]], salt: bytes = b""
    ) -> list[list[float]]:
        """By the base: what is compared by scores was fitted with those."""
        return await self._engine.score(prompt, continuations, salt)

    async def embed(self, texts: Sequence[str | Sequence[int]], pooling: Pooling | None = None) -> Embeddings:
        """By the base: no adapter was trained for it."""
        return await self._engine.embed(texts, pooling)

    async def load_adapter(self, name: str, path: Path) -> AdapterInfo:
        return await self._engine.load_adapter(name, path)

    async def unload_adapter(self, name: str) -> None:
        await self._engine.unload_adapter(name)

    async def adapters(self) -> tuple[AdapterInfo, ...]:
        return await self._engine.adapters()

    async def stats(self) -> dict[str, float]:
        return await self._engine.stats()

    async def ended(self) -> str:
        return await self._engine.ended()

    async def aclose(self) -> None:
        await self._engine.aclose()
