"""What a program uses of a loaded model, wherever it runs: a thread of its own process, or another process.

It owns the seam only. `AsyncEngine` implements it in a thread, `EngineProcess` in a child process.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Protocol

from portico_engine.adapters.adapter import AdapterInfo
from portico_engine.request import Delta, Embeddings, ModelInfo, Pooling, Request
from portico_engine.tool import Tool


class VocabularyView(Protocol):
    """What is known of a vocabulary without asking the engine."""

    @property
    def token_bytes(self) -> Sequence[bytes]:
        """The bytes of every token id; for control tokens b"\\xff" and their text."""
        ...

    @property
    def end_token_ids(self) -> Set[int]: ...

    def token_id(self, token: str) -> int | None:
        """The id of a control token by its text, e.g. `<|im_end|>`; None where there is no such one."""
        ...

    def is_control(self, token: int) -> bool:
        """Is it a token with a meaning rather than a text?"""
        ...


class EngineClient(Protocol):
    """One loaded model, for the tasks of one event loop."""

    @property
    def info(self) -> ModelInfo: ...

    @property
    def tokens(self) -> VocabularyView: ...

    @property
    def chat_template(self) -> str:
        """The source of the model's chat template. Raises ChatTemplateError where it has none."""
        ...

    async def render_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Tool] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> tuple[int, ...]:
        """The prompt's tokens for these turns, up to where the answer begins; `variables` are further ones that the model's
        template knows. Raises ChatTemplateError.
        """
        ...

    async def tokenize(self, text: str) -> tuple[int, ...]:
        """The tokens of plain text: control tokens written in it are not taken for such."""
        ...

    def generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        """The request's deltas, the last one with its finish reason. Closing the iterator aborts it; while it isn't read for
        long (front/flow_control.py), the request is paused.

        Raises what `Engine.submit` raises, at the first delta; EngineDied, at any, where the engine's process ended.
        """
        ...

    async def score(
        self, prompt: Sequence[int], continuations: Sequence[Sequence[int]], salt: bytes = b""
    ) -> list[list[float]]:
        """See `Engine.score`."""
        ...

    async def embed(self, texts: Sequence[str | Sequence[int]], pooling: Pooling | None = None) -> Embeddings:
        """See `Engine.embed`."""
        ...

    async def load_adapter(self, name: str, path: Path) -> AdapterInfo:
        """Read the LoRA adapter at a path, a PEFT folder or a GGUF file; from now on requests may name it. Raises AdapterError
        where it can't be applied to this model, the name is taken or there is no room.
        """
        ...

    async def unload_adapter(self, name: str) -> None:
        """New requests don't find it any more; those that have it end with it. Raises UnknownAdapter."""
        ...

    async def adapters(self) -> tuple[AdapterInfo, ...]:
        """Those that requests may name. It does not wait for a step to end."""
        ...

    async def stats(self) -> dict[str, float]:
        """See `Engine.stats`. It does not wait for a step to end."""
        ...

    async def ended(self) -> str:
        """Returns how the engine ended, where it did so by itself or was closed; then nothing can be asked of it any more."""
        ...

    async def aclose(self) -> None:
        """Cancel what is in flight, save what is to be kept, and let go of the model."""
        ...
