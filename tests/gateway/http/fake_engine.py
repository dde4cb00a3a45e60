"""An engine with the real one's surface whose answers are scripted, so that HTTP is tested without a model.

It stands under the real AsyncEngine: threads, streams and aborts are the real ones.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from portico_engine import AdapterInfo, ContextOverflow, Delta, Embeddings, FinishReason, ModelInfo, Request, Tool, Usage

PLAIN_TEMPLATE = "{% for message in messages %}...{% endfor %}"


@dataclass
class FakeTokenizer:
    """A token a byte, and `control` tokens by their text."""

    token_bytes = tuple(bytes([value]) for value in range(256))
    end_token_ids = frozenset({0})
    control: Mapping[str, int] = field(default_factory=dict)

    def token_id(self, token: str) -> int | None:
        return self.control.get(token)

    def is_control(self, token: int) -> bool:
        return token in self.control.values()

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        return list(text.encode())


@dataclass
class FakeEngine:
    """`script(request)` gives the pieces of an answer; an exception among them fails the step."""

    script: Callable[[Request], Sequence[str | Exception]] = lambda request: ["Hello", " there"]
    context_length: int = 2000
    chat_template: str = PLAIN_TEMPLATE
    endless: bool = False
    finish: FinishReason = FinishReason.STOP
    stop: str | None = None
    unfinished: bool = False
    executor: str = "torch"
    extra: dict[str, Any] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    rendered: list[list[Mapping[str, Any]]] = field(default_factory=list)
    rendered_tools: list[Sequence[Tool] | None] = field(default_factory=list)
    aborted: list[str] = field(default_factory=list)
    was_aborted: threading.Event = field(default_factory=threading.Event)
    was_submitted: threading.Event = field(default_factory=threading.Event)
    numerics_id: str = "fake"
    closed: bool = False
    figures: Mapping[str, float] = field(default_factory=dict)
    loaded_adapters: Sequence[str] = ()
    adapter_prompts: str = ""
    variables: list[Mapping[str, Any] | None] = field(default_factory=list)
    embedded: list[int] = field(default_factory=list)  # texts of each call
    tokenizer: FakeTokenizer = field(default_factory=FakeTokenizer)
    _live: dict[str, list[str | Exception]] = field(default_factory=dict)
    _paused: dict[str, list[str | Exception]] = field(default_factory=dict)

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(
            "fake", "llama", self.context_length, 256, 1, "F32", 1, self.executor, self.numerics_id, extra=self.extra
        )

    def render_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Tool] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> tuple[int, ...]:
        self.variables.append(variables)
        self.rendered.append(list(messages))
        self.rendered_tools.append(tools)
        return tuple(self.tokenizer.encode("".join(f"<{m['role']}>{m['content']}" for m in messages)))

    def score(self, prompt: Sequence[int], continuations: Sequence[Sequence[int]], salt: bytes = b"") -> list[list[float]]:
        """A continuation's tokens are likely as far as the prompt has them."""
        if len(prompt) >= self.context_length:
            raise ContextOverflow(len(prompt), self.context_length)
        return [[-0.1 if token in prompt else -5.0 for token in tokens] for tokens in continuations]

    def embed(self, texts: Sequence[str | Sequence[int]], pooling: str | None = None) -> Embeddings:
        """A text's length, its first token, and the pooling's length."""
        tokens = [self.tokenizer.encode(text) if isinstance(text, str) else list(text) for text in texts]
        if longest := max((len(each) for each in tokens if len(each) > self.context_length), default=0):
            raise ContextOverflow(longest, self.context_length)
        self.embedded.append(len(tokens))
        rows = [[len(each), each[0], len(pooling or ""), 0] for each in tokens]
        return Embeddings(np.array(rows, np.float32), tuple(map(len, tokens)))

    def adapters(self) -> tuple[AdapterInfo, ...]:
        return tuple(AdapterInfo(name, Path(name), "", 8, "", self.adapter_prompts) for name in self.loaded_adapters)

    def has_grammar(self, grammar: object) -> bool:
        return True

    def prepare_grammar(self, grammar: object) -> None:
        pass

    def submit(self, request: Request) -> None:
        if len(request.prompt) >= self.context_length:
            raise ContextOverflow(len(request.prompt), self.context_length)
        self.requests.append(request)
        self._live[request.id] = list(self.script(request))
        self.was_submitted.set()

    def abort(self, request_id: str) -> None:
        self.aborted.append(request_id)
        self._live.pop(request_id, None)
        self._paused.pop(request_id, None)
        self.was_aborted.set()

    def pause(self, request_id: str) -> None:
        self._paused[request_id] = self._live.pop(request_id)

    def resume(self, request_id: str) -> None:
        self._live[request_id] = self._paused.pop(request_id)

    def fail_all(self, message: str) -> None:
        self._failed = [Delta(name, finish_reason=FinishReason.ERROR, error=message) for name in self._live]
        self._live.clear()

    _failed: list[Delta] = field(default_factory=list)

    @property
    def has_work(self) -> bool:
        return bool(self._live or self._failed)

    def step(self) -> list[Delta]:
        try:
            return self._step()
        except Exception as error:
            self.fail_all(f"the engine failed in a step ({type(error).__name__}: {error})")
            raise

    def _step(self) -> list[Delta]:
        deltas, self._failed = self._failed, []
        if self.endless:
            time.sleep(0.002)
            return [Delta(name, "word ", (1,), (-0.5,), (((1, -0.5),),)) for name in self._live]
        for name, pieces in list(self._live.items()):
            if not pieces:
                del self._live[name]
                usage = Usage(prompt_tokens=7, cached_tokens=3, completion_tokens=5, forced_tokens=2)
                last = Delta(name, tokens=(0,), logprobs=(-0.1,), finish_reason=self.finish, stop=self.stop, usage=usage)
                deltas.append(replace(last, unfinished=self.unfinished))
                continue
            piece = pieces.pop(0)
            if isinstance(piece, Exception):
                raise piece
            tokens = tuple(piece.encode())
            deltas.append(Delta(name, piece, tokens, (-0.5,) * len(tokens), tuple(((t, -0.5), (0, -2.0)) for t in tokens)))
        return deltas

    def stats(self) -> Mapping[str, float]:
        return defaultdict(float, self.figures)

    def close(self) -> None:
        self.closed = True
