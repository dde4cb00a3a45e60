"""KV blocks as sequences of llama.cpp: which sequence holds which block, and who else may see it.

llama.cpp's unified cache knows cells by sequence ids and positions, not by blocks. Each slot of the batch has a sequence, which
sees exactly what its row has read; a block that is kept has a home, a sequence that holds it at its positions beside blocks of
other positions. Sharing and copying only tag cells with a further sequence. Where more blocks of one position are kept than
there are homes, the one that was used longest ago is moved to this process's memory, and back when it is asked for.

It owns the mapping. `SequenceCache` is the cache itself; nothing here knows models or files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from portico_engine.plan import BLOCK_TOKENS, Copy, Row, blocks_for


class SequenceCache(Protocol):
    """llama.cpp's cache, cells by sequence, under its own names; positions are first to end, `end` excluded, -1 for all that
    follow."""

    def seq_rm(self, sequence: int, first: int, end: int) -> None: ...

    def seq_cp(self, source: int, target: int, first: int, end: int) -> None:
        """What `source` holds there `target` holds too."""
        ...

    def seq_get_state(self, sequence: int) -> bytes:
        """All that a sequence holds."""
        ...

    def seq_set_state(self, sequence: int, content: bytes | memoryview) -> int:
        """The inverse of `seq_get_state`, into a sequence that holds nothing; the first position."""
        ...


@dataclass(slots=True)
class _Location:
    """Where a block is: which positions it has (`index` is its place in a table), and its home, or its content in memory."""

    index: int
    home: int = -1
    content: bytes | None = None
    used: int = 0  # the step


@dataclass(slots=True)
class _SlotContent:
    """What a slot's sequence holds: these blocks, up to this position."""

    table: tuple[int, ...] = ()
    length: int = 0


