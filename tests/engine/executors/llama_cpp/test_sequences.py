"""Blocks over sequences, on a cache of cells that only knows sequence ids and positions, as llama.cpp's does."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from portico_engine.executors.llama_cpp.batches import independent_batches
from portico_engine.executors.llama_cpp.sequences import SequenceBlocks
from portico_engine.plan import BLOCK_TOKENS, Copy, Row, blocks_for


@dataclass
class Cell:
    position: int
    value: int
    sequences: set[int]


class FakeCache:
    """See `SequenceCache`. As llama.cpp does, it takes the lowest free cells."""

    def __init__(self) -> None:
        self.cells: dict[int, Cell] = {}
        self.reads = 0
        self.loads = 0

    def place(self, position: int, value: int, sequence: int) -> None:
        free = next(i for i in range(len(self.cells) + 1) if i not in self.cells)
        self.cells[free] = Cell(position, value, {sequence})

    def held(self, sequence: int) -> dict[int, int]:
        found = [cell for cell in self.cells.values() if sequence in cell.sequences]
        assert len({cell.position for cell in found}) == len(found), "two cells of one position"
        return {cell.position: cell.value for cell in found}

    def order(self, sequence: int) -> list[int]:
        """Positions by cell; every cell up to the last one must be the sequence's."""
        assert sorted(self.cells) == list(range(len(self.cells)))
        assert all(sequence in cell.sequences for cell in self.cells.values())
        return [self.cells[i].position for i in range(len(self.cells))]

    def _between(self, sequence: int, first: int, end: int) -> list[Cell]:
        held = [cell for cell in self.cells.values() if sequence in cell.sequences]
        return [cell for cell in held if cell.position >= first and (end < 0 or cell.position < end)]

    def seq_rm(self, sequence: int, first: int, end: int) -> None:
        for cell in self._between(sequence, first, end):
            cell.sequences.discard(sequence)
        self.cells = {i: cell for i, cell in self.cells.items() if cell.sequences}

    def seq_cp(self, source: int, target: int, first: int, end: int) -> None:
        for cell in self._between(source, first, end):
            cell.sequences.add(target)

    def seq_get_state(self, sequence: int) -> memoryview:
        self.reads += 1
        return memoryview(pickle.dumps(sorted(self.held(sequence).items())))

    def seq_set_state(self, sequence: int, content: bytes | memoryview) -> None:
        assert not self.held(sequence)
        self.loads += 1
        for position, value in pickle.loads(content):
            self.place(position, value, sequence)


def run(
    cells: FakeCache, sequences: SequenceBlocks, rows: list[Row], skipped: tuple[int, ...] = ()
) -> dict[int, dict[int, int]]:
    """A step, as the executor makes it: by slot, what its row's last token sees."""
    seen: dict[int, dict[int, int]] = {}
    running = {*skipped, *(row.slot for row in rows)}
    for batch in independent_batches(rows):
        sequences.prepare(batch, running)
        for row in batch:
            for position, token in enumerate(row.tokens, row.start):
                assert max(cells.held(row.slot), default=-1) == position - 1, "llama.cpp wants positions in order"
                cells.place(position, token, row.slot)
            seen[row.slot] = cells.held(row.slot)
        sequences.commit(batch)
        sequences.check_integrity(len(cells.cells), max(cells.cells, default=-1) + 1)
    return seen


