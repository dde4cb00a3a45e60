"""Is a training set fit to be trained on? Rows without words, rows that repeat, calls of no tool, calls that no tool takes.

It counts and refuses; it mends nothing. A row's tools are those that it was made of.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jsonschema

from portico_engine.errors import EngineError
from portico_engine.tool import Tool
from portico_engine.tune.data.rows import Row

MOST_FAULTY = 0.01  # of the rows
LEAST_ROWS = 500


class UnfitData(EngineError):
    """A training set that isn't trained on; the message says what is wrong with how many of its rows."""


class RowChecks:
    """Lets the rows without fault through, and counts the others by what is wrong with them."""

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()
        self.rows = 0
        self._seen: set[int] = set()

    def sound(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Those that may be trained on."""
        for row in rows:
            self.rows += 1
            fault = self._fault(row)
            if fault is None:
                yield row
            else:
                self.faults[fault] += 1

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

    def _fault(self, row: Row) -> str | None:
        if not row.prompt or not row.prompt[-1]["content"].strip() or not row.completion.strip():
            return "empty"
        known = hash((row.prompt[-1]["content"], row.completion, row.prompt[0]["content"]))
        if known in self._seen:
            return "twice"
        self._seen.add(known)
        return _fault_of_calls(row.completion, row.tools)


def _fault_of_calls(completion: str, tools: Sequence[Tool]) -> str | None:
    if not completion.startswith(("{", "[")):
        return None
    try:
        said = json.loads(completion)
    except ValueError:
        return "no JSON"
    schemas = {tool.name: tool.parameters for tool in tools}
    for call in said if isinstance(said, list) else [said]:
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            return "no call"
        if call["name"] not in schemas:
            return "of an unknown tool"
        if not _satisfies(call.get("arguments"), schemas[call["name"]]):
            return "a call that its tool doesn't take"
    return None


def _satisfies(arguments: Any, schema: dict[str, Any]) -> bool:
    """Closed: a call with a key that its tool doesn't name is none."""
    properties = schema.get("properties") or {}
    if not isinstance(arguments, dict) or set(arguments) - set(properties):
        return False
    try:
        return bool(jsonschema.Draft202012Validator(schema).is_valid(arguments))
    except (jsonschema.SchemaError, jsonschema.exceptions.UnknownType):
        return True  # some published schemas are none: the engine loosens those, too
