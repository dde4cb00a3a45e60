"""Whole states of sequences, for models of which llama.cpp can cut nothing off: recurrent ones, and hybrids with attention.

A state goes by the block of its last token, which is all that is known of it: it is in a slot's sequence, saved in this
process's memory, or both. Nothing is shared; a copy is saved content. What is in the cache beside running sequences is moved
out when another one begins.

It owns the mapping. `SequenceCache` is the cache itself; nothing here knows models or files.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from portico_engine.executors.llama_cpp.sequence_cache import SequenceCache
from portico_engine.plan import BLOCK_TOKENS, Copy, Row


@dataclass(slots=True)
class _State:
    """All that a sequence has computed, up to its last block's `n_tokens`-th position: in a slot, saved, or both."""

    n_tokens: int
    slot: int | None = None
    saved: memoryview | None = None


@dataclass(slots=True)
class _Live:
    """What a slot's sequence holds: the state of this block, `length` tokens; or nothing."""

    block: int | None = None
    length: int = 0


class SequenceStates:
    """`kv_ops.BlockMemory` over `SequenceCache`, of whole states: a block's content is all up to it. Ids are slots' numbers."""

    def __init__(self, cache: SequenceCache, slots: int) -> None:
        self._cache = cache
        self._slots = [_Live() for _ in range(slots)]
        self._states: dict[int, _State] = {}

    def copy(self, op: Copy) -> None:
        """See `BlockMemory`: of a whole state, which ends at the block's `n_tokens`-th position."""
        self.drop(op.target)
        source = self._states[op.source]
        if source.n_tokens != op.n_tokens:
            raise RuntimeError("the state has moved on since it was known")
        self._states[op.target] = _State(op.n_tokens, saved=self._saved(source))

    def read(self, block: int) -> bytes:
        """See `BlockMemory`; the form is llama.cpp's own."""
        return bytes(self._saved(self._states[block]))

    def write(self, block: int, content: bytes | memoryview) -> None:
        """See `BlockMemory`."""
        self.drop(block)
        self._states[block] = _State(BLOCK_TOKENS, saved=memoryview(bytes(content)))

    def drop(self, block: int) -> None:
        """See `BlockMemory`."""
        state = self._states.pop(block, None)
        if state is not None and state.slot is not None:
            self._clear(state.slot)

    def next_step(self) -> None:
        """A plan begins."""

    def prepare(self, rows: Sequence[Row], running: Collection[int]) -> None:
        """Make each row's sequence hold the state that it goes on from. `running`: see `SequenceBlocks.prepare`. Raises
        RuntimeError where that is lost, because a step failed behind it.
        """
        arriving = [row for row in rows if not self._continues(row)]
        if arriving or any(row.start == 0 for row in rows):
            for slot in range(len(self._slots)):
                if slot not in running:
                    self._move_out(slot)
        for row in arriving:
            self._move_out(row.slot)
        for row in arriving:
            if row.start:
                self._load(row)

    def commit(self, rows: Sequence[Row]) -> None:
        """Their tokens are read: each sequence is at another state."""
        for row in rows:
            stop = row.start + len(row.tokens)
            block = row.block_table[(stop - 1) // BLOCK_TOKENS]
            live = self._slots[row.slot]
            if live.block is not None:
                self._states.pop(live.block, None)
            before = self._states.get(block)
            if before is not None and before.slot is not None:
                self._clear(before.slot)
            self._states[block] = _State((stop - 1) % BLOCK_TOKENS + 1, row.slot)
            self._slots[row.slot] = _Live(block, stop)

    def abandon(self, rows: Sequence[Row]) -> None:
        """Something failed between `prepare` and `commit`: how far the rows' sequences have come is not known. What they began
        from is still there where it is saved.
        """
        for row in rows:
            block = self._slots[row.slot].block
            self._clear(row.slot)
            if block is not None and self._states[block].saved is None:
                del self._states[block]
            elif block is not None:
                self._states[block].slot = None

    def _continues(self, row: Row) -> bool:
        live = self._slots[row.slot]
        if row.start == 0:
            return live.block is None
        return live.length == row.start and live.block == _block_before(row)

    def _load(self, row: Row) -> None:
        block = _block_before(row)
        state = self._states.get(block)
        if state is None or state.n_tokens != (row.start - 1) % BLOCK_TOKENS + 1:
            raise RuntimeError("the state that this sequence goes on from is lost")
        if state.slot is not None:
            self._move_out(state.slot)
        self._cache.seq_set_state(row.slot, self._saved(state))
        state.slot = row.slot
        self._slots[row.slot] = _Live(block, row.start)

    def _move_out(self, slot: int) -> None:
        """The slot holds nothing; what it held is saved."""
        block = self._slots[slot].block
        if block is not None:
            self._saved(self._states[block])
            self._states[block].slot = None
            self._clear(slot)

    def _clear(self, slot: int) -> None:
        self._cache.seq_rm(slot, 0, -1)
        self._slots[slot] = _Live()

    def _saved(self, state: _State) -> memoryview:
        if state.saved is None:
            assert state.slot is not None, "a state that is nowhere"
            state.saved = self._cache.seq_get_state(state.slot)
        return state.saved


def _block_before(row: Row) -> int:
    """The block of the last position before the row's own."""
    return row.block_table[(row.start - 1) // BLOCK_TOKENS]
