"""What a caller asks of the engine, and how an answer ends. No torch here, and nothing of scheduling."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from portico_engine.grammar.compiled import CompiledGrammar
    from portico_engine.priors.protocol import Prior


Pooling: TypeAlias = Literal["mean", "last", "cls"]  # how a text's states become one vector
NO_SEED = -1  # as a seed: none was given


class FinishReason(enum.StrEnum):
    """Every accepted request ends with exactly one of these."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How to sample tokens. Applied in this order: penalties, temperature, top-k, top-p, min-p, then the draw.

    temperature 0 is argmax and ignores top-k, top-p, min-p and seed, and so is top_p 0, the smallest nucleus. top_k 0, top_p
    1.0 and min_p 0.0 switch that filter off. seed None or -1 draws from the operating system. Values outside of SAMPLING_RANGES
    raise RequestError naming the field.

    The first `min_tokens` of an answer are none that end it, as far as its grammar leaves others; with `ignore_eos` the model's
    end tokens end nothing (its grammar, a stop string, its length still do); `stop_token_ids` end it too. DRY
    (`dry_multiplier` over 0) holds repetitions back (`repetition`). XTC removes, with `xtc_probability`, all but the least
    likely of the tokens of at least `xtc_threshold` (p-e-w 2024), behind min-p.
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
    min_tokens: int = 0
    ignore_eos: bool = False
    stop_token_ids: tuple[int, ...] = ()
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2  # tokens of a repetition that cost nothing
    dry_penalty_last_n: int = -1  # tokens that are looked at; -1: all
    dry_sequence_breakers: tuple[str, ...] | None = None  # texts that no repetition goes past; None: the usual ones
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1

    @property
    def is_seeded(self) -> bool:
        """Was a seed given? Then a request that runs alone is answered as it was before, whatever of its prompt is known."""
        return self.seed is not None and self.seed != NO_SEED

    @property
    def is_greedy(self) -> bool:
        """Is it the likeliest token that is taken?"""
        return self.temperature == 0 or self.top_p == 0


class Preset(NamedTuple):
    """Sampling for a purpose."""

    temperature: float
    top_p: float
    min_p: float


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "conversation": Preset(0.7, 0.9, 0.05),
        "structured": Preset(0.1, 0.95, 0.01),
        "creative": Preset(1.0, 0.95, 0.02),
        "classification": Preset(0.0, 1.0, 0.0),
    }
)


@dataclass(frozen=True, slots=True)
class ParameterRange:
    """The values that a number may have; both ends belong to it, unless `open_minimum`. Infinity and NaN are never inside.

    Its text is how an error goes on after "it must be".
    """

    minimum: float
    maximum: float | None = None
    open_minimum: bool = False
    off: float | None = None  # the value that switches the parameter off, where the text shall say so

    def __contains__(self, value: float) -> bool:
        above = value > self.minimum if self.open_minimum else value >= self.minimum
        return above and math.isfinite(value) and (self.maximum is None or value <= self.maximum)

    def __str__(self) -> str:
        if self.maximum is None:
            return f"{self.minimum}{' (off)' if self.off == self.minimum else ''} or more"
        note = "" if self.off is None else f" ({self.off} is off)"
        if self.open_minimum:
            return f"above {self.minimum} and at most {self.maximum}{note}"
        if self.maximum == _LARGEST_SEED:
            return f"from -2**63 to 2**64 - 1 ({NO_SEED}: none){note}"
        return f"from {self.minimum} to {self.maximum}{note}"


_SMALLEST_SEED, _LARGEST_SEED = -(1 << 63), (1 << 64) - 1

