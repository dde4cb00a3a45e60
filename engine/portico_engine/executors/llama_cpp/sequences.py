"""KV blocks as sequences of llama.cpp: which blocks' cells are in its cache, in which order, and which are saved in memory.

llama.cpp's unified cache knows cells by sequence ids and positions, not by blocks, and attention goes over every cell up to the
last one in use. So only what running sequences read is kept there, and what the last ones left as long as nobody minds. Each
slot of the batch has a sequence that holds what its row has read; blocks that several read are tagged with each of theirs. All
other blocks are saved in this process's memory, and loaded when a row asks for them.

                fill, by tagging                     truncate (the last slot lets go)
    cells  ---------------------->  more slots       cells  ------------------------->  saved
                                                     saved  -- fill, by loading ----->  cells

llama.cpp takes the lowest free cells. A sequence that begins alone therefore has its cells in the order of its positions, from
the first one on, if what is not the beginning of it is moved out: `_base` is what is known to lie so. Then attention sums in
one order, whatever ran before.

It owns the mapping. `SequenceCache` is the cache itself; nothing here knows models or files.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from portico_engine.executors.llama_cpp.sequence_cache import SequenceCache
from portico_engine.plan import BLOCK_TOKENS, Copy, Row, blocks_for

PASSING_SEQUENCES = 2  # beside the slots' own
_IDLE_STEPS = 8  # looking at cells so often costs what moving them out and back does (benchmarks/llama_context.py)
_WASTE = 512  # free cells below the last one in use that are not worth moving the others


@dataclass(slots=True)
class _Block:
    """Content that a block has: `length` positions from `index * BLOCK_TOKENS`, in the cells of the slots that hold it, saved,
    or both. `index` is its place in a table, None as long as no table has told it.
    """

    index: int | None
    length: int
    holders: set[int] = field(default_factory=set)
    saved: memoryview | None = None


@dataclass(slots=True)
class _Held:
    """What a slot's sequence holds: these blocks, up to this position."""

    table: tuple[int, ...] = ()
    length: int = 0
    used: int = 0  # the step


