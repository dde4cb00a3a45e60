"""A workspace, told as data: the tools that its servers list, and what in it can be asked about.

`packaging/server_workspaces.py` writes it from running servers; it owns the form, and knows no questions.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from portico_engine.tool import Tool

HELD_OUT = 3  # workspaces, the last, that supervised training does not see: what is answered over them is new

Place = tuple[str, int]  # file and line


class Symbol(NamedTuple):
    """What a name in code is. `kind` is class, function, method or constant; `owner` a method's class; `about` the first
    sentence of its docstring; `raises` exceptions that it names, `defaults` parameters that have one; `uses` a place for each
    way in which it is used: called, raised, caught, subclassed, imported."""

    name: str
    kind: str
    file: str
    line: int = 1
    owner: str = ""
    about: str = ""
    raises: Sequence[str] = ()
    defaults: Sequence[str] = ()
    uses: Mapping[str, Place] = {}


class Topic(NamedTuple):
    """What a page tells of. `kind`: heading, term (what stands as code in the text), default, limit, version, aim ("to ..."),
    case ("if ..."), subject (of a sentence) or keywords; `said` what of it stands in a question, `text` the line that tells."""

    kind: str
    said: str
    page: str
    text: str = ""


class Column(NamedTuple):
    """`kind` is text, number, date or boolean; `said` what people call it, `of` whose it is where it is a parent's;
    `measure` what a number is (price, weight, ...); `key`: it only identifies."""

    kind: str
    said: str
    measure: str = ""
    values: Sequence[str | int] = ()
    nullable: bool = False
    of: str = ""
    key: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by the names that `rows` takes; `label` is the one that a row is called by, or empty, `people` whether it names
    a person."""

    name: str
    plural: str
    singular: str
    label: str
    columns: Mapping[str, Column]
    people: bool = False

    def of_kind(self, kind: str, *, own: bool = False) -> list[str]:
        """Names of columns that aren't keys; `own`: without parents'."""
        return [name for name, c in self.columns.items() if c.kind == kind and not c.key and not (own and c.of)]


@dataclass(frozen=True)
class Workspace:
    """What stands behind three servers."""

    tools: tuple[Tool, ...]
    symbols: tuple[Symbol, ...] = ()
    topics: tuple[Topic, ...] = ()
    tables: tuple[Table, ...] = ()

    def tool(self, name: str) -> Tool | None:
        """By its own name, whatever stands before it."""
        return next((tool for tool in self.tools if tool.name == name), None)

    @cached_property
    def times(self) -> Mapping[str, int]:
        """How often a name is defined in the code."""
        return Counter(symbol.name for symbol in self.symbols)

    @cached_property
    def topics_by_kind(self) -> Mapping[str, Sequence[Topic]]:
        """Kinds that the documentation has."""
        found: dict[str, list[Topic]] = {}
        for topic in self.topics:
            found.setdefault(topic.kind, []).append(topic)
        return found


def read_workspaces(path: Path) -> list[Workspace]:
    """What `packaging/server_workspaces.py` wrote."""
    return [
        Workspace(
            tuple(Tool(**tool) for tool in one["tools"]),
            tuple(_symbol(symbol) for symbol in one["symbols"]),
            tuple(Topic(**topic) for topic in one["topics"]),
            tuple(_table(table) for table in one["tables"]),
        )
        for one in json.loads(path.read_text(encoding="utf-8"))
    ]


def _symbol(told: Mapping[str, Any]) -> Symbol:
    return Symbol(**{**told, "uses": {use: (file, line) for use, (file, line) in told["uses"].items()}})


def _table(told: Mapping[str, Any]) -> Table:
    return Table(**{**told, "columns": {name: Column(**of) for name, of in told["columns"].items()}})
