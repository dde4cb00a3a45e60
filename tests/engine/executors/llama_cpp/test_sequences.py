"""Blocks over sequences, on a cache of cells that only knows sequence ids and positions, as llama.cpp's does."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from portico_engine.executors.llama_cpp.sequences import SequenceBlocks, independent_batches
from portico_engine.plan import BLOCK_TOKENS, Copy, Row, blocks_for


@dataclass
class Cell:
    position: int
    value: int
    sequences: set[int] = field(default_factory=set)


class FakeCache:
    """See `SequenceCache`."""

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.reads = 0

    def held(self, sequence: int) -> dict[int, int]:
        found = [cell for cell in self.cells if sequence in cell.sequences]
        assert len({cell.position for cell in found}) == len(found), "two cells of one position"
        return {cell.position: cell.value for cell in found}

    def _between(self, sequence: int, first: int, end: int) -> list[Cell]:
        return [c for c in self.cells if sequence in c.sequences and c.position >= first and (end < 0 or c.position < end)]

    def seq_rm(self, sequence: int, first: int, end: int) -> None:
        for cell in self._between(sequence, first, end):
            cell.sequences.discard(sequence)
        self.cells = [cell for cell in self.cells if cell.sequences]

    def seq_cp(self, source: int, target: int, first: int, end: int) -> None:
        for cell in self._between(source, first, end):
            cell.sequences.add(target)

    def seq_get_state(self, sequence: int) -> bytes:
        self.reads += 1
        return pickle.dumps(sorted(self.held(sequence).items()))

    def seq_set_state(self, sequence: int, content: bytes | memoryview) -> int:
        assert not self.held(sequence)
        values = pickle.loads(content)
        self.cells += [Cell(position, value, {sequence}) for position, value in values]
        return int(values[0][0])


def run(cells: FakeCache, sequences: SequenceBlocks, rows: list[Row]) -> dict[int, dict[int, int]]:
    """A step, as the executor makes it: by slot, what its row's last token sees."""
    seen: dict[int, dict[int, int]] = {}
    for batch in independent_batches(rows):
        sequences.prepare(batch)
        for row in batch:
            for position, token in enumerate(row.tokens, row.start):
                assert max(cells.held(row.slot), default=-1) == position - 1, "llama.cpp wants positions in order"
                cells.cells.append(Cell(position, token, {row.slot}))
            seen[row.slot] = cells.held(row.slot)
        sequences.commit(batch)
    return seen


def fail(cells: FakeCache, sequences: SequenceBlocks, rows: list[Row], how_far: int) -> None:
    """A step that ends before, in the middle of, or behind the first batch's tokens."""
    batch = independent_batches(rows)[0] if rows else []
    sequences.prepare(batch)
    for row in batch[: how_far or None] if how_far else []:
        cells.cells += [Cell(position, 7, {row.slot}) for position, _ in enumerate(row.tokens[: how_far * 9], row.start)]
    if how_far == 2:
        sequences.commit(batch[:1])
    sequences.abandon(batch)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_row_sees_its_tokens_and_nothing_else(data: st.DataObject) -> None:
    cells = FakeCache()
    sequences = SequenceBlocks(cells, slots=3, homes=7)  # so few that blocks are moved out
    content: dict[int, tuple[int, ...]] = {}  # by block: all tokens up to its end
    free = list(range(40))
    for step in range(data.draw(st.integers(1, 12))):
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
        seen = run(cells, sequences, rows)
        for row in rows:
            assert seen[row.slot] == dict(enumerate(content[row.block_table[-1]])), step
    assert cells.held(10) == cells.held(11) == {}


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


def test_blocks_of_one_position_beyond_the_homes_are_moved_out_and_come_back() -> None:
    cells = FakeCache()
    sequences = SequenceBlocks(cells, slots=1, homes=3)
    texts = [tuple(100 * i + j for j in range(BLOCK_TOKENS + 1)) for i in range(6)]
    for i, text in enumerate(texts):
        sequences.next_step()
        run(cells, sequences, [Row(0, text, 0, (2 * i, 2 * i + 1))])
    assert cells.reads > 0
    for i, text in enumerate(texts):
        sequences.next_step()
        seen = run(cells, sequences, [Row(0, text[16:], 16, (2 * i, 20))])
        assert seen[0] == dict(enumerate(text))


def test_a_saved_block_comes_back_at_its_positions() -> None:
    cells = FakeCache()
    sequences = SequenceBlocks(cells, slots=2, homes=4)
    text = tuple(range(33))
    sequences.next_step()
    run(cells, sequences, [Row(0, text, 0, (0, 1, 2))])
    sequences.next_step()
    saved = [sequences.read(block) for block in (0, 1)]
    for block in (0, 1, 2):
        sequences.drop(block)
    assert cells.cells == []
    sequences.next_step()
    for block, content in zip((7, 8), saved, strict=True):
        sequences.write(block, content)
    seen = run(cells, sequences, [Row(1, text[32:], 32, (7, 8, 9))])
    assert seen[1] == dict(enumerate(text))
