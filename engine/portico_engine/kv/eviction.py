"""Which unreferenced block goes first. Small classes; they know block numbers, what a loss would cost, and the order of use."""

from __future__ import annotations

import heapq
import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import count
from typing import Protocol


class EvictionPolicy(Protocol):
    """Keeps the blocks that nobody holds but that are worth keeping."""

    def __len__(self) -> int: ...

    def __contains__(self, block: object) -> bool: ...

    @property
    def unpinned(self) -> int:
        """How many `pop` gives up before it comes to a pinned one."""
        ...

    @property
    def pinned(self) -> int:
        """The others. Changes nothing: any thread may ask."""
        ...

    def add(self, block: int, cost: float = 1.0, pinned_until: float | None = None) -> None:
        """The block's last holder let go. `cost` is what its loss costs, in any unit."""
        ...

    def remove(self, block: int) -> None:
        """The block is held again."""
        ...

    def pop(self) -> int:
        """Give up a block, a pinned one only where there is no other."""
        ...


class LRU:
    """Least recently let go first, whatever it costs; it knows no pins.

    Callers let go of a sequence's last block first: a prefix outlives what follows it.
    """

    def __init__(self) -> None:
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blocks)

    def __contains__(self, block: object) -> bool:
        return block in self._blocks

    @property
    def unpinned(self) -> int:
        return len(self._blocks)

    @property
    def pinned(self) -> int:
        return 0

    def add(self, block: int, cost: float = 1.0, pinned_until: float | None = None) -> None:
        assert block not in self._blocks
        self._blocks[block] = None

    def remove(self, block: int) -> None:
        del self._blocks[block]

    def pop(self) -> int:
        return self._blocks.popitem(last=False)[0]


class CostAware:
    """The cheapest loss first, and what was let go long ago is cheap (GreedyDual; Young 1994, Cao and Irani 1997).

    A block's priority is its cost plus the priority of the last victim when it was let go; equal ones go in LRU's order. Pinned
    blocks go last, those whose time ends first before the others.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._order = count()
        self._age = 0.0
        self._live: dict[int, tuple[float, int]] = {}  # block -> (priority, order)
        self._heap: list[tuple[float, int, int]] = []  # (priority, order, block); outdated entries among them
        self._pinned: dict[int, float] = {}  # block -> until
        self._ends: list[
            tuple[float, float, int, int]
        ] = []  # heap of (until, priority, order, block); outdated ones among them

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, block: object) -> bool:
        return block in self._live

    @property
    def unpinned(self) -> int:
        self._unpin()
        return len(self._live) - len(self._pinned)

    @property
    def pinned(self) -> int:
        now = self._clock()
        return sum(until > now for until in tuple(self._pinned.values()))

    def add(self, block: int, cost: float = 1.0, pinned_until: float | None = None) -> None:
        assert block not in self._live
        self._live[block] = (self._age + cost, next(self._order))
        if pinned_until is None:
            self._push(block)
        else:
            self._pinned[block] = pinned_until
            heapq.heappush(self._ends, (pinned_until, *self._live[block], block))

    def remove(self, block: int) -> None:
        del self._live[block]
        self._pinned.pop(block, None)

    def pop(self) -> int:
        self._unpin()
        if len(self._pinned) == len(self._live):
            entry = heapq.heappop(self._ends)
            while not self._is_pinned(entry):
                entry = heapq.heappop(self._ends)
            self.remove(entry[-1])
            return entry[-1]
        while True:
            priority, order, block = heapq.heappop(self._heap)
            if self._live.get(block) == (priority, order):
                self._age = priority
                del self._live[block]
                return block

    def _unpin(self) -> None:
        now = self._clock()
        while self._ends and self._ends[0][0] <= now:
            entry = heapq.heappop(self._ends)
            if self._is_pinned(entry):
                del self._pinned[entry[-1]]
                self._push(entry[-1])

    def _is_pinned(self, entry: tuple[float, float, int, int]) -> bool:
        """Is that still so, or an outdated entry?"""
        until, priority, order, block = entry
        return self._pinned.get(block) == until and self._live[block] == (priority, order)

    def _push(self, block: int) -> None:
        if len(self._heap) > 2 * len(self._live) + 64:
            self._heap = [(*self._live[b], b) for b in self._live if b not in self._pinned and b != block]
            heapq.heapify(self._heap)
        heapq.heappush(self._heap, (*self._live[block], block))
