"""Conversations that wait for something, a tool's result say, and whose blocks should be there when they go on.

It owns the waiting, its end by time, and its end by the conversation's return. It knows block numbers only; that pins are soft
is the eviction policy's business.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from operator import attrgetter

import numpy as np
import numpy.typing as npt

_ENDED = 64  # ended pins that a block's list may hold, beside as many as it has that hold
_END = attrgetter("until")


@dataclass(slots=True, eq=False)
class _Pin:
    last: int
    rest: tuple[int, ...]
    until: float
    blocks: set[int]


class RetainedPrefixes:
    """A conversation has come back when a prompt goes on from the one that it waits behind.

    That prompt is known by its last full block and the tokens after it. What was answered since may be spelt in other tokens.
    Hundreds of conversations may wait behind the same instructions: nothing here looks at all pins of a block.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._order = count()
        self._pins: set[_Pin] = set()
        self._ends: list[tuple[float, int, _Pin]] = []  # heap of (until, order, pin); ended ones among them
        self._pinned: Counter[int] = Counter()  # pins by block
        self._by_end: dict[int, list[_Pin]] = {}  # by block, the last to end at the end; ended ones among them
        # By the last block, and by what stands behind it: its length, then itself.
        self._by_last: dict[int, dict[int, dict[tuple[int, ...], set[_Pin]]]] = {}

    def pin(self, blocks: Iterable[int], last: int, rest: Sequence[int], seconds: float) -> None:
        """Pin a conversation's blocks. `last` is the last full one of its prompt, `rest` the prompt's tokens behind that."""
        now = self._clock()
        while self._ends and (self._ends[0][0] <= now or self._ends[0][2] not in self._pins):
            over = heapq.heappop(self._ends)[2]
            if over in self._pins:
                self._end(over)
        pin = _Pin(last, tuple(rest), now + seconds, set(blocks))
        self._pins.add(pin)
        self._by_last.setdefault(last, {}).setdefault(len(pin.rest), {}).setdefault(pin.rest, set()).add(pin)
        order = next(self._order)
        heapq.heappush(self._ends, (pin.until, order, pin))
        for block in pin.blocks:
            self._pinned[block] += 1
            pins = self._by_end.setdefault(block, [])
            if pins and pins[-1].until > pin.until:
                insort(pins, pin, key=_END)
            else:
                pins.append(pin)
            if len(pins) > 2 * self._pinned[block] + _ENDED:
                pins[:] = [each for each in pins if block in each.blocks]

    def awaited_among(self, blocks: npt.NDArray[np.int64]) -> list[int]:
        """Places in `blocks` of those from which somebody waits for a prompt that goes on."""
        return [n for n, block in enumerate(blocks.tolist()) if block in self._by_last] if self._by_last else []

    def resolve(self, last: int, following: Sequence[int]) -> set[int]:
        """A prompt has the block and these tokens behind it: who waited behind the same waits no more. The blocks that were
        pinned for that.
        """
        blocks: set[int] = set()
        for length, waiting in tuple(self._by_last.get(last, {}).items()):
            for pin in tuple(waiting.get(tuple(following[:length]), ())):
                blocks |= pin.blocks
                self._end(pin)
        return blocks

    def until(self, block: int) -> float | None:
        """When the last pin of a block ends, on `clock`; None where it has none that still holds."""
        pins = self._by_end.get(block)
        while pins and block not in pins[-1].blocks:
            pins.pop()
        return pins[-1].until if pins and pins[-1].until > self._clock() else None

    def ends(self, blocks: npt.NDArray[np.int64]) -> npt.NDArray[np.float64] | None:
        """`until` of each of these, 0 where that is None; None where all are."""
        if not self._pinned or self._pinned.keys().isdisjoint(numbers := blocks.tolist()):
            return None
        return np.array([self.until(block) or 0.0 for block in numbers])

    def forget(self, block: int) -> None:
        """The block's content is gone. What came before it stays pinned for its time: the conversation can still use that."""
        if block in self._pinned:
            for pin in self._by_end[block]:
                pin.blocks.discard(block)
            del self._pinned[block], self._by_end[block]
        self._by_last.pop(block, None)

    def pinned(self) -> list[int]:
        """All blocks whose pins still hold."""
        return [block for block in self._pinned if self.until(block) is not None]

    def _end(self, pin: _Pin) -> None:
        self._pins.remove(pin)
        for block in pin.blocks:
            self._pinned[block] -= 1
            if not self._pinned[block]:
                del self._pinned[block], self._by_end[block]
        pin.blocks.clear()
        of_last = self._by_last.get(pin.last, {})
        waiting = of_last.get(len(pin.rest), {})
        if pin in waiting.get(pin.rest, ()):
            waiting[pin.rest].remove(pin)
            if not waiting[pin.rest]:
                del waiting[pin.rest]
            if not waiting:
                del of_last[len(pin.rest)]
            if not of_last:
                del self._by_last[pin.last]

    def check_integrity(self) -> None:
        """Assert that the views agree."""
        assert self._pinned == Counter(block for pin in self._pins for block in pin.blocks)
        assert self._pinned.keys() == self._by_end.keys()
        assert all(pins == sorted(pins, key=_END) for pins in self._by_end.values())
        assert self._pins <= {pin for _, _, pin in self._ends}
        for pin in self._pins:
            assert all(pin in self._by_end[block] for block in pin.blocks)
        assert all(self._by_last.values())
        for last, length, waiting in [(last, *each) for last, of_last in self._by_last.items() for each in of_last.items()]:
            assert waiting
            for rest, pins in waiting.items():
                assert pins
                assert len(rest) == length
                assert all((pin.last, pin.rest) == (last, rest) and last in pin.blocks and pin in self._pins for pin in pins)
