"""Rows of one step in batches of which none depends on itself: llama.cpp writes and reads a batch at once. It owns no state."""

from __future__ import annotations

from collections.abc import Sequence

from portico_engine.plan import BLOCK_TOKENS, Row, blocks_for


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