class SequenceBlocks:
    """`kv_ops.BlockMemory` over `SequenceCache`. Ids: a slot's is its number, then come the homes, then two for
    passing through.

    There must be more than two homes a slot: a step may copy a block for each of its rows, and write it.
    """

    def __init__(self, cache: SequenceCache, slots: int, homes: int) -> None:
        self._cache = cache
        self._homes = range(slots, slots + homes)
        self._out, self._in = slots + homes, slots + homes + 1
        self._slots = [_SlotContent() for _ in range(slots)]
        self._locations: dict[int, _Location] = {}
        self._taken: defaultdict[int, dict[int, int]] = defaultdict(dict)  # by index: the block of each home
        self._step = 0

    # --- operations on blocks ------------------------------------------------------------------------------------------------

    def copy(self, op: Copy) -> None:
        """See `BlockMemory`."""
        self.drop(op.target)
        source = self._located(op.source)
        source.used = self._step
        target = self._assign_home(op.target, source.index)
        first = source.index * BLOCK_TOKENS
        self._cache.seq_cp(source.home, target.home, first, first + op.n_tokens)

    def read(self, block: int) -> bytes:
        """See `BlockMemory`; the form is llama.cpp's own."""
        location = self._located(block)
        first = location.index * BLOCK_TOKENS
        self._cache.seq_cp(location.home, self._out, first, first + BLOCK_TOKENS)
        content = self._cache.seq_get_state(self._out)
        self._cache.seq_rm(self._out, 0, -1)
        return content

    def write(self, block: int, content: bytes | memoryview) -> None:
        """See `BlockMemory`."""
        self.drop(block)
        self._restore(block, content)

    def drop(self, block: int) -> None:
        """The block's content is dead: nobody sees it any more."""
        location = self._locations.pop(block, None)
        if location is None:
            return
        if location.content is None:
            self._leave_home(location)
        for slot, held in enumerate(self._slots):
            if held.table[location.index : location.index + 1] == (block,):
                self._truncate(slot, min(held.length, location.index * BLOCK_TOKENS))

    # --- steps ----------------------------------------------------------------------------------------------------------------

    def next_step(self) -> None:
        """What is used from here on is used at the same time, and stays in the cache until the step is over."""
        self._step += 1

    def prepare(self, rows: Sequence[Row]) -> None:
        """Make each row's sequence hold what it reads. None of them may read what another of them writes:
        see `independent_batches`."""
        for row in rows:
            for block in row.block_table:
                if block in self._locations:
                    self._locations[block].used = self._step
        for row in rows:
            self._fill_slot(row)

    def commit(self, rows: Sequence[Row]) -> None:
        """Their tokens are written, each row's in its sequence: blocks get homes."""
        for row in rows:
            stop = row.start + len(row.tokens)
            for index in range(row.start // BLOCK_TOKENS, blocks_for(stop)):
                beside = self._locations[row.block_table[index - 1]].home if index else -1
                first, last = max(row.start, index * BLOCK_TOKENS), min(stop, (index + 1) * BLOCK_TOKENS)
                self._store(row.slot, row.block_table[index], index, first, last, beside)
            self._slots[row.slot] = _SlotContent(row.block_table[: blocks_for(stop)], stop)

    def abandon(self, rows: Sequence[Row]) -> None:
        """Something failed between `prepare` and the end of `commit`: these rows' slots hold nothing any more, and are filled
        anew. A home may hold what they wrote; whoever writes there next clears it first, and nobody reads it before.
        """
        for row in rows:
            self._cache.seq_rm(row.slot, 0, -1)
            self._slots[row.slot] = _SlotContent()

    def _store(self, slot: int, block: int, index: int, first: int, last: int, beside: int) -> None:
        """The block has new content from `first` to `last`, and none behind it."""
        location = self._locations.get(block)
        if location is None:
            location = self._assign_home(block, index, beside)
        self._cache.seq_rm(location.home, first, (index + 1) * BLOCK_TOKENS)
        self._cache.seq_cp(slot, location.home, first, last)

    def _fill_slot(self, row: Row) -> None:
        """The slot's sequence holds the positions before the row's own, and nothing else."""
        held = self._slots[row.slot]
        common = 0
        for mine, wanted in zip(held.table, row.block_table, strict=False):
            if mine != wanted:
                break
            common += 1
        kept = min(row.start, held.length, common * BLOCK_TOKENS)
        self._truncate(row.slot, kept)
        for home, start, end in self._runs(row.block_table, kept, row.start):
            self._cache.seq_cp(home, row.slot, start, end)
        self._slots[row.slot] = _SlotContent(row.block_table[: blocks_for(row.start)], row.start)

    def _runs(self, table: tuple[int, ...], start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(home, first, end) of the positions from `start` to `end`; neighbours with one home are one."""
        run: tuple[int, int, int] | None = None
        for index in range(start // BLOCK_TOKENS, blocks_for(end)):
            home = self._located(table[index]).home
            first, last = max(start, index * BLOCK_TOKENS), min(end, (index + 1) * BLOCK_TOKENS)
            if run is not None and run[0] == home:
                run = (home, run[1], last)
                continue
            if run is not None:
                yield run
            run = (home, first, last)
        if run is not None and end > start:
            yield run

    def _truncate(self, slot: int, length: int) -> None:
        held = self._slots[slot]
        if length < held.length:
            self._cache.seq_rm(slot, length, -1)
            self._slots[slot] = _SlotContent(held.table[: blocks_for(length)], length)

    # --- homes ----------------------------------------------------------------------------------------------------------------

    def _assign_home(self, block: int, index: int, beside: int = -1) -> _Location:
        """A home for a block that has none: `beside` where that has room, so that a prefix is one run."""
        taken = self._taken[index]
        homes = (beside, *self._homes) if beside >= 0 else self._homes
        home = next((each for each in homes if each not in taken), -1)
        if home < 0:
            home = self._evict(index)
        location = self._locations[block] = _Location(index, home, used=self._step)
        taken[home] = block
        return location

    def _evict(self, index: int) -> int:
        """Move the block at this index that was used longest ago to memory; its home."""
        block = min(self._taken[index].values(), key=lambda each: self._locations[each].used)
        location = self._locations[block]
        assert location.used < self._step, "more rows than homes"
        content = self.read(block)
        home = location.home
        self._leave_home(location)
        location.content = content
        return home

    def _located(self, block: int) -> _Location:
        """The block's location, with a home."""
        location = self._locations[block]
        return location if location.content is None else self._restore(block, location.content)

    def _restore(self, block: int, content: bytes | memoryview) -> _Location:
        first = self._cache.seq_set_state(self._in, content)
        location = self._assign_home(block, first // BLOCK_TOKENS)
        self._cache.seq_cp(self._in, location.home, first, first + BLOCK_TOKENS)
        self._cache.seq_rm(self._in, 0, -1)
        return location

    def _leave_home(self, location: _Location) -> None:
        first = location.index * BLOCK_TOKENS
        self._cache.seq_rm(location.home, first, first + BLOCK_TOKENS)
        del self._taken[location.index][location.home]
        location.home = -1


def independent_batches(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows in as many batches as it takes for each to read only what earlier ones have written: one, mostly."""
    out: list[list[Row]] = []
    todo = list(rows)
    while todo:
        writers = {block: row for row in todo for block in _written(row)}
        ready = [row for row in todo if all(writers.get(block, row) is row for block in _read(row))]
        assert ready, "rows that read what each other write"
        out.append(ready)
        todo = [row for row in todo if row not in ready]
    return out


def _read(row: Row) -> tuple[int, ...]:
    """The blocks that hold what comes before a row."""
    return row.block_table[: blocks_for(row.start)]


def _written(row: Row) -> tuple[int, ...]:
    """The blocks that a row writes into."""
    return row.block_table[row.start // BLOCK_TOKENS : blocks_for(row.start + len(row.tokens))]
