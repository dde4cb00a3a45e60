"""A step as the scheduler puts it together: whose rows it has, and how a sequence's row is made of where it stands.

It owns rows, and what of a step under way still counts when it is finished; who has a part in a step is the scheduler's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from portico_engine.kv.block_table import BlockTable
from portico_engine.plan import KVOp, Row, StepPlan
from portico_engine.sequence import Sequence

_new = tuple.__new__  # a named tuple at once, in a third of the time: one is made of every sequence in every step
_FIRST = (0,)  # logits behind the first token


@dataclass(frozen=True, slots=True)
class ScheduledStep:
    """A plan, whose rows they are, and over which tables: a sequence that has another one by now lost its row."""

    plan: StepPlan
    sequences: tuple[Sequence, ...]
    tables: tuple[BlockTable | None, ...]

    def rows(self) -> Iterator[tuple[int, Sequence, Row]]:
        """Those that still count: each one's number, whose it is, and the row."""
        for i, (seq, row, table) in enumerate(zip(self.sequences, self.plan.rows, self.tables, strict=True)):
            if seq.table is table:
                yield i, seq, row

    def rows_again(self) -> list[Row | None]:
        """The rows, to be computed once more: what one follows is known by now. None for those that don't count any more."""
        rows: list[Row | None] = [None] * len(self.sequences)
        for i, seq, row in self.rows():
            rows[i] = row._replace(tokens=(seq.tokens[row.start],), follows=False) if row.follows else row
        return rows


@dataclass(slots=True)
class StepBatch:
    """Step number `step` as it comes together; `budget` are the tokens that are left of it."""

    step: int
    budget: int
    rows: list[Row] = field(default_factory=list)
    sequences: list[Sequence] = field(default_factory=list)

    def add(self, seq: Sequence, count: int, drafts: tuple[int, ...] = ()) -> None:
        """A row of the next `count` of its pending tokens, and guesses behind them. It has blocks for them."""
        table, start, tokens = seq.table, seq.known, seq.tokens
        assert table is not None
        if count == 1 and start + 1 == len(tokens) and not drafts:  # what most rows are
            sampling, place = seq.greedy or seq.sampling_state(), None if seq.adapter is None else seq.adapter.place
            row = _new(Row, (seq.slot, (tokens[start],), start, table.numbers, _FIRST, sampling, (), place, 0, False))
        else:
            row = _row(seq, count, drafts)
        seq.planned = self.step
        self.rows.append(row)
        self.sequences.append(seq)
        self.budget -= count + len(drafts)

    def scheduled(self, ops: tuple[KVOp, ...], running: list[Sequence]) -> ScheduledStep:
        """All of it, behind these operations on blocks, among all that run."""
        tables = tuple([seq.table for seq in self.sequences])
        skipped: tuple[int, ...] = ()
        if len(running) > len(self.rows):
            taken = {row.slot for row in self.rows}
            skipped = tuple(seq.slot for seq in running if seq.slot is not None and seq.slot not in taken)
        return ScheduledStep(StepPlan(tuple(self.rows), ops, skipped), tuple(self.sequences), tables)


def _row(seq: Sequence, count: int, drafts: tuple[int, ...]) -> Row:
    table, slot, start = seq.table, seq.slot, seq.known
    assert table is not None
    assert slot is not None
    if seq.awaited:
        return Row(slot, (0,), start, table.numbers, _FIRST, seq.sampling_state(), (), seq.place, follows=True)
    tokens = (seq.tokens[start],) if count == 1 else tuple(seq.tokens[start : start + count])
    if start + count < len(seq.tokens):
        return Row(slot, tokens, start, table.numbers, adapter=seq.place)
    sampling = seq.sampling_state()
    if drafts:
        wanted = tuple(range(count - 1, count + len(drafts)))
        near = sampling._replace(params=replace(sampling.params, logprobs=2))  # how near the second likeliest token is
        return Row(slot, (*tokens, *drafts), start, table.numbers, wanted, near, (), seq.place, len(drafts))
    return Row(slot, tokens, start, table.numbers, (count - 1,), sampling, (), seq.place)
