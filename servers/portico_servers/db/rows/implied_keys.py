"""Foreign keys that only names tell: `orders.customer_id`, where a table `customers` has the key `id` or `customer_id`.

Many databases declare none. What is implied serves for finding columns by path; it is no claim that the rows are there, so the
joins stay outer ones. It knows neither JSON Schema nor SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from portico_servers.db.schema import Column, DatabaseSchema, ForeignKey, Table

_ENDING = re.compile(r"(?:_?id|_?code|_?no|_?key)$", re.IGNORECASE)


@lru_cache(maxsize=16)
def with_implied_keys(schema: DatabaseSchema) -> DatabaseSchema:
    """The schema with a foreign key for every column that is called like another table's key, and has none declared."""
    keyed = _by_subject(schema)
    return DatabaseSchema(
        tuple(replace(table, foreign_keys=(*table.foreign_keys, *_implied(table, keyed))) for table in schema.tables)
    )


def _by_subject(schema: DatabaseSchema) -> Mapping[str, list[tuple[Table, Column]]]:
    """By what a key of one column is about ("customer"): the tables that have it."""
    found: dict[str, list[tuple[Table, Column]]] = {}
    for table in schema.tables:
        keys = [column for column in table.columns if column.primary_key]
        if len(keys) == 1 and not table.view and not any(keys[0].name in key.columns for key in table.foreign_keys):
            for subject in {_singular(table.relation), _subject(keys[0].name)} - {""}:
                found.setdefault(subject, []).append((table, keys[0]))
    return found


def _implied(table: Table, keyed: Mapping[str, list[tuple[Table, Column]]]) -> Iterator[ForeignKey]:
    declared = {name for key in table.foreign_keys for name in key.columns}
    for column in table.columns:
        if column.name in declared or column.primary_key or not _ENDING.search(column.name):
            continue
        subject = _subject(column.name)
        parts = re.split(r"_", subject)
        for name in ["_".join(parts[n:]) for n in range(len(parts))]:
            fitting = [(t, key) for t, key in keyed.get(name, ()) if t is not table and key.kind == column.kind]
            if len({t.name for t, _ in fitting}) == 1:
                parent, key = fitting[0]
                yield ForeignKey((column.name,), parent.name, (key.name,))
                break


def _subject(column: str) -> str:
    """`customer_id` and `CustomerID` are about a customer."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column).lower()
    return _singular(_ENDING.sub("", words)) if _ENDING.search(words) else ""


def _singular(name: str) -> str:
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    if name.endswith("ies"):
        return name[:-3] + "y"
    if name.endswith(("sses", "xes", "ches", "shes")):
        return name[:-2]
    return name[:-1] if name.endswith("s") and not name.endswith(("ss", "us")) else name
