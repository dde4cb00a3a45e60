"""A run's rows: read, checked, divided into what is trained on and what is held out, as tokens.

No question is on both sides. What is left out is counted and shown, and a set with too much of it refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from portico_engine.tune.data.row_checks import RowChecks, UnfitData
from portico_engine.tune.data.row_file import AnyRow, PairRow, RatedRow, read_rows
from portico_engine.tune.data.rows import Row
from portico_engine.tune.preference.answers import TokenPair
from portico_engine.tune.rendering import ChatRenderer, TokenRow
from portico_engine.tune.runs.options import RunOptions, Say

HELD_OUT = 0.1  # of the questions
_MOST_HELD_OUT = 500

RowT = TypeVar("RowT", bound=AnyRow)


class Divided(NamedTuple):
    """Rows to train on and rows that are held out; `digest` is the file's."""

    train: list[AnyRow]
    held_out: list[AnyRow]
    digest: str


def run_rows(path: Path, *, small: bool, say: Say) -> Divided:
    """Raises BadRowFile, and UnfitData for a set that isn't trained on."""
    rows = read_rows(path)
    checks = RowChecks()
    sound = list(checks.sound(rows))
    for fault, count in checks.faults.most_common():
        say(f"left out: {count} {fault}, such as {checks.examples[fault]}")
    checks.refuse_unfit(small=small)
    held_out = _held_questions(sound)
    train = [row for row in sound if row.question not in held_out]
    if not train:
        raise UnfitData(f"{path} holds {len(sound)} rows of {len(held_out)} questions, none of which is left to train on")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    kept = [row for row in sound if row.question in held_out]
    say(f"{len(train)} rows to train on, {len(kept)} held out")
    return Divided(train, kept, digest)


def _held_questions(rows: Sequence[AnyRow]) -> set[str]:
    """By their digests, so that they are the same in every run, whatever is added beside them."""
    questions = {row.question for row in rows}
    by_digest = sorted(questions, key=lambda text: hashlib.sha256(text.encode()).digest())
    return set(by_digest[: min(_MOST_HELD_OUT, max(1, round(HELD_OUT * len(questions))))])


def of_kind(rows: Sequence[AnyRow], kind: type[RowT]) -> list[RowT]:
    """Those of one shape."""
    return [row for row in rows if isinstance(row, kind)]


class TokenRows:
    """Rows as tokens, without those that are too long, which are counted."""

    def __init__(self, options: RunOptions) -> None:
        self._renderer = ChatRenderer(options.model)
        self._longest = options.longest
        self._say = options.say

    def answers(self, rows: Sequence[Row]) -> list[TokenRow]:
        """Of supervised rows."""
        return self._fitting(
            [self._renderer.row(row.prompt, row.completion, row.given) for row in rows], lambda row: len(row.ids)
        )

    def pairs(self, rows: Sequence[PairRow]) -> list[TokenPair]:
        """Of pairs."""
        render = self._renderer.row
        made = [TokenPair(render(row.prompt, row.chosen), render(row.prompt, row.rejected)) for row in rows]
        return self._fitting(made, lambda pair: pair.length // 2)

    def rated(self, rows: Sequence[RatedRow]) -> list[tuple[TokenRow, bool]]:
        """Of rated rows."""
        made = [(self._renderer.row(row.prompt, row.completion), row.good) for row in rows]
        return self._fitting(made, lambda one: len(one[0].ids))

    def _fitting(self, made: Sequence[_T], length: Callable[[_T], int]) -> list[_T]:
        fitting = [one for one in made if length(one) <= self._longest]
        if len(fitting) < len(made):
            self._say(f"left out: {len(made) - len(fitting)} rows of more than {self._longest} tokens (--longest)")
        if made and not fitting:
            raise UnfitData(f"every row has more than {self._longest} tokens: give --longest, or offer fewer tools in a row")
        return fitting


_T = TypeVar("_T")