# The one place that says what a sampling parameter may be: `sampling.validate` and every API in front of the engine read it.
# None, where a field of SamplingParams takes it, is outside of this, and so is logit_bias, which is no number.
SAMPLING_RANGES: Mapping[str, ParameterRange] = MappingProxyType(
    {
        "temperature": ParameterRange(0, 100),
        "top_k": ParameterRange(0, off=0),
        "top_p": ParameterRange(0, 1),
        "min_p": ParameterRange(0, 1),
        "seed": ParameterRange(_SMALLEST_SEED, _LARGEST_SEED),
        "repetition_penalty": ParameterRange(0, 100, open_minimum=True, off=1),
        "frequency_penalty": ParameterRange(-2, 2),
        "presence_penalty": ParameterRange(-2, 2),
        "logprobs": ParameterRange(0, 20),
        "min_tokens": ParameterRange(0, off=0),
        "dry_multiplier": ParameterRange(0, 100, off=0),
        "dry_base": ParameterRange(1, 8),
        "dry_allowed_length": ParameterRange(1, 1024),
        "dry_penalty_last_n": ParameterRange(-1),
        "xtc_probability": ParameterRange(0, 1, off=0),
        "xtc_threshold": ParameterRange(0, 1),
    }
)


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
    adapter: str | None = None  # the loaded one that answers, by name; None: the model itself
    caller: str = ""  # who asks, as an opaque key: callers of one priority share the engine evenly
    salt: bytes = b""  # a tenant's: KV of its text is found by requests with the same salt alone; empty: by all that have none
    shared_prefix_tokens: int = 0  # tokens at the prompt's beginning that hold nobody's text: their full blocks have no salt
    keep: int = 0  # tokens at the prompt's beginning whose KV shall survive a restart: instructions and tools
    pin: float = 0.0  # seconds that prompt and answer stay in memory before others, because their next turn is under way
    pin_where: str = ""  # only an answer with this text in it is pinned: the mark of a call, whose result is on its way
    whole: bool = False  # the answer is told at its end, in one delta: for who would only put it together
    shown_tokens: frozenset[int] = frozenset()  # control tokens whose text belongs to the answer: a call's marker


@dataclass(frozen=True, slots=True)
class Embeddings:
    """`vectors` float32 [texts, size], not normalized; `tokens` that each text was."""

    vectors: npt.NDArray[np.float32]
    tokens: tuple[int, ...]


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
    unfinished: bool = False  # the length ended it before its grammar did: how that ends in time is not known
    usage: Usage | None = None
    error: str | None = None


# What ModelInfo.extra may have:
TEMPLATE_PROBLEM = "template_problem"  # where the model can't answer chats: why
MEMORY = "memory"  # the memory plan, in a line
EXPERT_TOKENS = "expert_tokens."  # of `Engine.stats`, followed by layer and expert with a dot between them
FALLBACKS = "fallbacks"  # see `ModelInfo.fallbacks`
MAX_ROWS = "max_rows"  # of one step
EMBEDDING_SIZE = "embedding_size"  # of what `embed` makes; 0 where it makes none
GENERATES = "generates"  # False for a model that makes embeddings and no text


# Deciding who runs; handing the batch to the executor (on a CPU: computing it); filling token masks and priors meanwhile;
# waiting for the device and sampling; taking the tokens: grammar, text, stop checks.
StepPart: TypeAlias = Literal["schedule", "launch", "mask", "wait", "accept"]
STEP_PARTS: tuple[StepPart, ...] = get_args(StepPart)  # each is step_seconds_PART in an engine's stats

# A block of KV that is not free: a request has it; it is kept for whoever goes on from it, or before others for one that is
# known to come back. It holds nobody's text (`Request.shared_prefix_tokens`), or some caller's.
KVState: TypeAlias = Literal["held", "cached", "pinned"]
KVOwner: TypeAlias = Literal["shared", "callers"]
KV_STATES: tuple[KVState, ...] = get_args(KVState)  # each pair is blocks_STATE_OWNER in an engine's stats
KV_OWNERS: tuple[KVOwner, ...] = get_args(KVOwner)


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
    fingerprint: str = ""  # of the file on this machine: files of one name and size may hold different models
    content_digest: str = ""  # of what the file says: the same on every machine
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def fallbacks(self) -> Mapping[str, str]:
        """What the engine does instead of something better, by kind (`fallbacks.KINDS`): what, and why."""
        found: Mapping[str, str] = self.extra.get(FALLBACKS, {})
        return found

    @property
    def embedding_size(self) -> int:
        """Numbers of an embedding; 0 where this model makes none."""
        return int(self.extra.get(EMBEDDING_SIZE, 0))

    @property
    def generates(self) -> bool:
        """Does it write text?"""
        return bool(self.extra.get(GENERATES, True))

    @property
    def memory_plan(self) -> str | None:
        """What goes where in memory, in a line; None where it writes no text."""
        return self.extra.get(MEMORY)

    @property
    def repeats_seeds(self) -> bool:
        """Does a request alone on the machine say the same under its seed, whatever of its prompt is known already? So it does
        on a CPU, unless keys and values of 8 bits below memory are others than those that were computed; on a GPU nobody has
        measured it.
        """
        return not self.on_gpu and "-kv-int8" not in self.numerics_id

    @property
    def on_gpu(self) -> bool:
        """Is it computed on a GPU, by whichever executor?"""
        return "-cuda-" in self.numerics_id or "-gpu-" in self.numerics_id
