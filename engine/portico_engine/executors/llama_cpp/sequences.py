"""KV blocks as sequences of llama.cpp: which sequence holds which block, and who else may see it.

llama.cpp's unified cache knows cells by sequence ids and positions, not by blocks. Each slot of the batch has a sequence, which
sees exactly what its row has read; a block that is kept has a home, a sequence that holds it at its positions beside blocks of
other positions. Sharing and copying only tag cells with a further sequence. Where more blocks of one position are kept than
there are homes, the one that was used longest ago is moved to this process's memory, and back when it is asked for.

It owns the mapping. `Cells` is the cache itself; nothing here knows models or files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from portico_engine.plan import BLOCK_TOKENS, Copy, Row, blocks_for


class Cells(Protocol):
    """The cache's cells by sequence; positions are first to end, `end` excluded, -1 for all that follow."""

    def remove(self, sequence: int, first: int, end: int) -> None: ...

    def tag(self, source: int, target: int, first: int, end: int) -> None:
        """What `source` holds there `target` holds too."""
        ...

    def read(self, sequence: int) -> bytes:
        """All that a sequence holds."""
        ...

    def write(self, sequence: int, content: bytes | memoryview) -> int:
        """The inverse of `read`, into a sequence that holds nothing; the first position."""
        ...


@dataclass(slots=True)
class _Place:
    """Where a block is: which positions it has (`index` is its place in a table), and its home, or its content in memory."""

    index: int
    home: int = -1
    content: bytes | None = None
    used: int = 0  # the step


@dataclass(slots=True)
class _Seen:
    """What a slot's sequence holds: these blocks, up to this position."""

    table: tuple[int, ...] = ()
    length: int = 0


