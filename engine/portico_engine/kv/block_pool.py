"""The blocks of a KV cache: who holds how many references, which are free, and which one to hand out next.

A block is free (no content), held (references), or cached (no references, but indexed content; the eviction policy's). It owns
these states, what they mean for the tier below, and the index's life; it knows no sequences. Tensors are the executor's: what
it must do is said in `take_ops`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from portico_engine.kv.eviction import LRU, Blocks, EvictionPolicy
from portico_engine.kv.free_runs import FreeRuns
from portico_engine.kv.host_tier import HostTier
from portico_engine.kv.prefix_index import PrefixIndex
from portico_engine.kv.retention import RetainedPrefixes
from portico_engine.kv.tier import FullBlock, Tier
from portico_engine.plan import BLOCK_TOKENS, Copy, Drop, Fetch, KVOp, Load, Offload, Save
from portico_engine.request import KVOwner, KVState

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
        most_held: int | None = None,
    ) -> None:
        """`most_held`: of so many blocks together sequences may hold references; None: of all."""
        self.n_blocks = n_blocks
        self._kept_back = 0 if most_held is None else n_blocks - most_held  # never held
        self.block_tokens = block_tokens
        self.index = PrefixIndex(n_blocks, block_tokens)
        self.tier = tier
        self.host = host
        self.retained = RetainedPrefixes(clock)
        self.evictions = 0
        self._policy: EvictionPolicy = LRU() if policy is None else policy
        self._refs = np.zeros(n_blocks, np.int32)
        self._reuses = np.zeros(n_blocks, np.int64)  # of the content, by other sequences
        self._shared = np.zeros(n_blocks, np.bool_)  # has content that is nobody's text
        self._free = FreeRuns(n_blocks)
        self._ops: list[KVOp] = []

    @property
    def available(self) -> int:
        """Blocks that could be handed out: free and cached ones, as far as they may be held."""
        return len(self._free) + len(self._policy) - self._kept_back

    @property
    def held(self) -> int:
        return self.n_blocks - len(self._free) - len(self._policy)

    @property
    def cached(self) -> int:
        return len(self._policy)

    @property
    def free(self) -> int:
        return len(self._free)

    def is_cached(self, block: int) -> bool:
        """Does nobody hold the block, though it has content?"""
        return block in self._policy

    def count_cached(self, blocks: Blocks) -> int:
        """How many of these nobody holds, though they have content."""
        return len(blocks) - int(np.count_nonzero(self._refs[blocks]))

    def mark_shared(self, blocks: Blocks) -> None:
        """The content of these held blocks is nobody's text."""
        self._shared[blocks] = True

    def count_by_owner(self) -> dict[tuple[KVState, KVOwner], int]:
        """Blocks that are not free. Changes nothing: any thread may ask, and hears how it is while it changes."""
        held = self._refs > 0
        pinned = np.zeros(self.n_blocks, np.bool_)
        pinned[self._policy.pinned_blocks()] = True
        n_pinned = int(np.count_nonzero(pinned))
        of_state: tuple[tuple[KVState, npt.NDArray[np.bool_], int], ...] = (
            ("held", held, int(np.count_nonzero(held))),
            ("cached", ~held & ~pinned, len(self._policy) - n_pinned),
            ("pinned", pinned, n_pinned),
        )
        counts: dict[tuple[KVState, KVOwner], int] = {}
        for state, there, total in of_state:
            counts[state, "shared"] = shared = int(np.count_nonzero(self._shared & there))
            counts[state, "callers"] = max(0, total - shared)
        return counts

    def take_ops(self) -> tuple[KVOp, ...]:
        """What the executor must do before the next rows, in order."""
        ops = tuple(self._ops)
        self._ops.clear()
        return ops

    def allocate(self, after: int | None = None) -> int | None:
        """A block with one reference and no content, the neighbour of `after` where that is free: neighbours need no gathering.

        None where all are held that may be.
        """
        if self._kept_back and self.available <= 0:
            return None
        if not self._free and not self.evict():
            return None
        block = None if after is None else self._free.take_after(after)
        if block is None:
            block = self._free.take()
        self._refs[block] = 1
        return block

    def hold(self, blocks: Blocks) -> None:
        """One more reference to each of these held or cached blocks, none of which is named twice."""
        if len(blocks) == 1:  # in a tenth of the time
            if not self._refs[blocks[0]]:
                self._policy.remove(blocks)
            self._refs[blocks[0]] += 1
            return
        if not len(blocks):
            return
        refs = self._refs[blocks]
        if not refs.all():
            self._policy.remove(np.asarray(blocks)[refs == 0])
        self._refs[blocks] = refs + 1

    def release(self, blocks: Blocks) -> None:
        """One reference less for each. The last one leaves a block cached where it is indexed, else free; the first of them
        goes first.
        """
        if len(blocks) == 1 and self._refs[blocks[0]] > 0:  # likewise
            self._release_one(int(blocks[0]))
            return
        if not len(blocks):
            return
        at = np.asarray(blocks)
        refs = self._refs[at] - 1
        self._refs[at] = refs
        assert refs.min() >= 0, f"one of the blocks {blocks} has no references"
        let_go = at[refs == 0]
        indexed = self.index.contains(let_go)
        if not indexed.all():
            for block in let_go[~indexed].tolist():
                self._set_free(block)
            let_go = let_go[indexed]
        if let_go.size:
            self._cache(let_go)

    def _release_one(self, block: int) -> None:
        self._refs[block] -= 1
        if self._refs[block]:
            return
        if block not in self.index:
            self._set_free(block)
        elif self.tier is None and self.host is None:
            worth = 1.0 + min(int(self._reuses[block]), _MOST_REUSES)
            self._policy.add([block], _RECOMPUTE * worth, self.retained.until(block))
        else:
            self._cache(np.array([block]))

    def _cache(self, at: npt.NDArray[np.int64]) -> None:
        """Nobody holds these indexed blocks any more: neighbours that are worth the same go to the policy together."""
        costs, ends = self._costs(at), self.retained.ends(at)
        differ = costs[1:] != costs[:-1] if ends is None else (costs[1:] != costs[:-1]) | (ends[1:] != ends[:-1])
        begin = 0
        for stop in (*(np.flatnonzero(differ) + 1).tolist(), len(at)):
            until = 0.0 if ends is None else float(ends[begin])
            self._policy.add(at[begin:stop], float(costs[begin]), until if until > 0 else None)
            begin = stop

    def reuse(self, blocks: npt.NDArray[np.int64], tokens: Sequence[int]) -> npt.NDArray[np.int64]:
        """Held blocks, full of the first of `tokens`, serve a further sequence; how many each has served so far. Who waited for
        that sequence waits no more.
        """
        for n in self.retained.awaited_among(blocks):
            self._resolve(int(blocks[n]), tokens[(n + 1) * self.block_tokens : (n + 2) * self.block_tokens])
        reuses = self._reuses[blocks] + 1
        self._reuses[blocks] = reuses
        return reuses

    def _resolve(self, block: int, following: Sequence[int]) -> None:
        """A sequence goes on from the block with these tokens."""
        for waiting in self.retained.resolve(block, following):
            if waiting in self._policy:
                self._policy.remove([waiting])
                self._cache(np.array([waiting]))

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

    def save(self, block: int) -> None:
        """Send a full block's content to the tier."""
        assert self.tier is not None
        saved = self.full_block(block)
        self.tier.begin_save(saved)
        self._ops.append(Save(block, saved.key))

    def full_block(self, block: int) -> FullBlock:
        """An indexed, full block as the tier knows it."""
        entry = self.index.entry(block)
        assert entry.key is not None
        return FullBlock(entry.key, entry.parent, entry.tokens)

    def forget(self, blocks: Sequence[int]) -> None:
        """Blocks whose content can't be trusted: they are found no more, and neither saved nor kept below."""
        known = [block for block in blocks if block in self.index]
        keys = [key for block in known if (key := self.index.key(block)) is not None]
        for block in known:
            if self.is_cached(block):
                self._policy.remove([block])
                self._drop_cached(block)
            else:
                self.index.remove(block)
                self.retained.forget(block)
        if self.tier is not None and keys:
            self._ops = [op for op in self._ops if not (isinstance(op, Save) and op.key in keys)]
            self.tier.discard(keys)
        if self.host is not None:
            self.host.forget(keys)

    def abandon_ops(self) -> None:
        """What was planned will not be done, because nothing that it was for is left: only the dead blocks stay dead."""
        assert not self._refs.any()
        self._ops = [op for op in self._ops if isinstance(op, Drop)]
        if self.tier is not None:
            self.tier.abandon()

    def clear(self) -> None:
        """Forget all cached content, the host's too. Held blocks stay, no longer indexed."""
        if self.host is not None:
            self.host.clear()
        while len(self._policy):
            self._drop_cached(self._policy.pop())
        for block in list(self.index):
            self.index.remove(block)

    def evict(self) -> bool:
        """Make cached blocks free; False where there are none.

        Several at once: a policy lets go of a sequence's end first, so that single victims would come in falling order. A
        pinned block goes only if one is needed, and not before it is saved.
        """
        wished = max(1, min(_EVICT_AT_ONCE, len(self._policy) // 8, self._policy.unpinned))
        count = min(len(self._policy), wished)
        for _ in range(count):
            block = self._policy.pop()
            key = self.index.key(block)
            kept = key is not None and self._offload(block, key)
            if self.tier is not None and key is not None:
                pinned = not kept and self.retained.until(block) is not None and not self.tier.has(key)
                if pinned or self.tier.is_save_requested(key):
                    self.save(block)
            self._drop_cached(block)
            self.evictions += 1
        return count > 0

    def _offload(self, block: int, key: bytes) -> bool:
        """Is the full block in the host's memory, or on its way there?"""
        if self.host is None:
            return False
        if not self.host.has(key):
            worth = float(self._worth(np.array([block]))[0])
            slot = self.host.place(self.full_block(block), worth, self.retained.until(block))
            if slot is None:
                return False
            self._ops.append(Offload(block, slot))
        return True

    def _costs(self, at: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        costs = _RECOMPUTE * self._worth(at)
        below = [tier.has for tier in (self.tier, self.host) if tier is not None]
        if not below:
            return costs
        keys = map(self.index.key, at.tolist())
        saved = [key is not None and any(has(key) for has in below) for key in keys]
        return np.where(saved, costs / _RECOMPUTE, costs)

    def _worth(self, at: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """More for content that came again."""
        return 1.0 + np.minimum(self._reuses[at], _MOST_REUSES)

    def _drop_cached(self, block: int) -> None:
        self.index.remove(block)
        self._set_free(block)

    def _set_free(self, block: int) -> None:
        self._free.give(block)
        self._reuses[block] = 0
        self._shared[block] = False
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
