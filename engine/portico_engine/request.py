"""What a caller asks of the engine, and how an answer ends. No torch here, and nothing of scheduling."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from portico_engine.grammar.compiled import CompiledGrammar


class FinishReason(enum.StrEnum):
    """Every accepted request ends with exactly one of these."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CANCELLED = "cancelled"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How to sample tokens. Applied in this order: penalties, temperature, top-k, top-p, min-p, then the draw.

    temperature 0 is argmax and ignores top-k, top-p, min-p and seed. top_k 0, top_p 1.0 and min_p 0.0 switch that filter off;
    seed None draws from the operating system. Bad values raise RequestError naming the field.
    """

    temperature: float = 0.7
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int | None = None
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logprobs: int | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()  # (token, added to its logit before anything else)


class Prior(Protocol):
    """A caller's belief about an answer, as plain data that can be pickled: it knows no vocabulary yet."""

    def over(self, token_texts: Sequence[str]) -> TokenPrior:
        """The belief for one answer in a vocabulary, whose tokens' texts these are by id."""
        ...


class TokenPrior(Protocol):
    """A belief about what comes next, added to the logits of a constrained step before sampling. One answer's own."""

    def bias(self, text: str, allowed: npt.NDArray[np.int64]) -> npt.NDArray[np.float32] | None:
        """`text` is the completion so far, `allowed` the token ids allowed next [n]; returns what to add [n], or None."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One generation: a tokenized prompt and how to continue it."""

    id: str
    prompt: tuple[int, ...]
    sampling: SamplingParams = SamplingParams()
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    grammar: CompiledGrammar | None = None
    prior: Prior | None = None  # asked only where a grammar leaves a choice
    priority: int = 0  # lower runs first
    keep: int = 0  # tokens at the prompt's beginning whose KV shall survive a restart: instructions and tools
    pin: float = 0.0  # seconds that prompt and answer stay in memory before others, because their next turn is under way
    shown_tokens: frozenset[int] = frozenset()  # control tokens whose text belongs to the answer: a call's marker


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call: the engine's own view of a tool, free of MCP and HTTP."""

    name: str
    description: str
    parameters: dict[str, Any]  # JSON Schema, 2020-12 or draft-07


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts and times of one request. Times are seconds."""

    prompt_tokens: int = 0
    cached_tokens: int = 0  # of the prompt, found in the prefix index
    completion_tokens: int = 0
    forced_tokens: int = 0  # of the completion, taken without sampling because the grammar left no choice
    sampled_steps: int = 0  # model steps that sampled a token
    time_to_first_token: float = 0.0
    decode_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Delta:
    """One event of one request. The last one has a finish_reason and the final usage."""

    request_id: str
    text: str = ""  # whole UTF-8 characters only
    tokens: tuple[int, ...] = ()  # all that was generated, an end token (which has no text) among them
    logprobs: tuple[float, ...] = ()  # one a token where SamplingParams.logprobs is set; 0.0 for a forced token
    top_logprobs: tuple[tuple[tuple[int, float], ...], ...] = ()  # the most probable (token, logprob) at each token, best first
    finish_reason: FinishReason | None = None
    stop: str | None = None  # the stop string that ended it
    usage: Usage | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a loaded model is."""

    name: str
    architecture: str
    context_length: int
    vocab_size: int
    parameters: int
    quantization: str
    bytes_on_disk: int
    executor: str  # "torch" | "llama_cpp"
    numerics_id: str
    fingerprint: str = ""  # of the file's content: files of one name and size may hold different models
    extra: dict[str, Any] = field(default_factory=dict)
