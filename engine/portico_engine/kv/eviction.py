"""Which unreferenced block goes first. Small classes; they know block numbers and the order of use only."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol


class EvictionPolicy(Protocol):
    """Keeps the blocks that nobody holds but that are worth keeping."""

    def __len__(self) -> int: ...

    def __contains__(self, block: object) -> bool: ...

    def add(self, block: int) -> None:
        """The block's last holder let go."""
        ...

    def remove(self, block: int) -> None:
        """The block is held again."""
        ...

    def pop(self) -> int:
        """Give up a block."""
        ...


class LRU:
    """Least recently let go first. Callers let go of a sequence's last block first: a prefix outlives what follows it."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blocks)

    def __contains__(self, block: object) -> bool:
        return block in self._blocks

    def add(self, block: int) -> None:
        assert block not in self._blocks
        self._blocks[block] = None

    def remove(self, block: int) -> None:
        del self._blocks[block]

    def pop(self) -> int:
        return self._blocks.popitem(last=False)[0]
