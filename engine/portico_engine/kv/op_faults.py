"""A plan's operations on blocks where one of them fails: the others are done, once each, and what it was for is known no more.

It owns how far an executor came with them, and what a failed one means: a Save is lost, the block of a Copy, a Load or a Fetch
holds nothing, and nor does the slot of an Offload. Whose rows read such a block is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator

from portico_engine.executors.protocol import Executor
from portico_engine.faults import describe_fault
from portico_engine.kv.block_pool import BlockPool
from portico_engine.plan import Copy, Drop, Fetch, KVOp, Load, Offload, Save, StepPlan


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
    damage = _Damage(pool)
    if failed is not None:
        damage.give_up(failed, rest, error)
    while rest:
        op = rest.pop(0)
        if damage.reaches(op):
            damage.give_up(op, rest, error)
            continue
        damage.mend(op)
        try:
            executor.submit(StepPlan((), (op,))).finish()
        except BaseException as another:  # noqa: BLE001 - the operation's own
            describe_fault("an operation on a block", another)
            damage.give_up(op, rest, another)
    return damage.blocks


class _Damage:
    """Blocks, and slots of the host's memory, that hold nothing because an operation failed."""

    def __init__(self, pool: BlockPool) -> None:
        self.blocks: set[int] = set()
        self._slots: set[int] = set()
        self._pool = pool

    def reaches(self, op: KVOp) -> bool:
        """Would the operation read what holds nothing?"""
        match op:
            case Copy(source, _):
                return source in self.blocks
            case Save(block, _) | Offload(block, _):
                return block in self.blocks
            case Fetch(slot, _):
                return slot in self._slots
        return False

    def mend(self, op: KVOp) -> None:
        """What the operation fills, or declares dead, is damaged no more."""
        match op:
            case Copy(_, target):
                self.blocks.discard(target)
            case Drop(block) | Load(_, block) | Fetch(_, block):
                self.blocks.discard(block)
            case Offload(_, slot):
                self._slots.discard(slot)

    def give_up(self, op: KVOp, rest: list[KVOp], error: BaseException) -> None:
        """The operation can't be done; `rest` are those behind it. Raises `error` for a Drop."""
        pool = self._pool
        match op:
            case Drop():
                raise error
            case Save(_, key):
                if pool.tier is not None:
                    pool.tier.save_failed(key)
            case Copy(_, target):
                self.blocks.add(target)
            case Load(key, block):
                if pool.tier is not None:
                    planned = pool.planned_loads(key) + sum(isinstance(o, Load) and o.key == key for o in rest)
                    pool.tier.load_failed(key, planned)
                self.blocks.add(block)
            case Offload(_, slot):
                self._lose(slot)
            case Fetch(slot, block):
                self._lose(slot)
                self.blocks.add(block)

    def _lose(self, slot: int) -> None:
        self._slots.add(slot)
        if self._pool.host is not None:
            self._pool.host.lose(slot)
