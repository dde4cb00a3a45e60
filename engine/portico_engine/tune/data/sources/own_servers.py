"""Questions over our three servers as they stand over somebody's workspace, with all of their tools at hand.

A workspace is told as data: the tools that its servers list, and what is in it (names that its code defines, headings and terms
of its documentation, tables with columns and some values). `packaging/server_workspaces.py` writes that from running servers. A
search is given the question itself, since our servers take whole questions; a call that its tool doesn't take is left out.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from portico_engine.tool import Tool
from portico_engine.tune.data.example import Call, Example
from portico_engine.tune.data.row_checks import satisfies
from portico_engine.tune.data.sources.server_phrases import CODE, DATA, DOCS, ROUGH_SHARE, roughly

_ORIGIN = ("our servers", "Apache-2.0")
_TRIES = 20  # questions that are made for one that is new


class Symbol(NamedTuple):
    """What a name in code is: `kind` is class, function, method or constant."""

    name: str
    kind: str
    file: str


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by name, each text, number or date; and some values of text columns."""

    name: str
    columns: Mapping[str, str]
    values: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Workspace:
    """`headings` and `terms` (what stands as code in the text) are the documentation's."""

    tools: tuple[Tool, ...]
    symbols: tuple[Symbol, ...]
    headings: tuple[str, ...]
    terms: tuple[str, ...]
    tables: tuple[Table, ...]

    def tool(self, name: str) -> Tool | None:
        """By its own name, whatever stands before it."""
        return next((tool for tool in self.tools if tool.name == name), None)


def read_workspaces(path: Path) -> list[Workspace]:
    """What `packaging/server_workspaces.py` wrote."""
    return [
        Workspace(
            tuple(Tool(**tool) for tool in one["tools"]),
            tuple(Symbol(*symbol) for symbol in one["symbols"]),
            tuple(one["headings"]),
            tuple(one["terms"]),
            tuple(Table(**table) for table in one["tables"]),
        )
        for one in json.loads(path.read_text(encoding="utf-8"))
    ]


def server_examples(workspaces: Sequence[Workspace], rng: random.Random, each: int) -> Iterator[Example]:
    """So many questions a workspace and server, fewer where it doesn't hold enough; all of its tools are offered."""
    for workspace in workspaces:
        for ask in (_about_code, _about_documentation, _about_data):
            asked: set[str] = set()
            for _ in range(each):
                found = next((made for _ in range(_TRIES) if (made := ask(workspace, rng)) and made[0] not in asked), None)
                if found is not None:
                    asked.add(found[0])
                    question, call = found
                    yield Example(question, (call,), *_ORIGIN, domain="own servers", offered=workspace.tools)


_Asked = tuple[str, Call] | None


def _call(workspace: Workspace, name: str, question: str, arguments: Mapping[str, Any], rng: random.Random) -> _Asked:
    """The call with a question as a person may write it; None where the tool isn't there, or doesn't take it."""
    tool = workspace.tool(name)
    said = roughly(question, rng) if rng.random() < ROUGH_SHARE else question
    filled = {key: said.rstrip("?!. ") if value is _QUESTION else value for key, value in arguments.items()}
    return (said, Call(tool, filled)) if tool is not None and satisfies(filled, tool.parameters) else None


_QUESTION: Any = object()  # in place of an argument: the question itself


def _about_code(workspace: Workspace, rng: random.Random) -> _Asked:
    if not workspace.symbols:
        return None
    symbol = rng.choice(workspace.symbols)
    kind, text = rng.choice([(kind, text) for kind, texts in CODE.items() for text in texts])
    words = {"name": symbol.name, "words": symbol.name.strip("_").replace("_", " "), "kind": symbol.kind, "file": symbol.file}
    arguments: dict[str, Mapping[str, Any]] = {
        "find_symbol": {"name": symbol.name},
        "find_references": {"name": symbol.name},
        "outline": {"path": symbol.file},
        "search": {"query": _QUESTION},
    }
    return _call(workspace, f"code__{kind}", text.format(**words), arguments[kind], rng)


