"""Which unreferenced block goes first. Small classes; they know block numbers, what a loss would cost, and the order of use."""

from __future__ import annotations

import heapq
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

_NO_BLOCKS = np.empty(0, np.int64)
Blocks: TypeAlias = Sequence[int] | npt.NDArray[np.int64]


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

    def add(self, blocks: Blocks, cost: float = 1.0, pinned_until: float | None = None) -> None:
        """These blocks' last holder let go, of the first one first. `cost` is what the loss of one costs, in any unit."""
        ...

    def remove(self, blocks: Blocks) -> None:
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

    def add(self, blocks: Blocks, cost: float = 1.0, pinned_until: float | None = None) -> None:
        for block in map(int, blocks):
            assert block not in self._blocks
            self._blocks[block] = None

    def remove(self, blocks: Blocks) -> None:
        for block in map(int, blocks):
            del self._blocks[block]

    def pop(self) -> int:
        return self._blocks.popitem(last=False)[0]


@dataclass(slots=True, eq=False)
class _Lot:
    """Blocks that were let go of together and are worth the same."""

    number: int  # in the order of letting go
    priority: float
    until: float | None  # when its pin ends
    blocks: npt.NDArray[np.int64]  # that nobody holds again; the next one to go is the last


class CostAware:
    """The cheapest loss first, and what was let go long ago is cheap (GreedyDual; Young 1994, Cao and Irani 1997).

    A block's priority is its cost plus the priority of the last victim when it was let go; equal ones go in LRU's order. Pinned
    blocks go last, those whose time ends first before the others. A sequence's end lets go of hundreds at once: they are kept
    as one lot.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._numbers = count()
        self._age = 0.0
        self._lot_of = np.full(1, -1, np.int64)  # by block: its lot's number; as long as the largest block needs
        self._lots: dict[int, _Lot] = {}  # by number, those that have blocks
        self._heap: list[tuple[float, int, _Lot]] = []  # (priority, number, lot) of those that are not pinned, and empty ones
        self._size = 0  # blocks
        self._n_pinned = 0  # of them
        self._ends: list[tuple[float, float, int, _Lot]] = []  # heap of (until, priority, number, lot) of pinned ones

    def __len__(self) -> int:
        return self._size

    def __contains__(self, block: object) -> bool:
        return isinstance(block, int) and block < len(self._lot_of) and bool(self._lot_of[block] >= 0)

    @property
    def unpinned(self) -> int:
        self._unpin()
        return self._size - self._n_pinned

    def pinned_blocks(self) -> list[int]:
        if not self._n_pinned:
            return []
        now = self._clock()
        lots = tuple(self._lots.values())
        return [block for lot in lots if lot.until is not None and lot.until > now for block in lot.blocks.tolist()]

    def add(self, blocks: Blocks, cost: float = 1.0, pinned_until: float | None = None) -> None:
        at = np.array(blocks, np.int64)[::-1]
        assert at.size
        if (largest := int(at.max())) >= len(self._lot_of):
            more = np.full(largest + 1, -1, np.int64)
            self._lot_of = np.concatenate((self._lot_of, more))
        lot = _Lot(next(self._numbers), self._age + cost, pinned_until, at)
        self._lots[lot.number] = lot
        self._lot_of[at] = lot.number
        self._size += len(at)
        if pinned_until is None:
            self._push(lot)
        else:
            self._n_pinned += len(at)
            heapq.heappush(self._ends, (pinned_until, lot.priority, lot.number, lot))

    def remove(self, blocks: Blocks) -> None:
        if len(blocks) == 1:
            lot = self._lots[int(self._lot_of[blocks[0]])]
            self._lot_of[blocks[0]] = -1
            self._keep(lot, lot.blocks[lot.blocks != blocks[0]] if len(lot.blocks) > 1 else _NO_BLOCKS)
            return
        at = np.asarray(blocks, np.int64)
        numbers = self._lot_of[at]
        self._lot_of[at] = -1
        for number in {int(numbers[0])} if (numbers == numbers[0]).all() else set(numbers.tolist()):
            lot = self._lots[number]
            is_whole = len(at) >= len(lot.blocks) and int(np.count_nonzero(numbers == number)) == len(lot.blocks)
            self._keep(lot, _NO_BLOCKS if is_whole else lot.blocks[self._lot_of[lot.blocks] == number])

    def pop(self) -> int:
        self._unpin()
        if self._n_pinned == self._size:
            while not (lot := self._ends[0][-1]).blocks.size:
                heapq.heappop(self._ends)
        else:
            while not (lot := self._heap[0][-1]).blocks.size:
                heapq.heappop(self._heap)
            self._age = lot.priority
        block = int(lot.blocks[-1])
        self._lot_of[block] = -1
        self._keep(lot, lot.blocks[:-1])
        return block

    def _keep(self, lot: _Lot, blocks: npt.NDArray[np.int64]) -> None:
        """These are left of a lot."""
        gone = len(lot.blocks) - len(blocks)
        self._size -= gone
        if lot.until is not None:
            self._n_pinned -= gone
        lot.blocks = blocks
        if not blocks.size:
            del self._lots[lot.number]

    def _unpin(self) -> None:
        now = self._clock()
        while self._ends and self._ends[0][0] <= now:
            lot = heapq.heappop(self._ends)[-1]
            lot.until = None
            if lot.blocks.size:
                self._n_pinned -= len(lot.blocks)
                self._push(lot)

    def _push(self, lot: _Lot) -> None:
        if len(self._heap) > 2 * len(self._lots) + 64:
            self._heap = [entry for entry in self._heap if entry[-1].blocks.size]
            heapq.heapify(self._heap)
        heapq.heappush(self._heap, (lot.priority, lot.number, lot))
