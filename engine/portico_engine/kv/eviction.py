"""Which unreferenced block goes first. Small classes; they know block numbers, what a loss would cost, and the order of use."""

from __future__ import annotations

import heapq
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
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

    def pinned_blocks(self) -> list[int]:
        """The others. Changes nothing: any thread may ask."""
        ...

    def add(self, blocks: Iterable[int], cost: float = 1.0, pinned_until: float | None = None) -> None:
        """These blocks' last holder let go, of the first one first. `cost` is what the loss of one costs, in any unit."""
        ...

    def remove(self, blocks: Iterable[int]) -> None:
        """These blocks are held again."""
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

    def pinned_blocks(self) -> list[int]:
        return []

    def add(self, blocks: Iterable[int], cost: float = 1.0, pinned_until: float | None = None) -> None:
        for block in blocks:
            assert block not in self._blocks
            self._blocks[block] = None

    def remove(self, blocks: Iterable[int]) -> None:
        for block in blocks:
            del self._blocks[block]

    def pop(self) -> int:
        return self._blocks.popitem(last=False)[0]


@dataclass(slots=True, eq=False)
class _Lot:
    """Blocks that were let go of together and are worth the same."""

    priority: float
    until: float | None  # when its pin ends
    blocks: list[int]  # the next one to go is the last; some may be held again, or in another lot
    live: int  # those that are not


class CostAware:
    """The cheapest loss first, and what was let go long ago is cheap (GreedyDual; Young 1994, Cao and Irani 1997).

    A block's priority is its cost plus the priority of the last victim when it was let go; equal ones go in LRU's order. Pinned
    blocks go last, those whose time ends first before the others. A sequence's end lets go of hundreds at once: they are kept
    as one lot.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._order = count()
        self._age = 0.0
        self._lots: dict[int, _Lot] = {}  # by block
        self._heap: list[tuple[float, int, _Lot]] = []  # (priority, order, lot) of those that are not pinned
        self._listed = 0  # blocks of the lots in it, outdated ones among them
        self._pinned: set[_Lot] = set()
        self._n_pinned = 0  # their blocks
        self._ends: list[tuple[float, float, int, _Lot]] = []  # heap of (until, priority, order, lot) of these

    def __len__(self) -> int:
        return len(self._lots)

    def __contains__(self, block: object) -> bool:
        return block in self._lots

    @property
    def unpinned(self) -> int:
        self._unpin()
        return len(self._lots) - self._n_pinned

    def pinned_blocks(self) -> list[int]:
        now = self._clock()
        lots = [lot for lot in tuple(self._pinned) if (until := lot.until) is not None and until > now]
        return [block for lot in lots for block in tuple(lot.blocks) if self._lots.get(block) is lot]

    def add(self, blocks: Iterable[int], cost: float = 1.0, pinned_until: float | None = None) -> None:
        listed = list(blocks)
        assert listed
        lot = _Lot(self._age + cost, pinned_until, listed[::-1], len(listed))
        self._lots.update(dict.fromkeys(listed, lot))
        if pinned_until is None:
            self._push(next(self._order), lot)
        else:
            self._pinned.add(lot)
            self._n_pinned += len(listed)
            heapq.heappush(self._ends, (pinned_until, lot.priority, next(self._order), lot))

    def remove(self, blocks: Iterable[int]) -> None:
        for block in blocks:
            lot = self._lots.pop(block)
            lot.live -= 1
            if lot.until is not None:
                self._n_pinned -= 1
                if not lot.live:
                    self._pinned.remove(lot)

    def pop(self) -> int:
        self._unpin()
        if self._n_pinned == len(self._lots):
            while (block := self._next_of(self._ends[0][-1])) is None:
                heapq.heappop(self._ends)
            return block
        while True:
            priority, _, lot = self._heap[0]
            listed = len(lot.blocks)
            block = self._next_of(lot)
            self._listed -= listed - len(lot.blocks)
            if not lot.blocks:
                heapq.heappop(self._heap)
            if block is not None:
                self._age = priority
                return block

    def _next_of(self, lot: _Lot) -> int | None:
        """Give up a block of this lot; None where it has none any more."""
        while lot.blocks:
            block = lot.blocks.pop()
            if self._lots.get(block) is lot:
                self.remove([block])
                return block
        return None

    def _unpin(self) -> None:
        now = self._clock()
        while self._ends and self._ends[0][0] <= now:
            _, _, order, lot = heapq.heappop(self._ends)
            lot.until = None
            if lot.live:
                self._pinned.remove(lot)
                self._n_pinned -= lot.live
                self._push(order, lot)

    def _push(self, order: int, lot: _Lot) -> None:
        if self._listed > 2 * len(self._lots) + 64:
            self._heap = [entry for entry in self._heap if entry[-1].live]
            for _, _, old in self._heap:
                old.blocks = [block for block in old.blocks if self._lots.get(block) is old]
            heapq.heapify(self._heap)
            self._listed = sum(len(old.blocks) for _, _, old in self._heap)
        heapq.heappush(self._heap, (lot.priority, order, lot))
        self._listed += len(lot.blocks)