class Sequences:
    """`kv_ops.BlockMemory` over `Cells`. Ids: a slot's is its number, then come the homes, then two for passing through.

    There must be more than two homes a slot: a step may copy a block for each of its rows, and write it.
    """

    def __init__(self, cells: Cells, slots: int, homes: int) -> None:
        self._cells = cells
        self._homes = range(slots, slots + homes)
        self._out, self._in = slots + homes, slots + homes + 1
        self._seen = [_Seen() for _ in range(slots)]
        self._places: dict[int, _Place] = {}
        self._taken: defaultdict[int, dict[int, int]] = defaultdict(dict)  # by index: the block of each home
        self._step = 0

    # --- operations on blocks ------------------------------------------------------------------------------------------------

    def copy(self, op: Copy) -> None:
        """See `BlockMemory`."""
        self.drop(op.target)
        source = self._settled(op.source)
        source.used = self._step
        target = self._settle(op.target, source.index)
        first = source.index * BLOCK_TOKENS
        self._cells.tag(source.home, target.home, first, first + op.n_tokens)

    def read(self, block: int) -> bytes:
        """See `BlockMemory`; the form is llama.cpp's own."""
        place = self._settled(block)
        first = place.index * BLOCK_TOKENS
        self._cells.tag(place.home, self._out, first, first + BLOCK_TOKENS)
        content = self._cells.read(self._out)
        self._cells.remove(self._out, 0, -1)
        return content

    def write(self, block: int, content: bytes | memoryview) -> None:
        """See `BlockMemory`."""
        self.drop(block)
        self._restore(block, content)

    def drop(self, block: int) -> None:
        """The block's content is dead: nobody sees it any more."""
        place = self._places.pop(block, None)
        if place is None:
            return
        if place.content is None:
            self._leave_home(place)
        for slot, seen in enumerate(self._seen):
            if seen.table[place.index : place.index + 1] == (block,):
                self._shorten(slot, min(seen.length, place.index * BLOCK_TOKENS))

    # --- steps ----------------------------------------------------------------------------------------------------------------

    def next_step(self) -> None:
        """What is used from here on is used at the same time, and stays in the cache until the step is over."""
        self._step += 1

    def begin(self, rows: Sequence[Row]) -> None:
        """Make each row's sequence hold what it reads. None of them may read what another of them writes (see `waves`)."""
        for row in rows:
            for block in row.block_table:
                if block in self._places:
                    self._places[block].used = self._step
        for row in rows:
            self._see(row)

    def end(self, rows: Sequence[Row]) -> None:
        """Their tokens are written, each row's in its sequence: blocks get homes."""
        for row in rows:
            stop = row.start + len(row.tokens)
            for index in range(row.start // BLOCK_TOKENS, blocks_for(stop)):
                beside = self._places[row.block_table[index - 1]].home if index else -1
                first, last = max(row.start, index * BLOCK_TOKENS), min(stop, (index + 1) * BLOCK_TOKENS)
                self._keep(row.slot, row.block_table[index], index, first, last, beside)
            self._seen[row.slot] = _Seen(row.block_table[: blocks_for(stop)], stop)

    def _keep(self, slot: int, block: int, index: int, first: int, last: int, beside: int) -> None:
        """The block has new content from `first` to `last`, and none behind it."""
        place = self._places.get(block)
        if place is None:
            place = self._settle(block, index, beside)
        self._cells.remove(place.home, first, (index + 1) * BLOCK_TOKENS)
        self._cells.tag(slot, place.home, first, last)

    def _see(self, row: Row) -> None:
        """The slot's sequence holds the positions before the row's own, and nothing else."""
        seen = self._seen[row.slot]
        common = 0
        for mine, wanted in zip(seen.table, row.block_table, strict=False):
            if mine != wanted:
                break
            common += 1
        kept = min(row.start, seen.length, common * BLOCK_TOKENS)
        self._shorten(row.slot, kept)
        for home, start, end in self._runs(row.block_table, kept, row.start):
            self._cells.tag(home, row.slot, start, end)
        self._seen[row.slot] = _Seen(row.block_table[: blocks_for(row.start)], row.start)

    def _runs(self, table: tuple[int, ...], start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(home, first, end) of the positions from `start` to `end`; neighbours with one home are one."""
        run: tuple[int, int, int] | None = None
        for index in range(start // BLOCK_TOKENS, blocks_for(end)):
            home = self._settled(table[index]).home
            first, last = max(start, index * BLOCK_TOKENS), min(end, (index + 1) * BLOCK_TOKENS)
            if run is not None and run[0] == home:
                run = (home, run[1], last)
                continue
            if run is not None:
                yield run
            run = (home, first, last)
        if run is not None and end > start:
            yield run

    def _shorten(self, slot: int, length: int) -> None:
        seen = self._seen[slot]
        if length < seen.length:
            self._cells.remove(slot, length, -1)
            self._seen[slot] = _Seen(seen.table[: blocks_for(length)], length)

    # --- homes ----------------------------------------------------------------------------------------------------------------

    def _settle(self, block: int, index: int, beside: int = -1) -> _Place:
        """A home for a block that has none: `beside` where that has room, so that a prefix is one run."""
        taken = self._taken[index]
        homes = (beside, *self._homes) if beside >= 0 else self._homes
        home = next((each for each in homes if each not in taken), -1)
        if home < 0:
            home = self._make_room(index)
        place = self._places[block] = _Place(index, home, used=self._step)
        taken[home] = block
        return place

    def _make_room(self, index: int) -> int:
        """Move the block at this index that was used longest ago to memory; its home."""
        block = min(self._taken[index].values(), key=lambda each: self._places[each].used)
        place = self._places[block]
        assert place.used < self._step, "more rows than homes"
        content = self.read(block)
        home = place.home
        self._leave_home(place)
        place.content = content
        return home

    def _settled(self, block: int) -> _Place:
        """The block's place, with a home."""
        place = self._places[block]
        return place if place.content is None else self._restore(block, place.content)

    def _restore(self, block: int, content: bytes | memoryview) -> _Place:
        first = self._cells.write(self._in, content)
        place = self._settle(block, first // BLOCK_TOKENS)
        self._cells.tag(self._in, place.home, first, first + BLOCK_TOKENS)
        self._cells.remove(self._in, 0, -1)
        return place

    def _leave_home(self, place: _Place) -> None:
        first = place.index * BLOCK_TOKENS
        self._cells.remove(place.home, first, first + BLOCK_TOKENS)
        del self._taken[place.index][place.home]
        place.home = -1


def waves(rows: Sequence[Row]) -> list[list[Row]]:
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
