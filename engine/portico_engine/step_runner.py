"""A step on the executor, in which a fault is the fault of as few rows as can be.

A batch that raises is halved until the rows that make it raise are alone; the others are computed as if nothing had been. A row
alone that memory does not suffice for is computed in pieces. A row writes its keys and values from its `start` on and reads no
other row's, so that computing it again is safe and what a failed one wrote counts for nothing. It knows neither requests nor
queues; what failed before any row, an operation on blocks, is `kv.op_faults`'.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from portico_engine.executors.protocol import Executor
from portico_engine.faults import describe_fault, raise_if_end
from portico_engine.grammar.protocol import Bitmask
from portico_engine.kv.block_pool import BlockPool
from portico_engine.kv.op_faults import OpsUnderWay, finish_ops
from portico_engine.plan import Bias, Row, StepPlan, StepResult
from portico_engine.request import SamplingParams
from portico_engine.sampling import SamplingState
from portico_engine.step_timing import Lap, no_lap

_log = logging.getLogger(__name__)
Limits = Callable[[], tuple[Bitmask | None, Bias | None]]  # what `PendingStep.finish` takes, for the whole plan


class StepOutcome(NamedTuple):
    """A step's result, and what of it there isn't.

    `faults`: rows that the executor failed at, and how. `damaged`: blocks that could not be filled; `unread`: rows that have
    one of them, and were not computed. `result` has nothing of either.
    """

    result: StepResult
    faults: Mapping[int, str]
    unread: AbstractSet[int] = frozenset()
    damaged: AbstractSet[int] = frozenset()


class StepRunner:
    """Runs plans on an executor whose blocks are the pool's."""

    def __init__(self, executor: Executor, pool: BlockPool) -> None:
        self._executor = executor
        self._pool = pool

    def run(self, plan: StepPlan, limits: Limits = lambda: (None, None), lap: Lap = no_lap) -> StepOutcome:
        """Compute all rows that can be. `limits` is asked once, while the first attempt is under way. `lap` hears when a part
        is over: launch, mask, wait.

        Raises DeviceLost, orders to end, and the executor's own error where it does not do the simplest of rows any more.
        """
        ops = OpsUnderWay(plan.kv_ops)
        batch = _Batch(self._executor, plan, limits, lap)
        error = batch.attempt(range(len(plan.rows)), ops)
        if error is None:
            return StepOutcome(batch.result(), {})
        _log.warning("a step of %d rows failed, and is taken apart", len(plan.rows), exc_info=error)
        before_rows = ops.stopped_at()[0] is not None
        damaged = finish_ops(self._executor, self._pool, ops, error)
        unread = {i for i, row in enumerate(plan.rows) if damaged.intersection(row.block_table)}
        others = [i for i in range(len(plan.rows)) if i not in unread]
        left = batch.attempt(others) if before_rows and others else error
        if left is not None:
            batch.split(others, left)
        if len(batch.faults) == len(others) > 0:
            self._check(plan.rows[others[0]].slot, error)
        return StepOutcome(batch.result(), batch.faults, unread, damaged)

    def _check(self, slot: int, error: BaseException) -> None:
        """Every row failed: is it them, or the executor? It is asked for one token after one. Raises `error` where it fails, or
        where there is no block for that.
        """
        block = self._pool.allocate()
        if block is None:
            raise error
        row = Row(slot, (0,), 0, (block,), (0,), SamplingState(SamplingParams(temperature=0), 0, 0))
        try:
            self._executor.submit(StepPlan((row,), self._pool.take_ops())).finish()
        except BaseException:  # noqa: BLE001 - whatever it is, the first one tells more
            raise error from None
        finally:
            self._pool.release(block)


