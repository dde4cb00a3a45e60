"""The host's memory below a device's: which of its slots holds which block, and which content goes first.

A block that is evicted from the device goes into a slot, where that is cheaper than computing it anew; its content never
changes, so that the slot stays its own when it is fetched, and a second eviction costs nothing. So a preempted sequence is
swapped: its blocks are cached on the device as long as there is room, then here. It knows keys and slot numbers; memory and
copies are the executor's, whose operations run in the order in which they were planned.
"""

from __future__ import annotations

from collections.abc import Iterable

from portico_engine.executors.protocol import Capabilities
from portico_engine.kv.eviction import LRU, CostAware, EvictionPolicy
from portico_engine.kv.swap_cost import SwapCost
from portico_engine.kv.tier import FullBlock
from portico_engine.plan import BLOCK_TOKENS


class HostTier:
    """`n_slots` slots. A slot is free, on offer to the policy, or held by one who plans to fetch from it."""

    def __init__(self, n_slots: int, cost: SwapCost, policy: EvictionPolicy | None = None) -> None:
        self.n_slots = n_slots
        self.cost = cost
        self.offloads = 0
        self.fetches = 0
        self.declined = 0  # blocks that were cheaper to compute anew
        self._policy: EvictionPolicy = LRU() if policy is None else policy
        self._free = list(range(n_slots - 1, -1, -1))
        self._slots: dict[bytes, int] = {}
        self._content: dict[int, FullBlock] = {}
        self._held: set[int] = set()

    def __len__(self) -> int:
        return len(self._slots)

    def has(self, key: bytes) -> bool:
        """Is the block here?"""
        return key in self._slots

    def place(self, block: FullBlock, cost: float = 1.0, pinned_until: float | None = None) -> int | None:
        """The slot that the block is to be copied to; None where it is here already, where it is cheaper to compute anew, or
        where no slot can be had. `cost` and `pinned_until` as `EvictionPolicy.add`.
        """
        if block.key in self._slots:
            return None
        if not self.cost.pays:
            self.declined += 1
            return None
        if not self._free and not len(self._policy):
            return None
        slot = self._free.pop() if self._free else self._take_from(self._policy.pop())
        self._slots[block.key] = slot
        self._content[slot] = block
        self._policy.add([slot], cost, pinned_until)
        self.offloads += 1
        return slot

    def hold(self, block: FullBlock) -> int | None:
        """The slot of this block, for a Fetch that is to be planned; until `release` nobody else gets it. None where the block
        isn't here, or is cheaper to compute anew. Tokens are compared, so that no collision serves another's KV.
        """
        slot = self._slots.get(block.key)
        if slot is None or self._content[slot] != block or not self.cost.pays:
            return None
        self._policy.remove([slot])
        self._held.add(slot)
        return slot

    def release(self, slot: int, cost: float = 1.0) -> None:
        """The Fetch from a held slot is planned. What was used now is the last to go."""
        self._held.remove(slot)
        self._policy.add([slot], cost)
        self.fetches += 1

    def forget(self, keys: Iterable[bytes]) -> None:
        """These blocks' content can't be trusted."""
        for key in keys:
            if (slot := self._slots.get(key)) is not None:
                self.lose(slot)

    def lose(self, slot: int) -> None:
        """A slot's content is not what it should be: an operation on it failed."""
        if slot in self._content:
            self._policy.remove([slot])
            self._free.append(self._take_from(slot))

    def clear(self) -> None:
        """Forget everything."""
        for slot in list(self._content):
            self.lose(slot)

    def _take_from(self, slot: int) -> int:
        del self._slots[self._content.pop(slot).key]
        return slot

    def check_integrity(self) -> None:
        """Assert that every slot is in exactly one state and every block in one slot."""
        assert {slot: block.key for slot, block in self._content.items()} == {slot: key for key, slot in self._slots.items()}
        assert not self._held, "a slot is held only while a Fetch is planned"
        offered = {slot for slot in range(self.n_slots) if slot in self._policy}
        assert offered == self._content.keys()
        assert len(offered) == len(self._policy)
        assert sorted([*self._free, *offered]) == list(range(self.n_slots))


def open_host_tier(caps: Capabilities) -> HostTier | None:
    """Over the slots that an executor has; None where it has none."""
    return HostTier(caps.host_blocks, SwapCost(caps.swap_seconds, BLOCK_TOKENS), CostAware()) if caps.host_blocks else None
