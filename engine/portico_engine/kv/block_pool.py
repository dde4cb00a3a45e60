"""The blocks of a KV cache: who holds how many references, which are free, and which one to hand out next.

A block is free (no content), held (references), or cached (no references, but indexed content; the eviction policy's). It owns
these states, what they mean for the tier below, and the index's life; it knows no sequences. Tensors are the executor's: what
it must do is said in `take_ops`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from portico_engine.kv.eviction import LRU, EvictionPolicy
from portico_engine.kv.free_runs import FreeRuns
from portico_engine.kv.host_tier import HostTier
from portico_engine.kv.prefix_index import IndexedBlock, PrefixIndex
from portico_engine.kv.retention import RetainedPrefixes
from portico_engine.kv.tier import FullBlock, Tier
from portico_engine.plan import BLOCK_TOKENS, Copy, Drop, Fetch, KVOp, Load, Offload, Save

_EVICT_AT_ONCE = 16
_RECOMPUTE = 50.0  # what computing a block anew costs, in loads from below (benchmarks/kv_tiers.py, one thread)
_MOST_REUSES = 1  # that count: what came often once does not come more often again than what came twice (docs/kv-cache.md)


class BlockPool:
    """`n_blocks` blocks of `block_tokens` positions; `clock` is the policy's too."""

    def __init__(
        self,
        n_blocks: int,
        block_tokens: int = BLOCK_TOKENS,
        policy: EvictionPolicy | None = None,
        tier: Tier | None = None,
        clock: Callable[[], float] = time.monotonic,
        host: HostTier | None = None,
    ) -> None:
        self.n_blocks = n_blocks
        self.block_tokens = block_tokens
        self.index = PrefixIndex(block_tokens)
        self.tier = tier
        self.host = host
        self.retained = RetainedPrefixes(clock)
        self.evictions = 0
        self._policy: EvictionPolicy = LRU() if policy is None else policy
        self._refs = [0] * n_blocks
        self._reuses = [0] * n_blocks  # of the content, by other sequences
        self._free = FreeRuns(n_blocks)
        self._ops: list[KVOp] = []

    @property
    def available(self) -> int:
        """Blocks that could be handed out: free and cached ones."""
        return len(self._free) + len(self._policy)

    @property
    def cached(self) -> int:
        return len(self._policy)

    @property
    def pinned(self) -> int:
        """Those of the cached blocks that go last."""
        return self._policy.pinned

    @property
    def free(self) -> int:
        return len(self._free)

    def is_cached(self, block: int) -> bool:
        """Does nobody hold the block, though it has content?"""
        return block in self._policy

    def count_cached(self, blocks: Iterable[int]) -> int:
        """How many of these nobody holds, though they have content."""
        return sum(not self._refs[block] for block in blocks)

    def take_ops(self) -> tuple[KVOp, ...]:
        """What the executor must do before the next rows, in order."""
        ops = tuple(self._ops)
        self._ops.clear()
        return ops

    def allocate(self, after: int | None = None) -> int | None:
        """A block with one reference and no content, the neighbour of `after` where that is free: neighbours need no gathering.

        None where all are held.
        """
        if not self._free and not self._evict():
            return None
        block = None if after is None else self._free.take_after(after)
        if block is None:
            block = self._free.take()
        self._refs[block] = 1
        return block

    def hold(self, *blocks: int) -> None:
        """One more reference to each of these held or cached blocks."""
        refs = self._refs
        for block in blocks:
            if not refs[block]:
                self._policy.remove(block)
            refs[block] += 1

    def release(self, *blocks: int) -> None:
        """One reference less for each. The last one leaves a block cached where it is indexed, else free."""
        refs = self._refs
        for block in blocks:
            assert refs[block] > 0, f"block {block} has no references"
            refs[block] -= 1
            if not refs[block]:
                if block in self.index:
                    self._policy.add(block, self._cost(block), self.retained.until(block))
                else:
                    self._set_free(block)

    def reuse(self, blocks: Sequence[int], tokens: Sequence[int]) -> list[int]:
        """Held blocks, full of the first of `tokens`, serve a further sequence; how many each has served so far. Who waited for
        that sequence waits no more.
        """
        reuses = []
        for n, block in enumerate(blocks, 1):
            assert self._refs[block] > 0
            if self.retained.is_awaited(block):
                self._resolve(block, tokens[n * self.block_tokens : (n + 1) * self.block_tokens])
            self._reuses[block] += 1
            reuses.append(self._reuses[block])
        return reuses

    def _resolve(self, block: int, following: Sequence[int]) -> None:
        """A sequence goes on from the block with these tokens."""
        for waiting in self.retained.resolve(block, following):
            if waiting in self._policy:
                self._policy.remove(waiting)
                self._policy.add(waiting, self._cost(waiting), self.retained.until(waiting))

    def copy(self, source: int, target: int, n_tokens: int) -> None:
        """Copy-on-write: the first positions of a shared block into one's own."""
        assert self._refs[source] > 0
        assert self._refs[target] > 0
        self._ops.append(Copy(source, target, n_tokens))

    def load(self, block: int, key: bytes) -> None:
        """Fill a held block with content that the tier has fetched."""
        assert self._refs[block] > 0
        self._ops.append(Load(key, block))

    def fetch(self, slot: int, block: int) -> None:
        """Fill a held block with content of the host's memory."""
        assert self._refs[block] > 0
        self._ops.append(Fetch(slot, block))

    def planned_loads(self, key: bytes) -> int:
        """Loads of this content that `take_ops` has not given out yet."""
        return sum(isinstance(op, Load) and op.key == key for op in self._ops)

    def save(self, entry: IndexedBlock) -> None:
        """Send a full block's content to the tier."""
        assert self.tier is not None
        self.tier.begin_save(full_block(entry))
        self._ops.append(Save(entry.block, full_block(entry).key))

    def forget(self, blocks: Sequence[int]) -> None:
        """Blocks whose content can't be trusted: they are found no more, and neither saved nor kept below."""
        entries = [self.index.entry(block) for block in blocks if block in self.index]
        for entry in entries:
            if self.is_cached(entry.block):
                self._policy.remove(entry.block)
                self._drop_cached(entry.block)
            else:
                self.index.remove(entry.block)
                self.retained.forget(entry.block)
        keys = [entry.key for entry in entries if entry.key is not None]
        if self.tier is not None and keys:
            self._ops = [op for op in self._ops if not (isinstance(op, Save) and op.key in keys)]
            self.tier.discard(keys)
        if self.host is not None:
            self.host.forget(keys)

    def abandon_ops(self) -> None:
        """What was planned will not be done, because nothing that it was for is left: only the dead blocks stay dead."""
        assert not any(self._refs)
        self._ops = [op for op in self._ops if isinstance(op, Drop)]
        if self.tier is not None:
            self.tier.abandon()

    def clear(self) -> None:
        """Forget all cached content, the host's too. Held blocks stay, no longer indexed."""
        if self.host is not None:
            self.host.clear()
        while len(self._policy):
            self._drop_cached(self._policy.pop())
        for entry in list(self.index):
            self.index.remove(entry.block)

    def _evict(self) -> bool:
        """Several at once: a policy lets go of a sequence's end first, so that single victims would come in falling order.

        A pinned block goes only if one is needed, and not before it is saved.
        """
        wished = max(1, min(_EVICT_AT_ONCE, len(self._policy) // 8, self._policy.unpinned))
        count = min(len(self._policy), wished)
        for _ in range(count):
            block = self._policy.pop()
            entry = self.index.entry(block)
            kept = self._offload(entry)
            if self.tier is not None and entry.key is not None:
                pinned = not kept and self.retained.until(block) is not None and not self.tier.has(entry.key)
                if pinned or self.tier.is_save_requested(entry.key):
                    self.save(entry)
            self._drop_cached(block)
            self.evictions += 1
        return count > 0

    def _offload(self, entry: IndexedBlock) -> bool:
        """Is the block in the host's memory, or on its way there?"""
        if self.host is None or entry.key is None:
            return False
        slot = self.host.place(full_block(entry), self._worth(entry.block), self.retained.until(entry.block))
        if slot is not None:
            self._ops.append(Offload(entry.block, slot))
        return self.host.has(entry.key)

    def _cost(self, block: int) -> float:
        key = self.index.entry(block).key
        saved = key is not None and (
            (self.tier is not None and self.tier.has(key)) or (self.host is not None and self.host.has(key))
        )
        return (1.0 if saved else _RECOMPUTE) * self._worth(block)

    def _worth(self, block: int) -> float:
        """More for content that came again."""
        return 1.0 + min(self._reuses[block], _MOST_REUSES)

    def _drop_cached(self, block: int) -> None:
        self.index.remove(block)
        self._set_free(block)

    def _set_free(self, block: int) -> None:
        self._free.give(block)
        self._reuses[block] = 0
        self.retained.forget(block)
        self._ops.append(Drop(block))

    def check_integrity(self, tables: Iterable[Iterable[int]]) -> None:
        """Assert that every block is in exactly one state, and that `tables` (all block tables there are) explain all
        references.
        """
        self.index.check_integrity()
        self.retained.check_integrity()
        self._free.check_integrity()
        free = set(self._free)
        if self.tier is not None:
            self.tier.check_integrity(self._ops)
        if self.host is not None:
            self.host.check_integrity()
        expected = Counter(block for table in tables for block in table)
        for block in range(self.n_blocks):
            assert self._refs[block] == expected[block], (
                f"block {block}: {self._refs[block]} references, {expected[block]} holders"
            )
            states = (block in free, block in self._policy, self._refs[block] > 0)
            assert sum(states) == 1, f"block {block} is free, cached, held: {states}"
            if block in self._policy:
                assert block in self.index
            if block in free:
                assert block not in self.index
                assert self.retained.until(block) is None


def full_block(entry: IndexedBlock) -> FullBlock:
    """A full block as the tier knows it."""
    assert entry.key is not None
    return FullBlock(entry.key, entry.parent, entry.tokens)