def fail(cells: FakeCache, sequences: SequenceBlocks, rows: list[Row], how_far: int) -> None:
    """A step that ends before, in the middle of, or behind the first batch's tokens."""
    batch = independent_batches(rows)[0] if rows else []
    sequences.prepare(batch, {row.slot for row in rows})
    for row in batch[: how_far or None] if how_far else []:
        for position, _ in enumerate(row.tokens[: how_far * 9], row.start):
            cells.place(position, 7, row.slot)
    sequences.abandon(batch)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_row_sees_its_tokens_and_nothing_else(data: st.DataObject) -> None:
    cells = FakeCache()
    sequences = SequenceBlocks(cells, slots=3, n_blocks=data.draw(st.sampled_from((20, 40))))
    content: dict[int, tuple[int, ...]] = {}  # by block: all tokens up to its end
    free = list(range(40))
    for step in range(data.draw(st.integers(1, 40))):
        sequences.next_step()
        for block in data.draw(st.lists(st.sampled_from(sorted(content)), unique=True, max_size=2)) if content else []:
            sequences.drop(block)
            del content[block]
            free.append(block)
        rows: list[Row] = []
        for slot in range(data.draw(st.integers(1, 3))):
            start = data.draw(st.integers(0, 2)) * BLOCK_TOKENS
            tokens = tuple(data.draw(st.lists(st.integers(0, 1), min_size=start + 1, max_size=start + 40)))
            row = _row(slot, tokens, content, free, sequences, data, rows)
            if row is not None:
                rows.append(row)
        if data.draw(st.booleans()):
            fail(cells, sequences, rows, data.draw(st.integers(0, 2)))
        seen = run(cells, sequences, rows, data.draw(st.sampled_from(((), (0,), (0, 1, 2)))))
        for row in rows:
            assert seen[row.slot] == dict(enumerate(content[row.block_table[-1]])), step
    assert cells.held(3) == cells.held(4) == {}


