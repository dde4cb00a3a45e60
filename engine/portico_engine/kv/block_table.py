"""One sequence's blocks, and the keys of those that are full. It owns no rules: the cache that it is a table of does."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from portico_engine.kv.hashing import BlockKeys

_NONE = np.empty(0, np.int64)


@dataclass(slots=True, eq=False)
class BlockTable:
    """One sequence's blocks, append-only. Positions below `computed` hold keys and values; `keys` name their full blocks. The
    first `released` blocks, which no token to come sees, are not the table's any more.
    """

    names: BlockKeys
    blocks: list[int] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    computed: int = 0
    released: int = 0
    arriving: bool = False  # blocks of it are fetched from the host's memory by the plan that is being made
    quiet: int = 0  # up to so many computed positions nothing becomes known and nothing is let go of
    _numbers: tuple[int, ...] = ()
    _array: npt.NDArray[np.int64] = field(default_factory=lambda: _NONE)  # of the first blocks

    @property
    def numbers(self) -> tuple[int, ...]:
        """The blocks: the same object as long as there are no more."""
        if len(self._numbers) != len(self.blocks):
            self._numbers = tuple(self.blocks)
        return self._numbers

    def extend(self, blocks: npt.NDArray[np.int64]) -> None:
        """So many blocks more."""
        self._array = np.concatenate((self.array, blocks)) if self.blocks else blocks
        self.blocks += blocks.tolist()

    @property
    def array(self) -> npt.NDArray[np.int64]:
        """The blocks, to be looked at together."""
        if (n := len(self._array)) < len(self.blocks):
            self._array = np.concatenate((self._array, np.array(self.blocks[n:], np.int64)))
        return self._array

    @property
    def held(self) -> list[int]:
        """The blocks that it has."""
        return self.blocks[self.released :]

    def clear(self) -> None:
        """It has none any more."""
        self.blocks.clear()
        self._array = _NONE
        self.released = 0

    @property
    def parent(self) -> bytes:
        """The key that the next block hangs on."""
        return self.names.parent(len(self.keys))
