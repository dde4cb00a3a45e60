"""Conversations that wait for something, a tool's result say, and whose blocks should be there when they go on.

It owns the waiting, its end by time, and its end by the conversation's return. It knows block numbers only; that pins are soft
is the eviction policy's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


class Pins:
    """A pin is named by the last full block of its conversation: whoever reuses that one has come back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._blocks: dict[int, tuple[int, ...]] = {}  # pin -> its blocks
        self._until: dict[int, dict[int, float]] = {}  # block -> pin -> when it ends

    def pin(self, blocks: Sequence[int], name: int, seconds: float) -> None:
        """Pin a conversation's blocks, `name` among them; one that is pinned already gets a new time."""
        self.resolve(name)
        self._blocks[name] = tuple(blocks)
        for block in blocks:
            self._until.setdefault(block, {})[name] = self.clock() + seconds

    def resolve(self, block: int) -> None:
        """A conversation that ends in this block goes on: it waits no more. No effect where none does."""
        for pinned in self._blocks.pop(block, ()):
            self._until[pinned].pop(block, None)
            if not self._until[pinned]:
                del self._until[pinned]

    def until(self, block: int) -> float | None:
        """When the last pin of a block ends, on `clock`; None where it has none that still holds."""
        end = max(self._until.get(block, {}).values(), default=None)
        return end if end is not None and end > self.clock() else None

    def forget(self, block: int) -> None:
        """The block's content is gone."""
        self.resolve(block)
        for name in self._until.pop(block, ()):
            self._blocks[name] = tuple(b for b in self._blocks[name] if b != block)

    def pinned(self) -> list[int]:
        """All blocks whose pins still hold."""
        return [block for block in self._until if self.until(block) is not None]

    def check_integrity(self) -> None:
        """Assert that both views agree."""
        assert {(name, b) for name, blocks in self._blocks.items() for b in blocks} == {
            (name, b) for b, names in self._until.items() for name in names
        }
