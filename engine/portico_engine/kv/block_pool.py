"""The blocks of a KV cache: who holds how many references, which are free, and which one to hand out next.

A block is free (no content), held (references), or cached (no references, but indexed content; the eviction policy's). It owns
these states and the index's life; it knows no sequences. Tensors are the executor's: what it must do is said in `ops`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from portico_engine.executors.protocol import BLOCK_TOKENS, Copy, Drop, KVOp
from portico_engine.kv.eviction import LRU, EvictionPolicy
from portico_engine.kv.prefix_index import PrefixIndex

_EVICT_AT_ONCE = 16


class BlockPool:
    """`n_blocks` blocks of `block_tokens` positions."""

    def __init__(self, n_blocks: int, block_tokens: int = BLOCK_TOKENS, policy: EvictionPolicy | None = None) -> None:
        self.n_blocks = n_blocks
        self.block_tokens = block_tokens
        self.index = PrefixIndex(block_tokens)
        self.evictions = 0
        self._policy: EvictionPolicy = policy or LRU()
        self._refs = [0] * n_blocks
        self._free = bytearray(b"\x01" * n_blocks)
        self._n_free = n_blocks
        self._ops: list[KVOp] = []

    @property
    def available(self) -> int:
        """Blocks that could be handed out: free and cached ones."""
        return self._n_free + len(self._policy)

    @property
    def cached(self) -> int:
        return len(self._policy)

    def is_cached(self, block: int) -> bool:
        """Does nobody hold the block, though it has content?"""
        return block in self._policy

    def take_ops(self) -> tuple[KVOp, ...]:
        """What the executor must do before the next rows, in order."""
        ops = tuple(self._ops)
        self._ops.clear()
        return ops

    def allocate(self, after: int | None = None) -> int | None:
        """A block with one reference and no content, the neighbour of `after` where that is free: neighbours need no gathering.

        None where all are held.
        """
        if not self._n_free and not self._evict():
            return None
        block = -1 if after is None else after + 1
        if not (0 <= block < self.n_blocks and self._free[block]):
            block = self._longest_free_run()
        self._free[block] = 0
        self._n_free -= 1
        self._refs[block] = 1
        return block

    def hold(self, block: int) -> None:
        """One more reference to a held or cached block."""
        if self._refs[block] == 0:
            self._policy.remove(block)
        self._refs[block] += 1

    def release(self, block: int) -> None:
        """One reference less. The last one leaves the block cached where it is indexed, else free."""
        assert self._refs[block] > 0, f"block {block} has no references"
        self._refs[block] -= 1
        if self._refs[block] == 0:
            if block in self.index:
                self._policy.add(block)
            else:
                self._set_free(block)

    def copy(self, source: int, target: int, n_tokens: int) -> None:
        """Copy-on-write: the first positions of a shared block into one's own."""
        assert self._refs[source] > 0
        assert self._refs[target] > 0
        self._ops.append(Copy(source, target, n_tokens))

    def clear(self) -> None:
        """Forget all cached content. Held blocks stay, no longer indexed."""
        while len(self._policy):
            self._drop_cached(self._policy.pop())
        for entry in list(self.index):
            self.index.remove(entry.block)

    def _evict(self) -> bool:
        """Several at once: a policy lets go of a sequence's end first, so that single victims would come in falling order."""
        count = min(len(self._policy), max(1, min(_EVICT_AT_ONCE, len(self._policy) // 8)))
        for _ in range(count):
            self._drop_cached(self._policy.pop())
            self.evictions += 1
        return count > 0

    def _drop_cached(self, block: int) -> None:
        self.index.remove(block)
        self._set_free(block)

    def _set_free(self, block: int) -> None:
        self._free[block] = 1
        self._n_free += 1
        self._ops.append(Drop(block))

    def _longest_free_run(self) -> int:
        longest = max(bytes(self._free).split(b"\x00"), key=len)
        return self._free.find(longest)

    def check_integrity(self, tables: Iterable[Iterable[int]]) -> None:
        """Assert that every block is in exactly one state, and that `tables` (all block tables there are) explain all
        references.
        """
        self.index.check_integrity()
        expected = Counter(block for table in tables for block in table)
        for block in range(self.n_blocks):
            assert self._refs[block] == expected[block], (
                f"block {block}: {self._refs[block]} references, {expected[block]} holders"
            )
            states = (bool(self._free[block]), block in self._policy, self._refs[block] > 0)
            assert sum(states) == 1, f"block {block} is free, cached, held: {states}"
            if block in self._policy:
                assert block in self.index
            if self._free[block]:
                assert block not in self.index
        assert self._n_free == sum(self._free)
