"""Sixty questions over three databases: the structured call gives what hand-written SQL gives, in every engine."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from portico_servers.db.databases.databases import Databases
from portico_servers.db.limits import StatementLimits
from portico_servers.db.sources import parse_sources
from portico_servers.db.statements.cancellation import Cancellation
from portico_servers.db.tools.rows import answer_rows

QUESTIONS = [
    json.loads(line)
    for line in (Path(__file__).parents[4] / "benchmarks/data/db_questions.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.fixture(scope="module", params=["sqlite", "duckdb", "postgres"])
def engines(
    request: pytest.FixtureRequest, samples: dict[str, Path], duckdb_samples: dict[str, Path]
) -> Iterator[dict[str, Databases]]:
    if request.param == "postgres":
        targets = request.getfixturevalue("postgres_samples")
    else:
        targets = samples if request.param == "sqlite" else duckdb_samples
    opened = {name: Databases(parse_sources([str(target)])) for name, target in targets.items()}
    yield opened
    for databases in opened.values():
        databases.close()


def test_there_are_sixty_different_questions_over_three_databases() -> None:
    assert len({item["question"] for item in QUESTIONS}) == 60
    assert {item["database"] for item in QUESTIONS} == {"shop", "music", "tracker"}


def test_the_structured_question_gives_what_sql_gives(engines: dict[str, Databases], samples: dict[str, Path]) -> None:
    wrong = []
    for item in QUESTIONS:
        databases = engines[item["database"]]
        with sqlite3.connect(samples[item["database"]]) as connection:
            expected = connection.execute(item["sql"]).fetchall()
        connection.close()
        asked = fitted(item["ask"], databases)
        found = answer_rows(databases, {"ask": asked}, StatementLimits(rows=1000), Cancellation()).structured["rows"]
        if comparable(found) != comparable(expected):
            wrong.append((item["question"], found[:3], expected[:3]))
        if not expected or expected in ([(0,)], [(None,)]):
            wrong.append((item["question"], "asks for nothing", expected))
    assert not wrong


def fitted(ask: dict[str, Any], databases: Databases) -> dict[str, Any]:
    """PostgreSQL folds unquoted names to lower case: the same question in its names."""
    if ask["table"] in databases.snapshot().tables:
        return ask
    lowered = json.loads(json.dumps(ask))
    for key in ("table", "group_by", "order_by"):
        if key in lowered:
            lowered[key] = lowered[key].lower()
    lowered["columns"] = [name.lower() for name in ask.get("columns", ())]
    if not lowered["columns"]:
        del lowered["columns"]
    for item in lowered.get("filters", ()):
        item["column"] = item["column"].lower()
    return dict(lowered)


def comparable(rows: Sequence[Sequence[Any]]) -> list[tuple[str, ...]]:
    """Rows as a multiset, numbers to nine digits: engines order ties differently, and add in another order. PostgreSQL's
    averages have more digits than a float: they come as text."""
    return sorted(tuple(_digits(cell) for cell in row) for row in rows)


def _digits(cell: Any) -> str:
    if isinstance(cell, str) and re.fullmatch(r"-?\d+\.\d+", cell):
        cell = float(cell)
    return f"{cell:.9g}" if isinstance(cell, int | float) else str(cell)