def _about_documentation(workspace: Workspace, rng: random.Random) -> _Asked:
    kinds = [kind for kind, there in (("heading", workspace.headings), ("term", workspace.terms)) if there]
    if not kinds:
        return None
    kind = rng.choice(kinds)
    said = rng.choice(workspace.headings if kind == "heading" else workspace.terms)
    said = said[:1].lower() + said[1:] if kind == "heading" and rng.random() < 0.8 and not said[:2].isupper() else said
    return _call(workspace, "docs__search", rng.choice(DOCS[kind]).format(said), {"query": _QUESTION}, rng)


def _about_data(workspace: Workspace, rng: random.Random) -> _Asked:
    if not workspace.tables:
        return None
    table = rng.choice(workspace.tables)
    kind = rng.choice([kind for kind in DATA for _ in range(_OFTEN.get(kind, 2))])
    made = _ASKS[kind](table, rng)
    if made is None:
        return None
    words, ask = made
    question = rng.choice(DATA[kind]).format(**{"table": table.name.replace("_", " ")} | words)
    if kind in ("tables", "describe"):
        return _call(workspace, f"db__{kind}", question, {} if kind == "tables" else {"table": table.name}, rng)
    return _call(workspace, "db__rows", question, {"ask": {"table": table.name, **ask}}, rng)


_OFTEN = {"tables": 1, "describe": 1}  # times that a kind is drawn for two of another
_Words = tuple[dict[str, str], dict[str, Any]] | None


def _column(table: Table, kind: str, rng: random.Random) -> str | None:
    found = [name for name, of in table.columns.items() if of == kind and not name.endswith("id")]
    return rng.choice(found) if found else None


def _aggregated(aggregate: str) -> Callable[[Table, random.Random], _Words]:
    def ask(table: Table, rng: random.Random) -> _Words:
        column = _column(table, "number", rng)
        return None if column is None else ({"column": _words(column)}, {"aggregate": aggregate, "columns": [column]})

    return ask


def _value(table: Table, rng: random.Random) -> tuple[str, str] | None:
    found = [(column, value) for column, values in table.values.items() for value in values]
    return rng.choice(found) if found else None


def _counted_where(table: Table, rng: random.Random) -> _Words:
    found = _value(table, rng)
    if found is None:
        return None
    filters = [{"column": found[0], "op": "=", "value": found[1]}]
    return {"column": _words(found[0]), "value": found[1]}, {"aggregate": "count", "filters": filters}


def _looked_up(table: Table, rng: random.Random) -> _Words:
    named = next((name for name in table.values if name in ("name", "title")), None)
    others = [column for column in table.columns if column != named and not column.endswith("id")]
    if named is None or not others:
        return None
    column, value = rng.choice(others), rng.choice(table.values[named])
    filters = [{"column": named, "op": "=", "value": value}]
    return {"column": _words(column), "value": value}, {"aggregate": "none", "columns": [column], "filters": filters}


def _ordered(order: str, kind: str) -> Callable[[Table, random.Random], _Words]:
    def ask(table: Table, rng: random.Random) -> _Words:
        column = _column(table, kind, rng)
        if column is None:
            return None
        return {"column": _words(column)}, {"aggregate": "none", "order_by": column, "order": order, "limit": 1}

    return ask


def _grouped(table: Table, rng: random.Random) -> _Words:
    column = _column(table, "text", rng)
    return None if column is None else ({"column": _words(column)}, {"aggregate": "count", "group_by": column})


def _words(column: str) -> str:
    return column.replace("_", " ").replace(".", " ")


_ASKS: Mapping[str, Callable[[Table, random.Random], _Words]] = {
    "count": lambda table, rng: ({}, {"aggregate": "count"}),
    "list": lambda table, rng: ({}, {"aggregate": "none"}),
    "average": _aggregated("avg"),
    "total": _aggregated("sum"),
    "most": _ordered("desc", "number"),
    "least": _ordered("asc", "number"),
    "newest": _ordered("desc", "date"),
    "oldest": _ordered("asc", "date"),
    "where": _counted_where,
    "value": _looked_up,
    "grouped": _grouped,
    "tables": lambda table, rng: ({}, {}),
    "describe": lambda table, rng: ({}, {}),
}
