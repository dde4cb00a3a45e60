"""Sequences' block tables over the pool: reuse of known prefixes, growth, and what is known afterwards.

It owns `BlockTable` and the rules by which content becomes known: full blocks as soon as they are computed, an unfilled tail
when its sequence lets go. It knows tokens and positions, not requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from portico_engine.executors.protocol import KVOp
from portico_engine.kv.block_pool import BlockPool
from portico_engine.kv.hashing import chain_key


@dataclass(slots=True, eq=False)
class BlockTable:
    """One sequence's blocks, append-only. Positions below `computed` hold keys and values; `keys` name their full blocks."""

    root: bytes
    blocks: list[int] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    computed: int = 0

    @property
    def parent(self) -> bytes:
        """The key of the last full block."""
        return self.keys[-1] if self.keys else self.root


class KVCache:
    """A pool and the tables over it."""

    def __init__(self, pool: BlockPool, root: bytes) -> None:
        self.pool = pool
        self._root = root
        self._tables: set[BlockTable] = set()
        self.queried_tokens = 0
        self.hit_tokens = 0

    def can_begin(self, tokens: Sequence[int]) -> bool:
        """Would a sequence with all these tokens, and one more, find room now?"""
        hit = self.pool.index.match(self._root, tokens, len(tokens) - 1)
        revived = sum(self.pool.is_cached(block) for block in hit.blocks)
        needed = self._blocks_for(len(tokens) + 1) - len(hit.blocks)
        return needed + revived <= self.pool.available

    def begin(self, tokens: Sequence[int]) -> BlockTable:
        """A table that starts with whatever is known of `tokens` but the last one, which must be computed to be answered."""
        hit = self.pool.index.match(self._root, tokens, len(tokens) - 1)
        table = BlockTable(self._root, list(hit.blocks), list(hit.keys), len(hit.blocks) * self.pool.block_tokens)
        for block in hit.blocks:
            self.pool.hold(block)
        if hit.tail is not None:
            self.pool.hold(hit.tail)  # so that making room doesn't evict what is to be copied
            own = self.pool.allocate(table.blocks[-1] if table.blocks else None)
            if own is not None:
                self.pool.copy(hit.tail, own, hit.tail_tokens)
                table.blocks.append(own)
                table.computed += hit.tail_tokens
            self.pool.release(hit.tail)
        self._tables.add(table)
        self.queried_tokens += len(tokens)
        self.hit_tokens += table.computed
        return table

    def fork(self, table: BlockTable, length: int) -> BlockTable | None:
        """A second table over the first `length` computed positions: full blocks shared, an unfilled end copied. None where no
        room.
        """
        assert length <= table.computed
        full, rest = divmod(length, self.pool.block_tokens)
        own = None
        if rest:
            own = self.pool.allocate(table.blocks[full - 1] if full else None)
            if own is None:
                return None
            self.pool.copy(table.blocks[full], own, rest)
        child = BlockTable(table.root, table.blocks[:full], table.keys[:full], length)
        for block in child.blocks:
            self.pool.hold(block)
        if own is not None:
            child.blocks.append(own)
        self._tables.add(child)
        return child

    def reserve(self, table: BlockTable, n_tokens: int) -> bool:
        """Room for `n_tokens` positions in all; False where the pool is exhausted (what was gained so far is kept)."""
        while len(table.blocks) < self._blocks_for(n_tokens):
            block = self.pool.allocate(table.blocks[-1] if table.blocks else None)
            if block is None:
                return False
            table.blocks.append(block)
        return True

    def commit(self, table: BlockTable, tokens: Sequence[int], computed: int) -> None:
        """Positions up to `computed` hold `tokens` now."""
        assert table.computed <= computed <= len(table.blocks) * self.pool.block_tokens
        table.computed = computed
        size = self.pool.block_tokens
        while (len(table.keys) + 1) * size <= computed:
            i = len(table.keys)
            piece = tuple(tokens[i * size : (i + 1) * size])
            key = chain_key(table.parent, piece)
            self.pool.index.add_full(table.blocks[i], table.parent, piece, key)
            table.keys.append(key)

    def end(self, table: BlockTable, tokens: Sequence[int]) -> None:
        """Let go of a table. What it computed stays known as long as there is room."""
        self._tables.remove(table)
        full = len(table.keys)
        rest = table.computed - full * self.pool.block_tokens
        if rest:
            piece = tuple(tokens[full * self.pool.block_tokens : table.computed])
            self.pool.index.add_tail(table.blocks[full], table.parent, piece)
        for block in reversed(table.blocks):
            self.pool.release(block)
        table.blocks.clear()

    def take_ops(self) -> tuple[KVOp, ...]:
        """The pool's operations for the executor, in order."""
        return self.pool.take_ops()

    def check_integrity(self) -> None:
        """Assert the pool's and the tables' invariants."""
        self.pool.check_integrity(table.blocks for table in self._tables)
        for table in self._tables:
            assert len(table.keys) == table.computed // self.pool.block_tokens
            assert table.computed <= len(table.blocks) * self.pool.block_tokens

    def tables(self) -> Iterable[BlockTable]:
        return iter(self._tables)

    def _blocks_for(self, n_tokens: int) -> int:
        return -(-n_tokens // self.pool.block_tokens)
