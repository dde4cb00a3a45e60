"""Free block numbers as runs of neighbours: attention on a CPU reads neighbours without gathering them.

It owns which numbers are free, and nothing of what blocks hold. Taking and giving back cost O(log runs).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

_STALE = 64  # outdated entries of the heap that are let be, beside as many as there are runs


class FreeRuns:
    """The numbers from 0 to `n` - 1, all free at first."""

    def __init__(self, n: int) -> None:
        self._end = {0: n} if n else {}  # a run's first number -> the number behind its last
        self._start = {n: 0} if n else {}  # and back
        self._longest = [(-n, 0)] if n else []  # heap of (minus length, first); outdated entries among them
        self._size = n

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[int]:
        """All free numbers, in order."""
        for first in sorted(self._end):
            yield from range(first, self._end[first])

    def take_after(self, number: int) -> int | None:
        """The neighbour behind a number that isn't free itself; None where that isn't free either."""
        return self._take(number + 1) if number + 1 in self._end else None

    def take(self) -> int:
        """The first of the longest run, of equal ones the first. There must be one."""
        while True:
            length, first = self._longest[0]
            if self._end.get(first, 0) - first == -length:
                return self._take(first)
            heapq.heappop(self._longest)

    def give(self, number: int) -> None:
        """The number is free again."""
        first, end = self._start.pop(number, number), self._end.pop(number + 1, number + 1)
        self._put(first, end)
        self._size += 1

    def _take(self, first: int) -> int:
        end = self._end.pop(first)
        del self._start[end]
        if end > first + 1:
            self._put(first + 1, end)
        self._size -= 1
        return first

    def _put(self, first: int, end: int) -> None:
        self._end[first], self._start[end] = end, first
        if len(self._longest) > 2 * len(self._end) + _STALE:
            self._longest = [(start - stop, start) for start, stop in self._end.items()]
            heapq.heapify(self._longest)
        else:
            heapq.heappush(self._longest, (first - end, first))

    def check_integrity(self) -> None:
        """Assert that the three views agree, and that runs have gaps between them."""
        assert {end: first for first, end in self._end.items()} == self._start
        assert sum(end - first for first, end in self._end.items()) == self._size
        assert not self._end.keys() & self._start.keys()
        assert {(first - end, first) for first, end in self._end.items()} <= set(self._longest)
