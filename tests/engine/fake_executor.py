"""An executor whose next token is a hash of the keys that it reads through the block table: a mistake in blocks shows."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np

from portico_engine.adapters.adapter import Adapter
from portico_engine.executors.protocol import BlockStore, Capabilities
from portico_engine.grammar.protocol import Bitmask
from portico_engine.plan import BLOCK_TOKENS, Bias, Copy, Drop, Fetch, Load, Offload, Row, Save, StepPlan, StepResult
from portico_engine.sampling import unpack_mask

Cell = tuple[int, int]  # (position, token as its adapter sees it)


def seen_by(adapter: Adapter | None, token: int) -> int:
    """What the fake model makes of a token under an adapter: another number for each."""
    return token if adapter is None else token + (int.from_bytes(adapter.digest[:4], "little") << 20)


def next_token(tokens: list[int], vocab_size: int) -> int:
    """What the fake model says after these tokens."""
    return 3 + zlib.crc32(np.array(tokens, dtype="<i8").tobytes()) % (vocab_size - 3)


@dataclass
class FakeStep:
    """Already run."""

    executor: FakeExecutor
    plan: StepPlan
    result: StepResult | None = None

    def sample(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> None:
        self.result = self._sampled(bitmask, bias)
        rows = zip(self.plan.rows, self.result.tokens, strict=True)
        self.executor.sampled = {row.slot: tokens[-1] for row, tokens in rows if tokens}

    def finish(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> StepResult:
        if self.result is None:
            self.sample(bitmask, bias)
        assert self.result is not None
        self.executor.finished += bool(self.plan.rows)
        return self.result

    def _sampled(self, bitmask: Bitmask | None, bias: Bias | None) -> StepResult:
        tokens: list[tuple[int, ...]] = []
        logprobs: list[tuple[float, ...]] = []
        failed: list[int] = []
        for i, row in enumerate(self.plan.rows):
            seen = [self.executor.read(row, row.start + i) for i in row.logits_indices]
            memory = self.executor.memory
            sampled = [next_token(s if memory is None else s[-memory:], self.executor.caps.vocab_size) for s in seen]
            if row.targets:
                tokens.append(row.targets)
                logprobs.append(tuple(-float((p - t) % 97) for p, t in zip(sampled, row.targets, strict=True)))
                continue
            if bitmask is not None and sampled:
                allowed = np.flatnonzero(unpack_mask(bitmask[i], self.executor.caps.vocab_size))
                if not allowed.size:
                    failed.append(i)
                    sampled = []
                else:
                    sampled = [int(allowed[p % allowed.size]) for p in sampled]
                    if bias and i in bias:
                        where, what = bias[i]
                        sampled = [int(where[what.argmax()])]
            tokens.append(tuple(sampled))
            logprobs.append(tuple(0.0 for _ in sampled))
        tops = tuple(
            tuple(((token, 0.0), (0, -9.0)) if row.drafts else () for token in of_row)
            for row, of_row in zip(self.plan.rows, tokens, strict=True)
        )
        return StepResult(tuple(tokens), tuple(logprobs), tops, tuple(failed))


@dataclass
class FakeExecutor:
    """`fail_at` raises in that step (from 1). `memory` are the tokens that the fake model remembers, all by default. `kept` are
    blocks beside those that sequences may hold together."""

    blocks: int = 32
    rows: int = 4
    step_tokens: int = 64
    vocab_size: int = 1000
    context_length: int = 256
    fail_at: int | None = None
    light_tokens: int = 512
    n_adapters: int = 0
    mixed_adapters: bool = True
    window: int = 0
    adapters: dict[int, Adapter] = field(default_factory=dict)
    steps: list[StepPlan] = field(default_factory=list)
    cells: dict[int, dict[int, Cell]] = field(default_factory=dict)
    closed: bool = False
    store: BlockStore | None = None
    memory: int | None = None
    host_blocks: int = 0
    swap_seconds: float = 0.0
    host: dict[int, dict[int, Cell]] = field(default_factory=dict)
    kept: int = 0
    runs_ahead: bool = False
    alike_tokens: int = 1
    sampled: dict[int, int] = field(default_factory=dict)  # in the last step, by slot
    begun: int = 0  # steps with rows
    finished: int = 0
    ahead: int = 0  # steps that were submitted before the one before was finished

    @property
    def caps(self) -> Capabilities:
        limits = (self.blocks + self.kept, self.rows, self.step_tokens, self.vocab_size, self.context_length)
        return Capabilities(
            *limits,
            "fake",
            light_tokens=self.light_tokens,
            block_bytes=16 * BLOCK_TOKENS,
            host_blocks=self.host_blocks,
            swap_seconds=self.swap_seconds,
            window=self.window,
            adapters=self.n_adapters,
            adapter_rank=8,
            mixed_adapters=self.mixed_adapters,
            running_blocks=self.blocks,
            rewrites=True,
            runs_ahead=self.runs_ahead,
            alike_tokens=self.alike_tokens,
        )

    def attach(self, store: BlockStore) -> None:
        self.store = store

    def submit(self, plan: StepPlan) -> FakeStep:
        self.steps.append(plan)
        if self.fail_at == len(self.steps):
            raise RuntimeError("the fake executor was told to fail")
        assert len(plan.rows) <= self.rows
        assert len({block for row in plan.rows for block in row.block_table}) <= self.blocks
        assert plan.n_tokens <= self.step_tokens
        assert self.mixed_adapters or len({row.adapter for row in plan.rows}) <= 1, "rows of one step have different adapters"
        for op in plan.kv_ops:
            if isinstance(op, Copy):
                source = self.cells.get(op.source, {})
                assert set(range(op.n_tokens)) <= set(source), "a copy of what was never written"
                self.cells[op.target] = {i: source[i] for i in range(op.n_tokens)}
            elif isinstance(op, Drop):
                self.cells.pop(op.block, None)
            elif isinstance(op, Save):
                assert self.store is not None
                cells = self.cells[op.block]
                self.store.put(op.key, np.array([cells[i] for i in range(BLOCK_TOKENS)], "<i8").tobytes())
            elif isinstance(op, Offload):
                assert set(self.cells[op.block]) == set(range(BLOCK_TOKENS)), "a block that isn't full"
                self.host[op.slot] = dict(self.cells[op.block])
            elif isinstance(op, Fetch):
                self.cells[op.block] = dict(self.host[op.slot])
            else:
                assert isinstance(op, Load)
                assert self.store is not None
                loaded = np.frombuffer(self.store.get(op.key), "<i8").reshape(BLOCK_TOKENS, 2)
                self.cells[op.block] = {i: (int(position), int(token)) for i, (position, token) in enumerate(loaded)}
        written: set[tuple[int, int]] = set()
        for row in plan.rows:
            adapter = None if row.adapter is None else self.adapters[row.adapter]
            for i, token in enumerate(self.tokens(row)):
                position = row.start + i
                block, offset = row.block_table[position // BLOCK_TOKENS], position % BLOCK_TOKENS
                assert (block, offset) not in written, "two rows write the same slot"
                written.add((block, offset))
                self.cells.setdefault(block, {})[offset] = (position, seen_by(adapter, token))
        self.ahead += bool(plan.rows) and self.begun > self.finished
        self.begun += bool(plan.rows)
        return FakeStep(self, plan)

    def tokens(self, row: Row) -> tuple[int, ...]:
        """A row's tokens, the one that it follows by what the last step sampled."""
        if row.follows:
            assert self.runs_ahead
            assert row.tokens == (0,), "nobody knows the token yet"
        return (self.sampled[row.slot],) if row.follows else row.tokens

    def read(self, row: Row, position: int) -> list[int]:
        """All tokens up to a position, or as many as the window has, as the block table shows them."""
        out = []
        for p in range(max(0, position + 1 - self.window) if self.window else 0, position + 1):
            at, token = self.cells[row.block_table[p // BLOCK_TOKENS]][p % BLOCK_TOKENS]
            assert at == p, f"position {p} holds the key of position {at}"
            out.append(token)
        return out

    def load_adapter(self, place: int, adapter: Adapter) -> None:
        assert 0 <= place < self.n_adapters
        assert place not in self.adapters, "the place is taken"
        self.adapters[place] = adapter

    def unload_adapter(self, place: int) -> None:
        del self.adapters[place]

    def expert_tokens(self) -> dict[int, list[int]]:
        return {}

    def close(self) -> None:
        self.closed = True
