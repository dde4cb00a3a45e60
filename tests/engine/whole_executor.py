"""An executor of whole states: its next token is a hash of the tokens that a sequence's state has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from tests.engine.fake_executor import next_token

from portico_engine.adapters.adapter import Adapter
from portico_engine.executors.protocol import BlockStore, Capabilities
from portico_engine.grammar.protocol import Bitmask
from portico_engine.plan import BLOCK_TOKENS, Bias, Copy, Drop, StepPlan, StepResult
from portico_engine.request import Pooling


@dataclass
class _Step:
    tokens: tuple[tuple[int, ...], ...]
    logprobs: tuple[tuple[float, ...], ...]

    def sample(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> None:
        pass

    def finish(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> StepResult:
        return StepResult(self.tokens, self.logprobs, tuple(((),) * len(row) for row in self.tokens), ())


@dataclass
class WholeExecutor:
    """See `portico_engine.executors.protocol.Executor`."""

    blocks: int = 40
    rows: int = 3
    step_tokens: int = 24
    states: int = 4
    content: dict[int, list[int]] = field(default_factory=dict)  # by the block of a state's last token: all its tokens
    read: int = 0

    @property
    def caps(self) -> Capabilities:
        limits = (self.blocks, self.rows, self.step_tokens, 269, 256)
        return Capabilities(*limits, "whole", cut="whole", states=self.states)

    def attach(self, store: BlockStore) -> None:
        raise AssertionError("states are not saved")

    def submit(self, plan: StepPlan) -> _Step:
        for op in plan.kv_ops:
            if isinstance(op, Copy):
                source = self.content[op.source]
                assert (len(source) - 1) % BLOCK_TOKENS + 1 == op.n_tokens, "a state can't be cut"
                self.content[op.target] = list(source)
            else:
                assert isinstance(op, Drop)
                self.content.pop(op.block, None)
        sampled: list[tuple[int, ...]] = []
        logprobs: list[tuple[float, ...]] = []
        for row in plan.rows:
            self.read += len(row.tokens)
            state: list[int] = []
            if row.start:
                state = self.content.pop(row.block_table[(row.start - 1) // BLOCK_TOKENS])
            assert len(state) == row.start, "a row goes on from where its state ends"
            state = [*state, *row.tokens]
            self.content[row.block_table[(len(state) - 1) // BLOCK_TOKENS]] = state
            likeliest = [next_token(state[: row.start + i + 1], 269) for i in row.logits_indices]
            sampled.append(row.targets or tuple(likeliest))
            logprobs.append(tuple(-float((p - t) % 97) for p, t in zip(likeliest, sampled[-1], strict=True)))
        kept = sum(len(state) > 0 for state in self.content.values())
        assert kept <= self.states + self.rows + 1, "more states than there is room for"
        return _Step(tuple(sampled), tuple(logprobs))

    def embed(self, texts: Sequence[Sequence[int]], pooling: Pooling | None = None) -> npt.NDArray[np.float32]:
        raise AssertionError

    def load_adapter(self, place: int, adapter: Adapter) -> None:
        raise AssertionError

    def unload_adapter(self, place: int) -> None:
        raise AssertionError

    def expert_tokens(self) -> Mapping[int, Sequence[int]]:
        return {}

    def close(self) -> None:
        pass
