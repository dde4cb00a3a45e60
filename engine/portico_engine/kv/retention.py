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
    rest: tuple[int, ...]
    until: float
    blocks: set[int]


class RetainedPrefixes:
    """A conversation has come back when a prompt goes on from the one that it waits behind.

    That prompt is known by its last full block and the tokens after it. What was answered since may be spelt in other tokens.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pins: set[_Pin] = set()
        self._by_block: dict[int, list[_Pin]] = {}
        self._by_last: dict[int, list[_Pin]] = {}

    def pin(self, blocks: Iterable[int], last: int, rest: Sequence[int], seconds: float) -> None:
        """Pin a conversation's blocks. `last` is the last full one of its prompt, `rest` the prompt's tokens behind that."""
        now = self._clock()
        for over in [pin for pin in self._pins if pin.until <= now]:
            self._end(over)
        pin = _Pin(last, tuple(rest), now + seconds, set(blocks))
        self._pins.add(pin)
        self._by_last.setdefault(last, []).append(pin)
        for block in pin.blocks:
            self._by_block.setdefault(block, []).append(pin)

    def resolve(self, last: int, following: Sequence[int]) -> set[int]:
        """A prompt has the block and these tokens behind it: who waited behind the same waits no more. The blocks that were
        pinned for that.
        """
        blocks: set[int] = set()
        for pin in tuple(self._by_last.get(last, ())):
            if pin.rest == tuple(following[: len(pin.rest)]):
                blocks |= pin.blocks
                self._end(pin)
        return blocks

    def until(self, block: int) -> float | None:
        """When the last pin of a block ends, on `clock`; None where it has none that still holds."""
        end = max((pin.until for pin in self._by_block.get(block, ())), default=None)
        return end if end is not None and end > self._clock() else None

    def forget(self, block: int) -> None:
        """The block's content is gone. What came before it stays pinned for its time: the conversation can still use that."""
        for pin in tuple(self._by_block.get(block, ())):
            self._remove(block, pin)
        self._by_last.pop(block, None)

    def pinned(self) -> list[int]:
        """All blocks whose pins still hold."""
        return [block for block in self._by_block if self.until(block) is not None]

    def _end(self, pin: _Pin) -> None:
        for block in tuple(pin.blocks):
            self._remove(block, pin)
        self._pins.remove(pin)
        if pin in (waiting := self._by_last.get(pin.last, [])):
            waiting.remove(pin)
            if not waiting:
                del self._by_last[pin.last]

    def _remove(self, block: int, pin: _Pin) -> None:
        pin.blocks.remove(block)
        self._by_block[block].remove(pin)
        if not self._by_block[block]:
            del self._by_block[block]

    def check_integrity(self) -> None:
        """Assert that the three views agree."""
        listed = {(block, pin) for block, pins in self._by_block.items() for pin in pins}
        assert listed == {(block, pin) for pin in self._pins for block in pin.blocks}
        assert all(self._by_block.values())
        for last, waiting in self._by_last.items():
            assert waiting
            assert all(pin.last == last and last in pin.blocks and pin in self._pins for pin in waiting)
