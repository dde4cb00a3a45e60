"""Is a training set fit to be trained on? Rows without words, rows that repeat, calls of no tool, calls that no tool takes,
pairs of answers that have nothing to do with each other.

It counts and refuses; it mends nothing. A row's tools are those that it was made of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import jsonschema

from portico_engine.errors import EngineError
from portico_engine.tune.data.overlap import words
from portico_engine.tune.data.row_file import AnyRow, PairRow
from portico_engine.tune.data.said_calls import SaidCall, read_calls

MOST_FAULTY = 0.01  # of the rows
LEAST_ROWS = 500
_SHOWN = 160  # characters of an example

RowT = TypeVar("RowT", bound=AnyRow)


class UnfitData(EngineError):
    """A training set that isn't trained on; the message says what is wrong with how many of its rows."""


class RowChecks:
    """Lets the rows without fault through, and counts the others by what is wrong with them. `examples`: one of each fault."""

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self.rows = 0
        self._seen: set[int] = set()

    def sound(self, rows: Iterable[RowT]) -> Iterator[RowT]:
        """Those that may be trained on."""
        for row in rows:
            self.rows += 1
            fault = self._fault(row)
            if fault is None:
                yield row
            else:
                self.faults[fault] += 1
                self.examples.setdefault(fault, f"{row.question[:_SHOWN]!r} -> {' | '.join(_answers(row))[:_SHOWN]!r}")

    def refuse_unfit(self, *, small: bool = False) -> None:
        """Raises UnfitData where more than a hundredth is faulty, or where there are too few rows. `small`: few are meant."""
        count = self.faults.total()
        if count > MOST_FAULTY * self.rows:
            what = ", ".join(f"{n} {fault}" for fault, n in self.faults.most_common())
            raise UnfitData(f"{count} of {self.rows} rows are faulty ({what}); at most {MOST_FAULTY:.0%} may be: mend the data")
        if self.rows < LEAST_ROWS and not small:
            raise UnfitData(
                f"{self.rows} rows teach a model to repeat them; {LEAST_ROWS} is the least, unless few are meant (small)"
            )

    def _fault(self, row: AnyRow) -> str | None:
        answers = _answers(row)
        if not row.question.strip() or not all(answer.strip() for answer in answers):
            return "empty"
        known = hash((row.question, *answers, row.prompt[0]["content"]))
        if known in self._seen:
            return "twice"
        self._seen.add(known)
        fault = next(filter(None, (_fault_of_calls(answer, row) for answer in answers)), None)
        return fault or (_fault_of_pair(row) if isinstance(row, PairRow) else None)


def _answers(row: AnyRow) -> tuple[str, ...]:
    return (row.chosen, row.rejected) if isinstance(row, PairRow) else (row.completion,)


def _fault_of_calls(answer: str, row: AnyRow) -> str | None:
    if not answer.startswith(("{", "[")):
        return None
    calls = read_calls(answer)
    if isinstance(calls, str):
        return calls
    schemas = {tool.name: tool.parameters for tool in row.tools}
    for call in calls:
        if call.name not in schemas:
            return "of an unknown tool"
        if not satisfies(call.arguments, schemas[call.name]):
            return "a call that its tool doesn't take"
    return None


def _fault_of_pair(pair: PairRow) -> str | None:
    """Two calls that share neither the tool nor a word of their values answer different questions: which of them is better
    teaches nothing about either.
    """
    if pair.chosen == pair.rejected:
        return "a pair of the same answer"
    chosen, rejected = (read_calls(answer) if answer.startswith(("{", "[")) else [] for answer in (pair.chosen, pair.rejected))
    if isinstance(chosen, str) or isinstance(rejected, str):
        return "no call"
    if not chosen or not rejected:  # a call or none: that is a choice
        return (
            None if chosen or rejected or set(words(pair.chosen)) & set(words(pair.rejected)) else "a pair of unrelated answers"
        )
    same_tool = {call.name for call in chosen} & {call.name for call in rejected}
    return None if same_tool or _value_words(chosen) & _value_words(rejected) else "a pair of unrelated answers"


def _value_words(calls: Iterable[SaidCall]) -> set[str]:
    return {word for call in calls if isinstance(call.arguments, dict) for word in words(repr(list(call.arguments.values())))}


def satisfies(arguments: Any, schema: dict[str, Any]) -> bool:
    """Closed: a call with a key that its tool doesn't name is none."""
    properties = schema.get("properties") or {}
    if not isinstance(arguments, dict) or set(arguments) - set(properties):
        return False
    try:
        return bool(jsonschema.Draft202012Validator(schema).is_valid(arguments))
    except (jsonschema.SchemaError, jsonschema.exceptions.UnknownType):
        return True  # some published schemas are none: the engine loosens those, too
