"""When blocks go below memory: a few at a time while nothing else runs, and the rest at the end.

It owns the plans that only move blocks, and the choice to do without a disk that can't be used. What is worth saving is the
cache's, how it gets to the disk the tier's.
"""

from __future__ import annotations

import logging
from pathlib import Path
from time import monotonic

from portico_engine.executors.protocol import Executor
from portico_engine.faults import describe_fault
from portico_engine.kv.cache import KVCache
from portico_engine.kv.disk import DiskStore
from portico_engine.kv.op_faults import OpsUnderWay, finish_ops
from portico_engine.kv.tier import Tier
from portico_engine.plan import StepPlan

_CLOSE_SECONDS = 10.0  # that the end waits for the disk
_log = logging.getLogger(__name__)


def open_tier(executor: Executor, folder: Path | None, root_key: bytes, max_bytes: int) -> Tier | None:
    """A disk below this executor's memory. None where no folder is given, where the executor can't save, and, with a warning,
    where the folder can't be used.
    """
    if folder is None or not executor.caps.block_bytes:
        return None
    try:
        store = DiskStore(folder, root_key, block_bytes=executor.caps.block_bytes, max_bytes=max_bytes)
    except OSError as error:
        _log.warning("prefixes are not kept on disk: %s", error)
        return None
    tier = Tier(store)
    executor.attach(tier)
    return tier


class Offloader:
    """Saves what a cache wants saved."""

    def __init__(self, executor: Executor, kv: KVCache) -> None:
        self._executor = executor
        self._kv = kv

    @property
    def has_work(self) -> bool:
        return self._kv.has_saves

    def step(self) -> None:
        """Save some blocks. The executor copies them, for which its thread is busy; the disk has a thread of its own."""
        self._kv.plan_saves()
        if planned := self._kv.take_ops():
            ops = OpsUnderWay(planned)
            try:
                self._executor.submit(StepPlan((), ops)).finish()
            except BaseException as error:  # noqa: BLE001 - a block that can't be saved is nobody's end
                describe_fault("saving a block", error)
                for block in finish_ops(self._executor, self._kv.pool, ops, error):
                    self._kv.distrust(block)

    def close(self) -> None:
        """Save the rest, and conversations that are still waited for."""
        tier = self._kv.pool.tier
        if tier is None:
            return
        self._kv.persist_pinned()
        deadline = monotonic() + _CLOSE_SECONDS
        while self.has_work and monotonic() < deadline:
            self.step()
        tier.close(max(0.0, deadline - monotonic()))
