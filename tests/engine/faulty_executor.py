"""A fake executor that fails as real ones do: half-way, with half of what it was to write written, and written wrongly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.engine.fake_executor import FakeExecutor, FakeStep

from portico_engine.grammar.protocol import Bitmask
from portico_engine.plan import BLOCK_TOKENS, Bias, Copy, Drop, KVOp, Offload, Row, Save, StepPlan, StepResult


class Panic(BaseException):
    """As pyo3's PanicException: no Exception."""


@dataclass
class FaultyExecutor(FakeExecutor):
    """Rows with the token `poison` raise `fault`, in `finish` where `late`; a plan of more than `most_tokens` finds no memory;
    `faulty_ops` says of operations whether they raise; `faults_at` raises in those attempts (from 1), whatever they hold.
    """

    poison: int | None = None
    fault: Callable[[], BaseException] = lambda: RuntimeError("a bad row")
    late: bool = False
    most_tokens: int = 10**6
    faulty_ops: Callable[[KVOp], bool] = lambda op: False
    faults_at: set[int] = field(default_factory=set)
    attempts: int = 0

    def submit(self, plan: StepPlan) -> FakeStep:
        self.attempts += 1
        for op in plan.kv_ops:
            if self.faulty_ops(op):
                self._spoil(op)
                raise self.fault()
            super().submit(StepPlan((), (op,)))
        if plan.n_tokens > self.most_tokens:
            raise MemoryError
        bad = any(self.poison in self.tokens(row) for row in plan.rows) or self.attempts in self.faults_at
        if bad and not self.late:
            for row in plan.rows:
                self._scribble(row)
            raise self.fault()
        step = super().submit(StepPlan(plan.rows))
        return _Late(self, plan, fault=self.fault) if bad else step

    def _spoil(self, op: KVOp) -> None:
        """What was to be filled has something else in it."""
        if isinstance(op, Offload):
            self.host[op.slot] = dict.fromkeys(range(BLOCK_TOKENS), (-1, -1))
        elif not isinstance(op, Save | Drop):
            block = op.target if isinstance(op, Copy) else op.block
            self.cells[block] = dict.fromkeys(range(BLOCK_TOKENS), (-1, -1))

    def _scribble(self, row: Row) -> None:
        for i in range(len(row.tokens) // 2 + 1):
            position = row.start + i
            self.cells.setdefault(row.block_table[position // BLOCK_TOKENS], {})[position % BLOCK_TOKENS] = (position, 1)


@dataclass
class _Late(FakeStep):
    fault: Callable[[], BaseException] = RuntimeError

    def finish(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> StepResult:
        raise self.fault()
