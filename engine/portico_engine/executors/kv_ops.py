"""A plan's KV operations, over whatever memory an executor keeps its blocks in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from portico_engine.executors.protocol import BlockStore
from portico_engine.plan import Copy, Drop, Fetch, KVOp, Load, Offload, Save


class BlockMemory(Protocol):
    """An executor's blocks."""

    def copy(self, op: Copy) -> None: ...

    def drop(self, block: int) -> None:
        """The block's content is dead."""
        ...

    def read(self, block: int) -> bytes:
        """A block's content, as a block store keeps it."""
        ...

    def write(self, block: int, content: bytes | memoryview) -> None:
        """The inverse of `read`."""
        ...


class HostMemory(Protocol):
    """Slots of the host's memory below a device's blocks."""

    def offload(self, block: int, slot: int) -> None:
        """A block's content into a slot."""
        ...

    def fetch(self, slot: int, block: int) -> None:
        """The inverse. Who reads the block waits for it first, by `settle`."""
        ...

    def settle(self, blocks: Iterable[int]) -> None:
        """What the device does from now on comes after the fetches of these blocks."""
        ...


def run_ops(ops: Sequence[KVOp], memory: BlockMemory, store: BlockStore | None, host: HostMemory | None = None) -> None:
    """In order."""
    for op in ops:
        match op:
            case Copy(source, target):
                if host is not None:
                    host.settle((source, target))
                memory.copy(op)
            case Drop(block):
                memory.drop(block)
            case Save(block, key):
                assert store is not None, "a plan with Save needs a block store"
                if host is not None:
                    host.settle((block,))
                store.put(key, memory.read(block))
            case Load(key, block):
                assert store is not None, "a plan with Load needs a block store"
                if host is not None:
                    host.settle((block,))
                memory.write(block, store.get(key))
            case Offload(block, slot):
                assert host is not None, "a plan with Offload needs memory of the host"
                host.offload(block, slot)
            case Fetch(slot, block):
                assert host is not None, "a plan with Fetch needs memory of the host"
                host.fetch(slot, block)
