"""One sequence's blocks, and the keys of those that are full. It owns no rules: the cache that it is a table of does."""

from __future__ import annotations

from dataclasses import dataclass, field

from portico_engine.kv.hashing import BlockKeys


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
    _numbers: tuple[int, ...] = ()

    @property
    def numbers(self) -> tuple[int, ...]:
        """The blocks: the same object as long as there are no more."""
        if len(self._numbers) != len(self.blocks):
            self._numbers = tuple(self.blocks)
        return self._numbers

    @property
    def held(self) -> list[int]:
        """The blocks that it has."""
        return self.blocks[self.released :]

    @property
    def parent(self) -> bytes:
        """The key that the next block hangs on."""
        return self.names.parent(len(self.keys))
