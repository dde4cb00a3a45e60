"""A step on the executor, in which a fault is the fault of as few rows as can be.

A batch that raises is halved until the rows that make it raise are alone; the others are computed as if nothing had been. A row
alone that memory does not suffice for is computed in pieces. A row writes its keys and values from its `start` on and reads no
other row's, so that computing it again is safe and what a failed one wrote counts for nothing. It knows neither requests nor
queues; what failed before any row, an operation on blocks, is `kv.op_faults`'.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Seq
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from portico_engine.executors.protocol import Executor, PendingStep
from portico_engine.faults import describe_fault, raise_if_end
from portico_engine.grammar.protocol import Bitmask
from portico_engine.kv.block_pool import BlockPool
from portico_engine.kv.op_faults import OpsUnderWay, finish_ops
from portico_engine.plan import Bias, Row, StepPlan, StepResult
from portico_engine.request import SamplingParams
from portico_engine.sampling import SamplingState
from portico_engine.step_timing import Lap, no_lap

_log = logging.getLogger(__name__)
Limits = Callable[[], tuple[Bitmask | None, Bias | None]]  # what `PendingStep.sample` takes, for the whole plan
Again = Callable[[], Seq[Row | None]]  # a plan's rows, once more


class StepOutcome(NamedTuple):
    """A step's result, and what of it there isn't.

    `faults`: rows that the executor failed at, and how. `damaged`: blocks that could not be filled; `unread`: rows that have
    one of them, or that nobody asks for any more, and were not computed. `result` has nothing of either.
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
        """Compute all rows that can be: `begin` and `finish`."""
        return self.finish(self.begin(plan, limits, lap))

    def begin(self, plan: StepPlan, limits: Limits, lap: Lap = no_lap) -> StepUnderWay:
        """Have a plan computed and sampled. `limits` is asked once, while it is under way. `lap` hears when a part is over:
        launch, mask, wait. Raises DeviceLost, and orders to end.
        """
        batch = _Batch(self._executor, plan.rows, limits, lap, plan.skipped_slots)
        step = StepUnderWay(batch, OpsUnderWay(plan.kv_ops))
        step.begin()
        return step

    def finish(self, step: StepUnderWay, again: Again | None = None) -> StepOutcome:
        """What it came to. Where it failed, all rows are computed that can be: the plan's, or those of `again`, a None in place
        of each that nobody asks for any more.

        Raises DeviceLost, orders to end, and the executor's own error where it does not do the simplest of rows any more.
        """
        error, batch = step.wait(), step.batch
        if error is None:
            return StepOutcome(batch.result(), {})
        _log.warning("a step of %d rows failed, and is taken apart", len(batch.rows), exc_info=error)
        unwanted: set[int] = set()
        if again is not None:
            rows = again()
            unwanted = {i for i, row in enumerate(rows) if row is None}
            batch.rows = tuple(row or old for row, old in zip(rows, batch.rows, strict=True))
        before_rows = step.ops.stopped_at()[0] is not None
        damaged = finish_ops(self._executor, self._pool, step.ops, error)
        unread = {i for i, row in enumerate(batch.rows) if damaged.intersection(row.block_table)} | unwanted
        others = [i for i in range(len(batch.rows)) if i not in unread]
        left = batch.attempt(others) if before_rows and others else error
        if left is not None and others:
            batch.split(others, left)
        if len(batch.faults) == len(others) > 0:
            self._check(batch.rows[others[0]].slot, error)
        return StepOutcome(batch.result(), batch.faults, unread, damaged)

    def abandon(self, step: StepUnderWay) -> AbstractSet[int]:
        """Let go of a step that follows one that failed: none of its rows counts, its operations on blocks do. Returns blocks
        that could not be filled.
        """
        error = step.wait()
        return set() if error is None else finish_ops(self._executor, self._pool, step.ops, error)

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
            self._pool.release([block])


@dataclass(slots=True)
class StepUnderWay:
    """A plan that the executor was given, as far as it took it."""

    batch: _Batch
    ops: OpsUnderWay
    _pending: PendingStep | BaseException | None = None  # None: waited for

    def begin(self) -> None:
        self._pending = self.batch.submit(list(enumerate(self.batch.rows)), self.ops)

    @property
    def has_failed(self) -> bool:
        """Has it failed before anybody waited for it?"""
        return isinstance(self._pending, BaseException)

    def wait(self) -> BaseException | None:
        """Until its result is there; what went wrong. Asked again, it says the same."""
        if self._pending is not None and not isinstance(self._pending, BaseException):
            self._pending = self.batch.take(range(len(self.batch.rows)), self._pending)
        return self._pending


@dataclass(slots=True)
class _Batch:
    """One plan's rows, and what has become of them."""

    executor: Executor
    rows: tuple[Row, ...]
    limits: Limits
    lap: Lap
    skipped_slots: tuple[int, ...] = ()  # see `StepPlan`
    results: dict[int, StepResult] = field(default_factory=dict)  # of each row, as if it had been alone
    faults: dict[int, str] = field(default_factory=dict)
    _limits: tuple[Bitmask | None, Bias | None] | None = None
    _whole: StepResult | None = None

    def attempt(self, which: Seq[int]) -> BaseException | None:
        """Compute these rows in one step; what went wrong."""
        pending = self.submit([(i, self.rows[i]) for i in which])
        return pending if isinstance(pending, BaseException) else self.take(which, pending)

    def take(self, which: Seq[int], pending: PendingStep) -> BaseException | None:
        """The result of a step of these rows; what went wrong."""
        found = self._finish(pending)
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
            pending = self.submit([(i, piece)])
            found: StepResult | BaseException | None = pending if isinstance(pending, BaseException) else self._finish(pending)
            if isinstance(found, MemoryError):
                found = self._in_pieces(i, piece) or found
            if not isinstance(found, StepResult) or found.failed_rows:
                break
        return found

    def submit(self, rows: list[tuple[int, Row]], ops: OpsUnderWay | tuple[()] = ()) -> PendingStep | BaseException:
        """Have a step of these numbered rows computed and sampled; or what went wrong."""
        skipped = self.skipped_slots
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
            step.sample(bitmask, bias)
        except BaseException as error:  # noqa: BLE001 - the same
            raise_if_end(error)
            return error
        self.lap("launch")
        return step

    def _finish(self, step: PendingStep) -> StepResult | BaseException:
        try:
            return step.finish()
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
