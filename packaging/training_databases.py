"""The databases of the training workspaces: invented tables in a notation of our own, and SQLite files of them.

    TABLE | plural, singular | COLUMN TYPE; COLUMN TYPE; ...

    TYPE    person, title, place, code or email: made-up texts; a/b/c: one of these; LOW..HIGH: a number; date
            yes: true or false        > TABLE: a key of that table        ? behind a type: some cells are empty

A column's `as` says what people call it, and `@` in what it is measured: `weight_kg 4..120 @weight as weight`. The databases
are in the text file beside this module; it owns the notation, and what is written into files. It knows no questions.
"""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

_GIVEN = (
    "Alma", "Bruno", "Clara", "Dario", "Edda", "Farid", "Greta", "Hugo", "Ilse", "Jonas", "Kaja", "Luis", "Mina", "Nils",
    "Oona", "Pavel", "Rosa", "Sven", "Tara", "Uwe", "Vera", "Wim", "Yara", "Zeno",
)  # fmt: skip
_FAMILY = (
    "Abbott", "Berg", "Costa", "Duarte", "Engel", "Fischer", "Garner", "Holm", "Ibarra", "Jansen", "Keller", "Lund", "Moreau",
    "Novak", "Okafor", "Petrov", "Quist", "Rossi", "Sato", "Tran", "Ueda", "Vogel", "Weber", "Yilmaz",
)  # fmt: skip
_PLACES = ("Lyon", "Ghent", "Turin", "Cadiz", "Bergen", "Krakow", "Graz", "Cork", "Tartu", "Split", "New Ross", "Le Havre")
_FIRST = ("Silent", "Blue", "Winter", "Golden", "Old", "Broken", "Little", "Hidden", "Red", "Northern", "Last", "Early")
_THEN = ("Harbour", "Garden", "Road", "Mirror", "River", "Tower", "Letter", "Orchard", "Bridge", "Lantern", "Meadow", "Window")


class Column(NamedTuple):
    """`holds` is the notation's type; `measure` in what a number is measured; `said` what people call it."""

    name: str
    holds: str
    measure: str
    said: str
    nullable: bool

    @property
    def kind(self) -> str:
        """key, text, number, date or boolean."""
        if self.holds.startswith(">"):
            return "key"
        if ".." in self.holds:
            return "number"
        return {"date": "date", "yes": "boolean"}.get(self.holds, "text")


class DatabaseTable(NamedTuple):
    """A table, and what one or several of its rows are called."""

    name: str
    plural: str
    singular: str
    columns: tuple[Column, ...]


_COLUMN = re.compile(
    r"(?P<name>\w+) (?P<holds>> \w+|.+?)(?: @(?P<measure>\w+))?(?P<nullable> \?)?(?: as (?P<said>[\w -]+))?",
)


def read_tables(notation: str) -> tuple[DatabaseTable, ...]:
    """Raises ValueError naming the column that is none."""
    return tuple(_table(line) for line in notation.strip().splitlines())


def _table(line: str) -> DatabaseTable:
    name, called, columns = (part.strip() for part in line.split("|"))
    plural, singular = called.split(", ")
    return DatabaseTable(name, plural, singular, tuple(_column(part.strip()) for part in columns.split(";")))


def _column(text: str) -> Column:
    found = _COLUMN.fullmatch(text)
    if found is None:
        raise ValueError(f"this is no column of the notation: {text}")
    said = found["said"] or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", found["name"]).replace("_", " ").lower()
    return Column(found["name"], found["holds"], found["measure"] or "", said, found["nullable"] is not None)