class SequenceBlocks:
    """`kv_ops.BlockMemory` over `SequenceCache`. Ids: a slot's is its number, then come PASSING_SEQUENCES for passing through.

    There are cells for `n_blocks` blocks and one more. Rows of one step must not need more.
    """

    def __init__(self, cache: SequenceCache, slots: int, n_blocks: int) -> None:
        self._cache = cache
        self._out, self._in = slots, slots + 1
        self._n_blocks = n_blocks
        self._slots = [_Held() for _ in range(slots)]
        self._blocks: dict[int, _Block] = {}
        self._base = _Held()  # what lies in the order of its positions, from the first cell on
        self._in_cells = 0  # blocks
        self._used = 0  # cells
        self._extent = 0  # no cell from here on is in use
        self._step = 0

    # --- operations on blocks ------------------------------------------------------------------------------------------------

    def copy(self, op: Copy) -> None:
        """See `BlockMemory`. The copy is saved content, which may have more positions than count."""
        self.drop(op.target)
        source = self._blocks[op.source]
        if source.saved is None:
            source.saved = self._save(source)
        self._blocks[op.target] = _Block(source.index, min(op.n_tokens, source.length), saved=source.saved)

    def read(self, block: int) -> bytes:
        """See `BlockMemory`; the form is llama.cpp's own."""
        content = self._blocks[block]
        return bytes(self._save(content) if content.saved is None else content.saved)

    def write(self, block: int, content: bytes | memoryview) -> None:
        """See `BlockMemory`."""
        self.drop(block)
        self._blocks[block] = _Block(None, BLOCK_TOKENS, saved=memoryview(bytes(content)))

    def drop(self, block: int) -> None:
        """The block's content is dead: nobody sees it any more."""
        content = self._blocks.get(block)
        if content is None:
            return
        for slot in tuple(content.holders):
            assert content.index is not None
            self._truncate(slot, content.index * BLOCK_TOKENS, dead=content)
        del self._blocks[block]

    # --- steps ----------------------------------------------------------------------------------------------------------------

    def next_step(self) -> None:
        """A plan begins."""
        self._step += 1

    def prepare(self, rows: Sequence[Row], running: Collection[int]) -> None:
        """Make each row's sequence hold what it reads. None of them may read what another of them writes: see
        `independent_batches`. `running` are the slots of all sequences that go on, the rows' among them.
        """
        for row in rows:
            self._slots[row.slot].used = self._step
        arriving = [row for row in rows if row.start == 0 or not self._continues(row)]
        for row in arriving:
            self._share(row)
        alone = len(running) == 1
        self._let_go_idle(running, at_once=alone and bool(arriving))
        if alone and arriving:
            self._put_in_order(rows[0].slot)
        elif self._extent - self._used > max(_WASTE, self._used // 2):
            self._move_out_all()
        self._make_room(rows, running)
        for row in rows:
            if not self._continues(row):
                self._load(row)

    def commit(self, rows: Sequence[Row]) -> None:
        """Their tokens are written, each row's in its sequence."""
        ordered = len(rows) == 1 and self._in_order(rows[0].slot)
        for row in rows:
            stop = row.start + len(row.tokens)
            for index in range(row.start // BLOCK_TOKENS, blocks_for(stop)):
                self._written(row, index, min(stop, (index + 1) * BLOCK_TOKENS) - index * BLOCK_TOKENS)
            self._hold(row.slot, row.block_table[: blocks_for(stop)], stop, ordered=ordered)

    def abandon(self, rows: Sequence[Row]) -> None:
        """Something failed between `prepare` and `commit`: these rows' slots hold no more than they did before it."""
        for row in rows:
            self._cache.seq_rm(row.slot, self._slots[row.slot].length, -1)
        for sequence in (self._out, self._in):
            self._cache.seq_rm(sequence, 0, -1)

    def check_integrity(self, used: int, extent: int) -> None:
        """Assert that blocks, slots and the cells that are in use agree."""
        assert used == self._used == sum(block.length for block in self._blocks.values() if block.holders)
        assert extent <= self._extent
        assert self._in_cells == sum(bool(block.holders) for block in self._blocks.values())
        for number, block in self._blocks.items():
            assert block.holders or block.saved is not None, f"block {number} is nowhere"
            for slot in block.holders:
                assert block.index is not None
                assert self._slots[slot].table[block.index] == number

    def _written(self, row: Row, index: int, length: int) -> None:
        """The block at `index` has the row's content, `length` positions in all."""
        block = self._blocks.setdefault(row.block_table[index], _Block(index, 0))
        for other in block.holders - {row.slot}:
            self._truncate(other, index * BLOCK_TOKENS)
        self._in_cells += not block.holders
        self._use(length - block.length if block.holders else length)
        block.index, block.length, block.saved = index, length, None
        block.holders.add(row.slot)

    def _continues(self, row: Row) -> bool:
        """Does the slot hold what comes before the row, and nothing else?"""
        held = self._slots[row.slot]
        return held.length == row.start and held.table == row.block_table[: len(held.table)]

    def _share(self, row: Row) -> None:
        """The slot lets go of what the row doesn't read, and holds of what it reads as much as follows in others' cells."""
        kept = min(row.start, self._slots[row.slot].length, self._common(self._slots[row.slot].table, row.block_table))
        if kept < row.start:
            kept = kept // BLOCK_TOKENS * BLOCK_TOKENS
        self._truncate(row.slot, kept)
        index = blocks_for(kept)
        while index < blocks_for(row.start) and (holders := self._blocks[row.block_table[index]].holders):
            index = self._tag(row, index, min(holders))

    def _load(self, row: Row) -> None:
        """The slot holds all that the row reads."""
        index = blocks_for(self._slots[row.slot].length)
        while index < blocks_for(row.start):
            block = self._blocks[row.block_table[index]]
            index = self._tag(row, index, min(block.holders)) if block.holders else self._restore(row, index, block)

    def _tag(self, row: Row, first: int, source: int) -> int:
        """The slot holds the row's blocks from `first` on as far as `source` holds them; the first block that it doesn't."""
        index = first
        while index < blocks_for(row.start) and source in self._blocks[row.block_table[index]].holders:
            self._blocks[row.block_table[index]].holders.add(row.slot)
            index += 1
        stop = min(row.start, index * BLOCK_TOKENS)
        self._cache.seq_cp(source, row.slot, first * BLOCK_TOKENS, stop)
        self._hold(row.slot, row.block_table[:index], stop, ordered=False)
        return index

    def _restore(self, row: Row, index: int, block: _Block) -> int:
        """Load one block; the number of the next."""
        assert block.saved is not None, "content that is nowhere"
        first, stop = index * BLOCK_TOKENS, min(row.start, index * BLOCK_TOKENS + block.length)
        ordered = self._in_order(row.slot)
        self._cache.seq_set_state(self._in, block.saved)
        self._cache.seq_cp(self._in, row.slot, first, stop)
        self._cache.seq_rm(self._in, 0, -1)
        block.index, block.length = index, stop - first
        block.holders.add(row.slot)
        self._in_cells += 1
        self._use(block.length)
        self._hold(row.slot, row.block_table[: index + 1], stop, ordered=ordered)
        return index + 1

    # --- what stays in the cache ----------------------------------------------------------------------------------------------

    def _let_go_idle(self, running: Collection[int], *, at_once: bool) -> None:
        """What sequences have left that don't run any more: after a while, or at once."""
        for slot, held in enumerate(self._slots):
            if slot not in running and held.length and (at_once or self._step - held.used > _IDLE_STEPS):
                self._truncate(slot, 0)

    def _make_room(self, rows: Sequence[Row], running: Collection[int]) -> None:
        """Of sequences that don't run, the one that ended longest ago goes first."""
        idle = [slot for slot, held in enumerate(self._slots) if slot not in running and held.length]
        if not idle:
            return
        asked = {block for row in rows for block in row.block_table[: blocks_for(row.start + len(row.tokens))]}
        lacking = sum(block not in self._blocks or not self._blocks[block].holders for block in asked)
        for slot in sorted(idle, key=lambda slot: self._slots[slot].used):
            if self._in_cells + lacking <= self._n_blocks:
                return
            self._truncate(slot, 0)

    def _put_in_order(self, slot: int) -> None:
        """Only this slot holds anything: let go of what doesn't lie in order."""
        held = self._slots[slot]
        kept = min(held.length, self._base.length, self._common(self._base.table, held.table))
        self._truncate(slot, kept)
        self._base = _Held(held.table, kept)
        self._extent = self._used

    def _move_out_all(self) -> None:
        """Rows' blocks come back without the gaps between them, those of others when it is their turn."""
        for slot in range(len(self._slots)):
            self._truncate(slot, 0)
        self._base = _Held()
        self._extent = 0

    def _in_order(self, slot: int) -> bool:
        """Will the slot's next cells follow those of its positions before, from the first cell on?"""
        return self._used == self._base.length == self._slots[slot].length

    def _hold(self, slot: int, table: tuple[int, ...], length: int, *, ordered: bool) -> None:
        held = self._slots[slot]
        held.table, held.length = table, length
        if ordered:
            self._base = _Held(table, length)

    def _use(self, cells: int) -> None:
        self._used += cells
        self._extent = max(self._extent, self._used)  # free cells are taken from the first one on

    def _truncate(self, slot: int, length: int, dead: _Block | None = None) -> None:
        """The slot holds nothing from `length` on. What no other slot holds is saved before, but for a `dead` block."""
        held = self._slots[slot]
        if length >= held.length:
            return
        kept = blocks_for(length)
        gone = [self._blocks[number] for number in held.table[kept:]]
        for block in gone:
            if block.holders == {slot} and block.saved is None and block is not dead:
                block.saved = self._save(block)
        for index, block in enumerate(gone, kept):
            if block.holders == {slot}:
                self._used -= block.length
                self._in_cells -= 1
                self._cut_base(held.table[index], index * BLOCK_TOKENS)
            block.holders.remove(slot)
        if length % BLOCK_TOKENS:
            self._cut_block(self._blocks[held.table[kept - 1]], held.table[kept - 1], length)
        self._cache.seq_rm(slot, length, -1)
        held.table, held.length = held.table[:kept], length

    def _cut_block(self, block: _Block, number: int, length: int) -> None:
        """It ends at the position `length` now, which is about to be written again."""
        assert block.index is not None
        gone = block.length - (length - block.index * BLOCK_TOKENS)
        if gone > 0 and len(block.holders) == 1:
            block.length -= gone
            self._used -= gone
            self._cut_base(number, length)

    def _cut_base(self, block: int, length: int) -> None:
        at = length // BLOCK_TOKENS
        if length < self._base.length and self._base.table[at : at + 1] == (block,):
            self._base = _Held(self._base.table[: blocks_for(length)], length)

    def _save(self, block: _Block) -> memoryview:
        assert block.index is not None
        first = block.index * BLOCK_TOKENS
        self._cache.seq_cp(min(block.holders), self._out, first, first + BLOCK_TOKENS)
        content = self._cache.seq_get_state(self._out)
        self._cache.seq_rm(self._out, 0, -1)
        return content

    def _common(self, one: tuple[int, ...], other: tuple[int, ...]) -> int:
        """Positions of the blocks with which both begin."""
        same = 0
        for a, b in zip(one, other, strict=False):
            if a != b:
                break
            same += 1
        return same * BLOCK_TOKENS
