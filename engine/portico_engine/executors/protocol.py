"""The seam between scheduling and arithmetic: what every executor does, whatever it computes with. It owns no values of a step
(`portico_engine.plan` does) and no memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from portico_engine.adapters.adapter import Adapter
from portico_engine.grammar.protocol import Bitmask
from portico_engine.plan import Bias, StepPlan, StepResult, blocks_for
from portico_engine.request import Pooling


class PendingStep(Protocol):
    """A step under way."""

    def sample(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> None:
        """Have it sample, without waiting for it: then `finish` takes nothing, and rows of the next plan may follow this one's
        (`Capabilities.runs_ahead`).
        """
        ...

    def finish(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> StepResult:
        """Wait for it, sample and score. `bitmask` [rows, words] of all rows, or None where no row is constrained."""
        ...


OffloadDtype: TypeAlias = Literal["bf16", "int8"]  # of keys and values below the device


class Offloading(NamedTuple):
    """How keys and values leave a device: as what, and how many bytes of the host's memory are for them."""

    dtype: OffloadDtype = "bf16"
    host_bytes: int = 0


AS_COMPUTED = Offloading()


@dataclass(frozen=True, slots=True)
class Sizes:
    """What an executor is made for: the longest sequence and all KV of running sequences together, in tokens, and the most rows
    of a step. `saved_tokens`: KV of others that is kept beside it, by executors whose steps look at all that their KV holds.
    """

    context_length: int
    kv_tokens: int
    max_rows: int = 16
    saved_tokens: int = 0

    @property
    def blocks(self) -> int:
        """Blocks that hold all KV of running sequences, and one more."""
        return blocks_for(max(self.kv_tokens, self.context_length)) + 1

    @property
    def saved_blocks(self) -> int:
        """Blocks that are kept beside them."""
        return blocks_for(self.saved_tokens)


SizesFor: TypeAlias = Callable[[int], Sizes]  # from the bytes that the weights took


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an executor holds. `blocks` of BLOCK_TOKENS positions; `step_tokens` is the most tokens of one plan.

    `light_tokens`: a step of so many takes about half as long again as one of a single token, a row that samples counted
    twice. Callers who share a step are held to that. `alike_tokens`: a row of up to so many, alone in its step, gives each the
    bits that it would have by itself. `adapters` is the number of places for them, each for matrices up to
    `adapter_rank`; without `mixed_adapters` all rows of a step have the same one, or none.

    `cut` "token": what a sequence has computed can be shared and cut at any token. "whole": it is one state, which can be
    copied as it is and no more; a block then stands for all that its table has computed up to its last token, a Copy is of all
    of that, and `states` of them may be kept that no sequence runs on.
    """

    blocks: int
    rows: int
    step_tokens: int
    vocab_size: int
    context_length: int
    numerics_id: str
    light_tokens: int = 512
    alike_tokens: int = 1
    block_bytes: int = 0  # of one block's content, as Save and Load move it; 0 where the executor knows neither
    host_blocks: int = 0  # slots of the host's memory, for Offload and Fetch; 0 where it knows neither
    swap_seconds: float = 0.0  # of one Offload and one Fetch, measured
    window: int = 0  # no token sees more positions than so many, its own among them; 0: it sees all
    adapters: int = 0
    adapter_rank: int = 0
    mixed_adapters: bool = True
    running_blocks: int | None = None  # of the blocks, as many as sequences may hold together; None: all
    cut: Literal["token", "whole"] = "token"
    states: int = 0
    rewrites: bool = False  # a row may begin at positions that were written before: drafts that were wrong
    runs_ahead: bool = False  # a plan's rows may follow those of a step that is not finished, but does sample
    generates: bool = True  # False: it makes embeddings and has no next token
    embedding_size: int = 0  # of one embedding; 0: it makes none


class BlockStore(Protocol):
    """Where an executor's Save puts a block's content and Load finds it. It is called in mid-step: neither waits for a disk."""

    def put(self, key: bytes, content: bytes) -> None:
        """`content` has `Capabilities.block_bytes` bytes."""
        ...

    def get(self, key: bytes) -> bytes | memoryview:
        """The content that was put under `key`, by this executor or one with the same numerics id."""
        ...


class Executor(Protocol):
    """Runs plans over its own KV blocks."""

    @property
    def caps(self) -> Capabilities: ...

    def attach(self, store: BlockStore) -> None:
        """Where Save and Load of later plans go; before that, no plan has any."""
        ...

    def submit(self, plan: StepPlan) -> PendingStep:
        """Run a plan. One without rows has only its `kv_ops` done."""
        ...

    def embed(self, texts: Sequence[Sequence[int]], pooling: Pooling | None = None) -> npt.NDArray[np.float32]:
        """texts as tokens -> float32 [len(texts), caps.embedding_size], not normalized. `pooling` None is the model's own, or
        the mean. It looks at no blocks and changes none; asked only where `caps.embedding_size` is over 0. Raises RequestError
        for a pooling that it has not.
        """
        ...

    def load_adapter(self, place: int, adapter: Adapter) -> None:
        """Put an adapter in an empty place, from 0 to `caps.adapters`: rows of later plans name it by that."""
        ...

    def unload_adapter(self, place: int) -> None:
        """Empty a place that no row names any more."""
        ...

    def expert_tokens(self) -> Mapping[int, Sequence[int]]:
        """How many tokens each expert took so far, by layer; layers without a mixture are left out. Any thread may ask."""
        ...

    def close(self) -> None: ...