@dataclass(slots=True)
class _Batch:
    """One plan's rows, and what has become of them."""

    executor: Executor
    plan: StepPlan
    limits: Limits
    lap: Lap
    results: dict[int, StepResult] = field(default_factory=dict)  # of each row, as if it had been alone
    faults: dict[int, str] = field(default_factory=dict)
    _limits: tuple[Bitmask | None, Bias | None] | None = None
    _whole: StepResult | None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        return self.plan.rows

    def attempt(self, which: range | list[int], ops: OpsUnderWay | tuple[()] = ()) -> BaseException | None:
        """Compute these rows in one step; what went wrong."""
        found = self._submit([(i, self.rows[i]) for i in which], ops)
        if isinstance(found, BaseException):
            return found
        if len(which) == len(self.rows):
            self._whole = found
        else:
            self.results.update((i, _of_row(found, at)) for at, i in enumerate(which))
        return None

    def split(self, which: list[int], error: BaseException) -> None:
        """These rows failed together with `error`: compute those that can be."""
        if len(which) == 1:
            self._alone(which[0], error)
            return
        half = (len(which) + 1) // 2
        for part in (which[:half], which[half:]):
            if part and (another := self.attempt(part)) is not None:
                self.split(part, another)

    def _alone(self, i: int, error: BaseException) -> None:
        found = self._in_pieces(i, self.rows[i]) if isinstance(error, MemoryError) else None
        if isinstance(found, StepResult):
            self.results[i] = found
        else:
            self.faults[i] = describe_fault("its step", error if found is None else found)

    def _in_pieces(self, i: int, row: Row) -> StepResult | BaseException | None:
        """A row that memory does not suffice for, one half of its tokens after the other; None where it can't be cut."""
        cut = min(len(row.tokens) // 2, min(row.logits_indices, default=len(row.tokens)))
        if cut < 1:
            return None
        first = row._replace(tokens=row.tokens[:cut], logits_indices=(), sampling=None)
        moved = tuple(at - cut for at in row.logits_indices)
        second = row._replace(tokens=row.tokens[cut:], start=row.start + cut, logits_indices=moved)
        for piece in (first, second):
            found: StepResult | BaseException | None = self._submit([(i, piece)])
            if isinstance(found, MemoryError):
                found = self._in_pieces(i, piece) or found
            if not isinstance(found, StepResult) or found.failed_rows:
                break
        return found

    def _submit(self, rows: list[tuple[int, Row]], ops: OpsUnderWay | tuple[()] = ()) -> StepResult | BaseException:
        skipped = self.plan.skipped_slots
        if len(rows) < len(self.rows):
            taken = {row.slot for _, row in rows}
            skipped += tuple(row.slot for row in self.rows if row.slot not in taken)
        try:
            step = self.executor.submit(StepPlan(tuple(row for _, row in rows), ops, skipped))
        except BaseException as error:  # noqa: BLE001 - native code's panics among it
            raise_if_end(error)
            return error
        self.lap("launch")
        if self._limits is None:
            self._limits = self.limits()
            self.lap("mask")
        bitmask, bias = self._limits
        if len(rows) < len(self.rows):
            numbers = [i for i, _ in rows]
            bitmask = None if bitmask is None else bitmask[numbers]
            bias = {at: bias[i] for at, i in enumerate(numbers) if i in bias} if bias else None
        try:
            return step.finish(bitmask, bias)
        except BaseException as error:  # noqa: BLE001 - the same
            raise_if_end(error)
            return error
        finally:
            self.lap("wait")

    def result(self) -> StepResult:
        """Of all rows, empty where there is nothing of one."""
        if self._whole is not None:
            return self._whole
        found = [self.results.get(i, _NOTHING) for i in range(len(self.rows))]
        return StepResult(
            tuple(one.tokens[0] for one in found),
            tuple(one.logprobs[0] for one in found),
            tuple(one.top_logprobs[0] for one in found),
            tuple(i for i, one in enumerate(found) if one.failed_rows),
        )


_NOTHING = StepResult(((),), ((),), ((),), ())


def _of_row(result: StepResult, at: int) -> StepResult:
    failed = (0,) if at in result.failed_rows else ()
    return StepResult((result.tokens[at],), (result.logprobs[at],), (result.top_logprobs[at],), failed)
