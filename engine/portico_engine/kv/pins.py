"""Conversations that wait for something, a tool's result say, and whose blocks should be there when they go on.

It owns the waiting, its end by time, and its end by the conversation's return. It knows block numbers only; that pins are soft
is the eviction policy's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class _Pin:
    last: int
    until: float
    blocks: set[int]


class Pins:
    """Whoever reuses the last full block of a pinned conversation has come back to it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._pins: set[_Pin] = set()
        self._of: dict[int, list[_Pin]] = {}
        self._by_last: dict[int, _Pin] = {}

    def pin(self, blocks: Iterable[int], last: int, seconds: float) -> None:
        """Pin a conversation's blocks. `last` is its last full one; what was pinned under that waits anew."""
        self.resolve(last)
        now = self.clock()
        for over in [pin for pin in self._pins if pin.until <= now]:
            self._end(over)
        pin = _Pin(last, now + seconds, set(blocks))
        self._pins.add(pin)
        self._by_last[last] = pin
        for block in pin.blocks:
            self._of.setdefault(block, []).append(pin)

    def resolve(self, last: int) -> Sequence[int]:
        """The conversation goes on and waits no more; the blocks that it had pinned, none where there is no such pin."""
        pin = self._by_last.get(last)
        if pin is None:
            return ()
        blocks = tuple(pin.blocks)
        self._end(pin)
        return blocks

    def until(self, block: int) -> float | None:
        """When the last pin of a block ends, on `clock`; None where it has none that still holds."""
        end = max((pin.until for pin in self._of.get(block, ())), default=None)
        return end if end is not None and end > self.clock() else None

    def forget(self, block: int) -> None:
        """The block's content is gone. What came before it stays pinned for its time: the conversation can still use that."""
        for pin in tuple(self._of.get(block, ())):
            self._remove(block, pin)
        self._by_last.pop(block, None)

    def pinned(self) -> list[int]:
        """All blocks whose pins still hold."""
        return [block for block in self._of if self.until(block) is not None]

    def _end(self, pin: _Pin) -> None:
        for block in tuple(pin.blocks):
            self._remove(block, pin)
        self._pins.remove(pin)
        if self._by_last.get(pin.last) is pin:
            del self._by_last[pin.last]

    def _remove(self, block: int, pin: _Pin) -> None:
        pin.blocks.remove(block)
        self._of[block].remove(pin)
        if not self._of[block]:
            del self._of[block]

    def check_integrity(self) -> None:
        """Assert that the three views agree."""
        listed = {(block, pin) for block, pins in self._of.items() for pin in pins}
        assert listed == {(block, pin) for pin in self._pins for block in pin.blocks}
        assert all(self._of.values())
        assert all(last == pin.last and last in pin.blocks and pin in self._pins for last, pin in self._by_last.items())