def _row(
    slot: int,
    tokens: tuple[int, ...],
    content: dict[int, tuple[int, ...]],
    free: list[int],
    sequences: SequenceBlocks,
    data: st.DataObject,
    before: list[Row],
) -> Row | None:
    """A row for these tokens over every block that holds a beginning of them, and new ones for the rest; sometimes the tail is
    a copy of the beginning of another block."""
    table: list[int] = []
    for end in range(BLOCK_TOKENS, len(tokens), BLOCK_TOKENS):  # the last token is always computed
        block = next((b for b, held in content.items() if held == tokens[:end]), None)
        if block is None:
            break
        table.append(block)
    start = len(table) * BLOCK_TOKENS
    need = blocks_for(len(tokens)) - len(table)
    if len(free) < need + 1:
        return None
    new = [free.pop() for _ in range(need)]
    written = {block for row in before for block in row.block_table[row.start // BLOCK_TOKENS :]}
    alike = [
        (b, held) for b, held in content.items() if b not in written and len(held) > start and held[:start] == tokens[:start]
    ]
    alike = [(b, held) for b, held in alike if blocks_for(len(held)) == len(table) + 1 and held[start] == tokens[start]]
    if alike and len(tokens) > start + 1 and data.draw(st.booleans()):
        block, held = alike[0]
        n = 1
        while start + n < min(len(held), len(tokens) - 1) and held[start + n] == tokens[start + n]:
            n += 1
        sequences.copy(Copy(block, new[0], n))
        start += n
    table += new
    for i, block in enumerate(table):
        content.setdefault(block, tokens[: (i + 1) * BLOCK_TOKENS])
    return Row(slot, tokens[start:], start, tuple(table))


def text(seed: int, length: int) -> tuple[int, ...]:
    return tuple(100 * seed + i for i in range(length))


def test_a_sequence_that_begins_alone_has_its_cells_in_order_whatever_ran_before() -> None:
    cells = FakeCache()
    sequences = SequenceBlocks(cells, slots=2, n_blocks=40)
    first, second = text(1, 40), text(2, 50)
    sequences.next_step()
    run(cells, sequences, [Row(0, first, 0, (0, 1, 2)), Row(1, second, 0, (3, 4, 5, 6))])
    sequences.next_step()
    run(cells, sequences, [Row(0, (7,), 40, (0, 1, 2)), Row(1, (8,), 50, (3, 4, 5, 6))])
    for slot, table, known in ((0, (3, 4, 5, 20), second[:48]), (1, (0, 1, 21), first[:32]), (0, (0, 22), first[:16])):
        sequences.next_step()
        seen = run(cells, sequences, [Row(slot, (5, 6), len(known), table)])
        assert seen[slot] == dict(enumerate((*known, 5, 6)))
        assert cells.order(slot) == list(range(len(known) + 2))


def test_a_prefix_that_the_next_one_shares_stays_where_it_is() -> None:
    cells = FakeCache()
    sequences = SequenceBlocks(cells, slots=2, n_blocks=40)
    prefix = text(1, 64)
    sequences.next_step()
    run(cells, sequences, [Row(0, (*prefix, 1, 2), 0, (0, 1, 2, 3, 4))])
    for i in range(3):
        sequences.next_step()
        run(cells, sequences, [Row(1 - i % 2, (3, 4), 64, (0, 1, 2, 3, 5 + i))])
        assert cells.order(1 - i % 2) == list(range(66))
    assert cells.loads == 0


def test_what_runs_no_more_leaves_the_cache_and_comes_back() -> None:
    cells = FakeCache()
    sequences = SequenceBlocks(cells, slots=3, n_blocks=200)
    old, runs = text(1, 1600), text(2, 16)
    sequences.next_step()
    run(cells, sequences, [Row(0, old, 0, tuple(range(100)))])
    sequences.next_step()
    run(cells, sequences, [Row(1, runs, 0, (100,)), Row(2, runs, 0, (150,))], (0,))
    assert len(cells.cells) == 1632
    for i in range(40):
        sequences.next_step()
        run(cells, sequences, [Row(1, (i,), 16 + i, (100, 101, 102, 103)), Row(2, (i,), 16 + i, (150, 151, 152, 153))])
    assert max(cells.cells) < 300, "nothing lies beyond the gap that it left"
    sequences.next_step()
    again = run(cells, sequences, [Row(0, (9,), 1600, (*range(100), 199))], (1, 2))
    assert again[0] == dict(enumerate((*old, 9)))


def test_a_sequence_that_has_no_row_in_a_step_keeps_its_cells() -> None:
    cells = FakeCache()
    sequences = SequenceBlocks(cells, slots=2, n_blocks=40)
    sequences.next_step()
    run(cells, sequences, [Row(0, text(1, 40), 0, (0, 1, 2))])
    for i in range(40):
        sequences.next_step()
        run(cells, sequences, [Row(1, (i,), i, (3, 4, 5))], (0,))
    assert cells.held(0) == dict(enumerate(text(1, 40)))
    assert cells.reads == cells.loads == 0


def test_more_than_there_are_cells_for_is_kept() -> None:
    cells = FakeCache()
    sequences = SequenceBlocks(cells, slots=4, n_blocks=6)
    for i in range(12):
        sequences.next_step()
        run(cells, sequences, [Row(i % 4, text(i, 33), 0, (3 * i, 3 * i + 1, 3 * i + 2))], (3 - i % 4,) if i % 3 else ())
        assert len(cells.cells) <= 7 * BLOCK_TOKENS
    for i in range(12):
        sequences.next_step()
        seen = run(cells, sequences, [Row(0, (5,), 32, (3 * i, 3 * i + 1, 60 + i))])
        assert seen[0] == dict(enumerate((*text(i, 32), 5)))


def test_a_saved_block_comes_back_at_its_positions() -> None:
    cells = FakeCache()
    sequences = SequenceBlocks(cells, slots=2, n_blocks=20)
    tokens = tuple(range(33))
    sequences.next_step()
    run(cells, sequences, [Row(0, tokens, 0, (0, 1, 2))])
    sequences.next_step()
    saved = [sequences.read(block) for block in (0, 1)]
    for block in (0, 1, 2):
        sequences.drop(block)
    assert cells.cells == {}
    sequences.next_step()
    for block, content in zip((7, 8), saved, strict=True):
        sequences.write(block, content)
    seen = run(cells, sequences, [Row(1, tokens[32:], 32, (7, 8, 9))])
    assert seen[1] == dict(enumerate(tokens))
