"""A plan's KV operations, over whatever memory an executor keeps its blocks in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from portico_engine.executors.protocol import BlockStore
from portico_engine.plan import Copy, Drop, KVOp, Load, Save


class BlockMemory(Protocol):
    """An executor's blocks."""

    def copy(self, op: Copy) -> None: ...

    def drop(self, block: int) -> None:
        """The block's content is dead."""
        ...

    def read(self, block: int) -> bytes:
        """A block's content: bf16 [layers, 2 kv_heads, BLOCK_TOKENS, head_dim], in this machine's byte order."""
        ...

    def write(self, block: int, content: bytes | memoryview) -> None:
        """The inverse of `read`."""
        ...


def run_ops(ops: Sequence[KVOp], memory: BlockMemory, store: BlockStore | None) -> None:
    """In order."""
    for op in ops:
        match op:
            case Copy():
                memory.copy(op)
            case Drop(block):
                memory.drop(block)
            case Save(block, key):
                assert store is not None, "a plan with Save needs a block store"
                store.put(key, memory.read(block))
            case Load(key, block):
                assert store is not None, "a plan with Load needs a block store"
                memory.write(block, store.get(key))
