"""A plan's operations on blocks where one of them fails: the others are done, once each, and what it was for is known no more.

It owns how far an executor came with them, and what a failed one means: a Save is lost, the block of a Copy or a Load holds
nothing. Whose rows read such a block is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator

from portico_engine.executors.protocol import Executor
from portico_engine.faults import describe_fault
from portico_engine.kv.block_pool import BlockPool
from portico_engine.plan import Copy, Drop, KVOp, Load, Save, StepPlan


class OpsUnderWay(tuple[KVOp, ...]):
    """Operations that know how far an executor, which goes through them once and in order, has come."""

    _begun = 0
    _all_done = False

    def __iter__(self) -> Iterator[KVOp]:
        self._begun, self._all_done = 0, False
        for op in super().__iter__():
            self._begun += 1
            yield op
        self._all_done = True

    def stopped_at(self) -> tuple[KVOp | None, list[KVOp]]:
        """The operation that was under way when the executor stopped, and those behind it."""
        rest = list(super().__iter__())[self._begun :]
        if self._all_done or not self._begun:
            return None, rest
        return self[self._begun - 1], rest


def finish_ops(executor: Executor, pool: BlockPool, ops: OpsUnderWay, error: BaseException) -> set[int]:
    """After `error` ended a plan: give the one that failed up, and do what was not begun, each by itself.

    The blocks that should have been filled and weren't. Raises what made a Drop fail: then what memory holds is not known.
    """
    failed, rest = ops.stopped_at()
    damaged: set[int] = set()
    if failed is not None:
        _give_up(failed, pool, damaged, rest, error)
    while rest:
        op = rest.pop(0)
        if isinstance(op, Copy | Save) and (op.source if isinstance(op, Copy) else op.block) in damaged:
            _give_up(op, pool, damaged, rest, error)
            continue
        if not isinstance(op, Save):
            damaged.discard(op.target if isinstance(op, Copy) else op.block)  # it holds something else now
        try:
            executor.submit(StepPlan((), (op,))).finish()
        except BaseException as another:  # noqa: BLE001 - the operation's own
            describe_fault("an operation on a block", another)
            _give_up(op, pool, damaged, rest, another)
    return damaged


def _give_up(op: KVOp, pool: BlockPool, damaged: set[int], rest: list[KVOp], error: BaseException) -> None:
    match op:
        case Drop():
            raise error
        case Save(_, key):
            if pool.tier is not None:
                pool.tier.save_failed(key)
        case Copy(_, target):
            damaged.add(target)
        case Load(key, block):
            if pool.tier is not None:
                pool.tier.load_failed(key, pool.planned_loads(key) + sum(isinstance(o, Load) and o.key == key for o in rest))
            damaged.add(block)
