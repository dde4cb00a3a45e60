"""What is known of sequences whose memory is one state that comes whole: recurrent models, and hybrids of them with attention.

Nothing of a state can be cut off or shared, so a prefix is reused only where a state was kept at exactly its end: at the end of
an answer, and at the places of a prompt that `state_points` names. A kept state goes by the block of its last token. Tables
have blocks for all of their tokens, which count what they take and hold nothing that others read.
"""

from __future__ import annotations

from collections.abc import Sequence

from portico_engine.kv.block_pool import BlockPool
from portico_engine.kv.block_table import BlockTable
from portico_engine.kv.cache import KVCache
from portico_engine.kv.hashing import BlockKeys, block_content


class StateCache(KVCache):
    """`KVCache` of whole states, of which `most_states` are kept that no sequence runs on."""

    def __init__(self, pool: BlockPool, root: bytes, most_states: int) -> None:
        super().__init__(pool, root)
        self._most_states = most_states

    def state_points(self, prompt_tokens: int, keep: int) -> tuple[int, ...]:
        """See `KVCache.state_points`: behind what is to be kept, and before the last token, which is always computed."""
        return tuple(sorted(point for point in {keep, prompt_tokens - 1} if 0 < point < prompt_tokens))

    def keep_state(self, table: BlockTable, tokens: Sequence[int]) -> None:
        """See `KVCache.keep_state`. Where no block is free, nothing is kept."""
        if self.pool.index.match_state(table.names, tokens, table.computed)[1] == table.computed:
            return
        own = self.pool.allocate()
        if own is not None:
            self._copy(self._last(table), own, table.computed)
            self._index(own, table, tokens)
            self.pool.release([own])
            self._evict()

    def can_allocate(self, tokens: Sequence[int], names: BlockKeys | None = None) -> bool:
        """See `KVCache`. The state that it may begin from counts too."""
        return self.pool.available > self._blocks_for(len(tokens) + 1)

    def allocate(self, tokens: Sequence[int], names: BlockKeys | None = None) -> BlockTable:
        """See `KVCache`: it begins from a copy of the longest state that is known of a beginning of `tokens`."""
        table = BlockTable(names or self.block_keys())
        state, length = self.pool.index.match_state(table.names, tokens, len(tokens) - 1)
        if state is not None:
            self.pool.hold([state])
            if self.reserve(table, length):
                self._copy(state, self._block_at(table, length), length)
                self._advance(table, tokens, length)
            self.pool.release([state])
        self._tables.add(table)
        self._note_owner(table, 0)
        self.queried_tokens += len(tokens)
        self.hit_tokens += table.computed
        return table

    def fork(self, table: BlockTable, length: int) -> BlockTable | None:
        """See `KVCache`: only at the table's end."""
        assert length == table.computed, "a state can't be cut"
        child = BlockTable(table.names.forked(len(table.keys)), keys=table.keys.copy(), computed=length)
        if not self.reserve(child, length):
            self.pool.release(child.blocks[::-1])
            return None
        if length:
            self._copy(self._last(table), self._last(child), length)
        self._tables.add(child)
        return child

    def fork_blocks(self, length: int, more: int) -> int:
        """See `KVCache`."""
        return self._blocks_for(length + more)

    def commit(self, table: BlockTable, tokens: Sequence[int], computed: int) -> None:
        """See `KVCache`. Nothing becomes known by it: the state moves on."""
        assert table.computed <= computed <= len(table.blocks) * self.pool.block_tokens
        self._advance(table, tokens, computed)

    def persist(self, table: BlockTable, n_tokens: int) -> None:
        """No state is saved on a disk."""

    def pin(self, table: BlockTable, prompt: Sequence[int], seconds: float) -> None:
        """See `KVCache`: the state at its end goes last."""
        if table.computed:
            last = self._last(table)
            self.pool.retained.pin([last], last, (), seconds)

    def discard(self, table: BlockTable) -> None:
        """See `KVCache`."""
        self.pool.forget(table.held)
        table.computed = 0
        table.keys.clear()

    def distrust(self, block: int) -> list[BlockTable]:
        """See `KVCache`: a table that should have begun from there has nothing."""
        self.pool.forget([block])
        holders = [table for table in self._tables if block in table.blocks]
        for table in holders:
            table.computed = 0
            table.keys.clear()
        return holders

    def free(self, table: BlockTable, tokens: Sequence[int]) -> None:
        """See `KVCache`: the state at its end stays known as long as there is room."""
        if table.computed:
            self._index(self._last(table), table, tokens)
        self.release(table)
        self._evict()

    def _advance(self, table: BlockTable, tokens: Sequence[int], computed: int) -> None:
        table.computed = computed
        for i in range(len(table.keys), computed // self.pool.block_tokens):
            table.keys.append(table.names.key(i, tokens))

    def _index(self, block: int, table: BlockTable, tokens: Sequence[int]) -> None:
        at = (table.computed - 1) // self.pool.block_tokens
        content = block_content(table.names.parent(at), tokens[at * self.pool.block_tokens : table.computed])
        key = table.names.key(at, tokens) if table.computed % self.pool.block_tokens == 0 else None
        self.pool.index.add_state(block, content, key)

    def _copy(self, source: int, target: int, length: int) -> None:
        self.pool.copy(source, target, (length - 1) % self.pool.block_tokens + 1)

    def _last(self, table: BlockTable) -> int:
        return self._block_at(table, table.computed)

    def _block_at(self, table: BlockTable, length: int) -> int:
        """The block of the last of `length` tokens."""
        return table.blocks[self._blocks_for(length) - 1]

    def _evict(self) -> None:
        while self.pool.cached > self._most_states:
            self.pool.evict()
