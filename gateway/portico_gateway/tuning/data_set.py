"""`portico tune data`: rows from the audit log and from tool lists, checked, shown, and written where a run takes them.

A source's rows stand in files by shape: `sft.jsonl`, `pairs.jsonl`, `rated.jsonl`. Nothing is written before `DataSet.write`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from portico_engine import Tool
from portico_engine.tune.data.overlap import Overlap
from portico_engine.tune.data.row_checks import RowChecks
from portico_engine.tune.data.row_file import AnyRow, PairRow, RatedRow, write_rows
from portico_engine.tune.data.rows import Row
from portico_engine.tune.data.tool_questions import Origin, questions_over
from portico_gateway.safe_output.inert import inert_line
from portico_gateway.tuning.call_log import LoggedCall
from portico_gateway.tuning.log_rows import log_rows
from portico_gateway.tuning.masking import shortened
from portico_gateway.tuning.prompts import serve_system

FILES = {"sft": "sft.jsonl", "pairs": "pairs.jsonl", "rated": "rated.jsonl"}
_SHOWN = 5  # rows of each shape

RowT = TypeVar("RowT", bound=AnyRow)


@dataclass(slots=True)
class DataSet:
    """What would be written, and what is said of it."""

    supervised: list[Row] = field(default_factory=list)
    pairs: list[PairRow] = field(default_factory=list)
    rated: list[RatedRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add_log(self, calls: Sequence[LoggedCall], tools: Sequence[Tool], *, seed: int, passed_over: Counter[str]) -> None:
        """Calls of the log, masked."""
        made = log_rows(calls, tools, seed=seed)
        self.supervised += made.supervised
        self.pairs += made.pairs
        self.rated += made.rated
        for why, count in (passed_over + made.left_out).most_common():
            self.notes.append(f"left out: {count} calls {why}")
        for kind, count in made.masking.counts.most_common():
            self.notes.append(f"masked: {kind}, {count} times")
        for value, stand_in in made.masking.replaced.items():
            self.notes.append(f"  {shortened(value)} is written {stand_in}")

    def add_tools(self, tools: Sequence[Tool], origin: Origin, count: int, *, seed: int, **shares: float) -> None:
        """Questions made of tool lists; `shares` are `questions_over`'s."""
        self.supervised += list(questions_over(tools, serve_system, count, seed=seed, origin=origin, **shares))

    def check(self, *, without: Sequence[str], small: bool) -> None:
        """Leave out what is faulty, and what is like the questions of an evaluation. Raises UnfitData."""
        overlap = Overlap(without)
        self.supervised = self._sound(self.supervised, overlap, small=small or bool(self.pairs or self.rated))
        self.pairs = self._sound(self.pairs, overlap, small=True)
        self.rated = self._sound(self.rated, overlap, small=True)

    def _sound(self, rows: Sequence[RowT], overlap: Overlap, *, small: bool) -> list[RowT]:
        if not rows:
            return []
        checks = RowChecks()
        sound = list(checks.sound(rows))
        for fault, count in checks.faults.most_common():
            self.notes.append(f"left out: {count} {fault}, such as {checks.examples[fault]}")
        checks.refuse_unfit(small=small)
        apart = [row for row in sound if overlap.found(row.question) is None]
        if len(apart) < len(sound):
            self.notes.append(f"left out: {len(sound) - len(apart)} rows that share eight words in a row with an evaluation's")
        return apart

    def shown(self) -> list[str]:
        """Notes, then some rows of each shape, as a person reads them."""
        lines = list(self.notes)
        for name, rows in self._by_shape().items():
            if rows:
                lines.append(f"{FILES[name]}: {len(rows)} rows, such as")
                lines += [f"  {inert_line(_in_words(row))}" for row in _spread(rows, _SHOWN)]
        return lines

    def write(self, folder: Path) -> dict[str, int]:
        """Files by shape, with how many rows each, and a card that says where they are from. An older file of a shape that is
        empty now goes."""
        written = {}
        for name, rows in self._by_shape().items():
            if rows:
                written[FILES[name]] = write_rows(folder / FILES[name], rows)
            else:
                (folder / FILES[name]).unlink(missing_ok=True)
        counts = Counter(f"{row.origin} ({row.licence})" for rows in self._by_shape().values() for row in rows)
        card: dict[str, Any] = {"files": written, "by_origin": dict(counts.most_common()), "notes": self.notes}
        (folder / "data.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return written

    def _by_shape(self) -> dict[str, Sequence[AnyRow]]:
        return {"sft": self.supervised, "pairs": self.pairs, "rated": self.rated}


def _in_words(row: AnyRow) -> str:
    match row:
        case PairRow():
            return f"{row.question} -> {row.chosen}, not {row.rejected}"
        case RatedRow():
            return f"{row.question} -> {row.completion} ({'kept' if row.good else 'refused'})"
        case Row():
            return f"{row.question} -> {row.completion}"


def _spread(rows: Sequence[AnyRow], count: int) -> Iterable[AnyRow]:
    return rows[:: max(1, len(rows) // count)][:count]