DATABASES: Mapping[str, tuple[DatabaseTable, ...]] = {
    name: read_tables(text)
    for name, _, text in (
        part.partition("]\n") for part in Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").split("\n[")[1:]
    )
}


def write_database(path: Path, tables: tuple[DatabaseTable, ...], rng: random.Random) -> list[dict[str, Any]]:
    """A SQLite file; and what of its tables questions are made of: names, what they are called, kinds, values. A parent's
    columns are there by path, as `rows` names them.
    """
    counts = {table.name: rng.randint(24, 60) for table in tables}
    database = sqlite3.connect(path)
    told: dict[str, dict[str, Any]] = {}
    for table in tables:
        declared = ", ".join(_declared(column) for column in table.columns)
        database.execute(f"CREATE TABLE {table.name} (id INTEGER PRIMARY KEY, {declared})")
        rows = list(_rows(table, counts, rng))
        database.executemany(f"INSERT INTO {table.name} VALUES ({', '.join('?' * (len(table.columns) + 1))})", rows)
        told[table.name] = _told(table, rows, told)
    database.commit()
    database.close()
    return list(told.values())


def _declared(column: Column) -> str:
    if column.kind == "key":
        return f"{column.name} INTEGER NOT NULL REFERENCES {column.holds[2:]}(id)"
    types = {"text": "TEXT", "number": "INTEGER", "date": "DATE", "boolean": "BOOLEAN"}
    return f"{column.name} {types[column.kind]}{'' if column.nullable else ' NOT NULL'}"


def _rows(table: DatabaseTable, counts: Mapping[str, int], rng: random.Random) -> Iterator[tuple[Any, ...]]:
    taken: set[Any] = set()
    for at in range(1, counts[table.name] + 1):
        yield (at, *(_cell(column, counts, taken, rng) for column in table.columns))


def _cell(column: Column, counts: Mapping[str, int], taken: set[Any], rng: random.Random) -> Any:
    """`taken`: made-up texts of the table, which come once, but for places."""
    if column.nullable and rng.random() < 0.4:
        return None
    if column.kind == "key":
        return rng.randint(1, counts[column.holds[2:]])
    if column.kind == "number":
        low, high = map(int, column.holds.split(".."))
        return rng.randint(low, high)
    if column.kind == "date":
        return f"{rng.randrange(2012, 2026)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
    if column.kind == "boolean":
        return int(rng.random() < 0.4)
    if column.holds not in _MADE:
        return rng.choice(column.holds.split("/"))
    value = _MADE[column.holds](rng)
    while value in taken and column.holds != "place":
        value = _MADE[column.holds](rng)
    taken.add(value)
    return value


_MADE: Mapping[str, Callable[[random.Random], str]] = {
    "person": lambda rng: f"{rng.choice(_GIVEN)} {rng.choice(_FAMILY)}",
    "title": lambda rng: f"{rng.choice(_FIRST)} {rng.choice(_THEN)}",
    "place": lambda rng: rng.choice(_PLACES),
    "code": lambda rng: f"{rng.choice('ABCDEFGHKLM')}{rng.choice('NPRSTVXZ')}-{rng.randrange(100, 999)}",
    "email": lambda rng: f"{rng.choice(_GIVEN)}.{rng.choice(_FAMILY)}{rng.randrange(99)}@example.org".lower(),
}


def _told(table: DatabaseTable, rows: list[tuple[Any, ...]], before: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    columns = {}
    for at, column in enumerate(table.columns, 1):
        values = sorted({row[at] for row in rows if row[at] is not None})
        shown = [values[i * len(values) // min(len(values), 24)] for i in range(min(len(values), 24))]
        if column.kind == "key":
            parent = before[column.holds[2:]]
            for name, of in parent["columns"].items():
                if "." not in name and not of["key"]:
                    columns[f"{parent['name']}.{name}"] = of | {"said": f"{of['said']}", "of": parent["singular"]}
            columns[column.name] = {
                "kind": "number",
                "said": column.said,
                "measure": "",
                "values": [],
                "nullable": False,
                "of": "",
                "key": True,
            }
        else:
            columns[column.name] = {
                "kind": column.kind, "said": column.said, "measure": column.measure, "values": shown,
                "nullable": column.nullable, "of": "", "key": False,
            }  # fmt: skip
    label = next((column.name for column in table.columns if column.holds in ("person", "title", "code")), "")
    return {"name": table.name, "plural": table.plural, "singular": table.singular, "label": label, "columns": columns,
            "people": any(column.name == label and column.holds == "person" for column in table.columns)}  # fmt: skip
