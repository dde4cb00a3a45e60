"""An engine whose forward costs nothing: tokenizer, template, grammars, scheduler, blocks and process are the real ones of a
model file, and in place of its logits stands a draw among the tokens that the mask allows.

Of a few allowed tokens drawn at random the longest is taken, as a trained model spells words; the draw is by the request's seed
and the token's place, so that a question has the same answer in every run. It can be loaded by an engine's process.
"""

from __future__ import annotations

import cProfile
import struct
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from portico_engine import Engine, LoadProgress
from portico_engine.adapters.adapter import Adapter
from portico_engine.errors import RequestError
from portico_engine.executors.protocol import BlockStore, Capabilities
from portico_engine.grammar.protocol import Bitmask
from portico_engine.loading.load_engine import open_model
from portico_engine.plan import Bias, Row, StepPlan, StepResult, blocks_for
from portico_engine.request import ModelInfo, Pooling
from portico_engine.step_timing import StepTiming
from portico_engine.text.tokenizer import Tokenizer

CONTEXT = 8192
ROWS = 256  # as a GPU's executor has them where its memory is to be filled
STEP_TOKENS = 8192
PROFILE = "engine.prof"
_DRAWN = 8  # allowed tokens of which the longest is taken
_COMM = 15  # characters of a thread's name in /proc


def name_thread(name: str) -> None:
    """As which the thread that asks stands in /proc."""
    Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(name[:_COMM])


@dataclass
class CostlessStep:
    """Ends `executor.seconds` after it was begun, and after the one before it."""

    executor: CostlessExecutor
    plan: StepPlan
    until: float
    result: StepResult | None = None

    def sample(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> None:
        began = time.thread_time()
        tokens = tuple(
            tuple(self.executor.token(row, None if bitmask is None else bitmask[i]) for _ in row.logits_indices)
            for i, row in enumerate(self.plan.rows)
        )
        zeros = tuple((0.0,) * len(each) for each in tokens)
        self.result = StepResult(tokens, zeros, tuple(((),) * len(each) for each in tokens), ())
        self.executor.spent += time.thread_time() - began

    def finish(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> StepResult:
        if self.result is None:
            self.sample(bitmask, bias)
        assert self.result is not None
        if (left := self.until - time.monotonic()) > 0:
            time.sleep(left)
        return self.result


@dataclass
class CostlessExecutor:
    """A step takes `seconds`. With `profile` what its thread does is written there when it is closed."""

    token_bytes: Sequence[bytes]
    seconds: float = 0.0
    profile: Path | None = None
    spent: float = 0.0  # seconds of the processor for drawing tokens, which a device would do
    _lengths: npt.NDArray[np.int64] = field(init=False)
    _profiler: cProfile.Profile | None = None
    _begun: bool = False
    _free: float = 0.0  # when the device has done what it was given

    def __post_init__(self) -> None:
        self._lengths = np.array([0 if data[:1] == b"\xff" else len(data) for data in self.token_bytes], np.int64)

    @property
    def caps(self) -> Capabilities:
        sizes = (ROWS * blocks_for(CONTEXT), ROWS, STEP_TOKENS, len(self.token_bytes), CONTEXT)
        return Capabilities(*sizes, "costless", rewrites=True, runs_ahead=True)

    def submit(self, plan: StepPlan) -> CostlessStep:
        if not self._begun:
            self._begun = True
            name_thread("engine")
            if self.profile is not None:
                self._profiler = cProfile.Profile()
                self._profiler.enable()
        self._free = max(self._free, time.monotonic()) + self.seconds
        return CostlessStep(self, plan, self._free)

    def token(self, row: Row, words: npt.NDArray[np.int32] | None) -> int:
        """One of those that the mask allows, all where there is none."""
        state = row.sampling
        assert state is not None
        drawn = zlib.crc32(struct.pack("<QI", state.seed, state.position))
        if words is None:
            return drawn % len(self.token_bytes)
        filled = np.flatnonzero(words)
        places = np.flatnonzero(np.unpackbits(words[filled].view(np.uint8), bitorder="little"))
        some = places[(drawn + np.arange(_DRAWN) * 7919) % places.size]
        tokens = filled[some >> 5] * 32 + (some & 31)
        return int(tokens[self._lengths[tokens].argmax()])

    def attach(self, store: BlockStore) -> None:
        pass

    def embed(self, texts: Sequence[Sequence[int]], pooling: Pooling | None = None) -> npt.NDArray[np.float32]:
        raise RequestError("it makes no embeddings")

    def load_adapter(self, place: int, adapter: Adapter) -> None:
        raise RequestError("it takes no adapters")

    def unload_adapter(self, place: int) -> None:
        raise RequestError("it has no adapters")

    def expert_tokens(self) -> Mapping[int, Sequence[int]]:
        return {}

    def close(self) -> None:
        if self._profiler is not None:
            self._profiler.disable()
            assert self.profile is not None
            self._profiler.dump_stats(self.profile)


class CostlessEngine(Engine):
    """Its steps are timed by their thread's own clock, and what its executor spent is among its stats, as evictions: a counter
    that nothing else moves here, and that `/metrics` shows."""

    def stats(self) -> dict[str, float]:
        assert isinstance(self._executor, CostlessExecutor)
        return {**super().stats(), "evictions": self._executor.spent}


def load_costless(path: Path, seconds: float, profile: Path | None, progress: LoadProgress) -> Engine:
    """The model at `path` without its weights; steps of so many seconds."""
    file = open_model(path)
    tokenizer = Tokenizer.from_gguf(file.metadata)
    executor = CostlessExecutor(tokenizer.token_bytes, seconds, profile)
    info = ModelInfo(path.stem, "llama", CONTEXT, tokenizer.vocab_size, 0, "none", file.size, "torch", "costless")
    engine = CostlessEngine(executor, tokenizer, info, chat_template=str(file.metadata["tokenizer.chat_template"]))
    engine._timing = StepTiming(time.thread_time)
    assert engine.template_problem() is None, "its template is compiled now, as `load_engine` does"
    return engine
