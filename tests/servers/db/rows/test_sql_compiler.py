"""From questions to SQL: quoting, joins, dates, case, and the reading of odd requests. Every statement also runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portico_servers.db.databases.databases import Databases
from portico_servers.db.errors import ArgumentError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.rows.dates import parse_period
from portico_servers.db.sources import parse_sources
from portico_servers.db.statements.cancellation import Cancellation
from portico_servers.db.tools.rows import answer_rows

ODD = '''
CREATE TABLE "Order" ("Id" INTEGER PRIMARY KEY, "Group" TEXT, "two words" TEXT, "say ""hi""" INTEGER,
  boss INTEGER REFERENCES "Order");
INSERT INTO "Order" VALUES (1, 'Äpfel', '50% off', 3, NULL), (2, 'birnen', '50x off', 4, 1), (3, 'Birnen', 'a_b', 5, 1);
CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, home_id INTEGER REFERENCES places, work_id INTEGER REFERENCES places);
CREATE TABLE places (id INTEGER PRIMARY KEY, town TEXT);
INSERT INTO places VALUES (1, 'Rome'), (2, 'Oslo');
INSERT INTO people VALUES (1, 'Ann', 1, 2), (2, 'Bob', 2, 2), (3, 'Cid', NULL, 1);
CREATE TABLE events (id INTEGER PRIMARY KEY, at TEXT);
INSERT INTO events VALUES (1, '2023-12-31T23:59:59'), (2, '2024-01-01T00:00:00');
INSERT INTO events VALUES (3, '2024-02-29T12:30:15'), (4, '2025-01-01T00:00:00');
'''


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    path = tmp_path_factory.mktemp("odd") / "odd.db"
    connection = sqlite3.connect(path)
    connection.executescript(ODD)
    connection.close()
    databases = Databases(parse_sources([str(path)]))
    yield databases
    databases.close()


def ask(databases: Databases, table: str, aggregate: str = "none", **rest: Any) -> dict[str, Any]:
    if "filters" in rest:
        rest["filters"] = [dict(zip(("column", "op", "value"), item, strict=True)) for item in rest["filters"]]
    answer = answer_rows(
        databases, {"ask": {"table": table, "aggregate": aggregate, **rest}}, StatementLimits(), Cancellation()
    )
    return answer.structured


def test_reserved_and_odd_names_are_quoted_and_plain_ones_are_not(odd: Databases) -> None:
    found = ask(odd, "Order", columns=["Id", "two words", 'say "hi"'], filters=[('say "hi"', ">", 3)])
    assert found["sql"] == 'SELECT Id, "two words", "say ""hi""" FROM "Order" WHERE "say ""hi""" > ? LIMIT 50'
    assert found["params"] == [3]
    assert found["rows"] == [[2, "50x off", 4], [3, "a_b", 5]]


@pytest.mark.parametrize(
    ("op", "value", "ids"),
    [
        ("=", "BIRNEN", [2, 3]),
        ("=", "ÄPFEL", [1]),
        ("=", "äpfel", [1]),
        ("!=", "birnen", [1]),
        ("contains", "PFE", [1]),
        ("contains", "Ä", [1]),
        ("starts with", "bir", [2, 3]),
    ],
)
def test_text_matches_whatever_the_case_beyond_ascii_too(odd: Databases, op: str, value: str, ids: list[int]) -> None:
    assert [row[0] for row in ask(odd, "Order", columns=["Id"], filters=[("Group", op, value)])["rows"]] == ids


@pytest.mark.parametrize(("part", "ids"), [("50%", [1]), ("a_", [3]), ("%", [1]), ("_", [3]), ("\\", [])])
def test_wildcards_in_a_value_mean_themselves(odd: Databases, part: str, ids: list[int]) -> None:
    assert [row[0] for row in ask(odd, "Order", columns=["Id"], filters=[("two words", "contains", part)])["rows"]] == ids


def test_a_value_is_bound_and_never_becomes_sql(odd: Databases) -> None:
    evil = "x' OR 1=1; DROP TABLE people; --"
    found = ask(odd, "people", "count", filters=[("name", "=", evil)])
    assert found["rows"] == [[0]]
    assert evil not in found["sql"]
    assert found["params"] == [evil]


def test_two_keys_to_one_parent_are_told_apart_by_their_columns(odd: Databases) -> None:
    found = ask(odd, "people", columns=["name", "home.town", "work.town"], order_by="name")
    assert found["columns"] == ["name", "home.town", "work.town"]
    assert found["rows"] == [["Ann", "Rome", "Oslo"], ["Bob", "Oslo", "Oslo"], ["Cid", None, "Rome"]]


def test_a_table_that_refers_to_itself_is_joined_under_another_name(odd: Databases) -> None:
    found = ask(odd, "Order", columns=["Id", "boss.two words"], filters=[("boss.two words", "=", "50% off")])
    assert found["rows"] == [[2, "50% off"], [3, "50% off"]]


def test_a_list_without_columns_shows_what_each_parent_is_called(odd: Databases) -> None:
    found = ask(odd, "people", limit=1)
    assert found["columns"] == ["id", "name", "home_id", "work_id", "home.town", "work.town"]


@pytest.mark.parametrize(
    ("op", "value", "ids"),
    [
        ("=", "2024", [2, 3]),
        ("!=", "2024", [1, 4]),
        ("=", "2024-02", [3]),
        ("=", "2024-02-29", [3]),
        ("=", "2024-02-29 12:30", [3]),
        ("=", "2024-02-29T12:30", [3]),
        (">", "2024", [4]),
        (">=", "2024", [2, 3, 4]),
        ("<", "2024", [1]),
        ("<=", "2024-01", [1, 2]),
        (">", "2024-02-29 12:29", [3, 4]),
        ("<", "2024-02-29 12:30", [1, 2]),
        ("<=", "9999", [1, 2, 3, 4]),
        ("=", None, []),
    ],
)
def test_a_date_stands_for_its_whole_year_month_day_or_minute(odd: Databases, op: str, value: str, ids: list[int]) -> None:
    assert [row[0] for row in ask(odd, "events", columns=["id"], filters=[("at", op, value)])["rows"]] == ids


@pytest.mark.parametrize("value", ["2024-13", "2024-02-30", "24", "2024-1-1", "yesterday", "2024-01-01 25:00", ""])
def test_what_is_no_date_is_refused_with_what_would_be_right(odd: Databases, value: str) -> None:
    with pytest.raises(ArgumentError, match=r"not a date|does not match"):
        ask(odd, "events", "count", filters=[("at", "=", value)])


def test_the_last_year_of_the_calendar_has_no_end() -> None:
    assert parse_period("9999").end is None
    assert parse_period("9999-12-31").end is None


def test_groups_come_largest_first_and_the_other_way_round_when_asked(odd: Databases) -> None:
    found = ask(odd, "people", "count", group_by="work.town")
    assert found["rows"] == [["Oslo", 2], ["Rome", 1]]
    assert ask(odd, "people", "count", group_by="work.town", order="asc")["rows"] == [["Rome", 1], ["Oslo", 2]]
    assert ask(odd, "people", "count", group_by="work.town", order_by="work.town", order="desc")["rows"][0][0] == "Rome"
    years = ask(odd, "events", "count", group_by="at.year", order_by="at.year")["rows"]
    assert years == [["2023", 1], ["2024", 2], ["2025", 1]]


def test_a_group_that_is_counted_lists_its_different_values(odd: Databases) -> None:
    found = ask(odd, "people", "count", group_by="work.town", order_by="work.town")
    assert [row[0] for row in found["rows"]] == ["Oslo", "Rome"]


def test_columns_are_added_up_counted_and_compared(odd: Databases) -> None:
    found = ask(odd, "Order", "sum", columns=['say "hi"'])
    assert found["rows"] == [[12]]
    assert ask(odd, "people", "count_distinct", columns=["home_id"])["rows"] == [[2]]
    assert ask(odd, "people", "min", columns=["name"])["rows"] == [["Ann"]]


def test_no_match_answers_with_the_nearest_values(samples: dict[str, Path]) -> None:
    databases = Databases(parse_sources([str(samples["shop"])]))
    found = ask(databases, "orders", "count", filters=[("customers.country", "=", "Germny")])
    assert found["rows"] == [[0]]
    assert "Germany" in found["note"]
    assert ask(databases, "orders", "count", filters=[("customers.country", "=", "Germany")])["note"] is None
    nothing = ask(databases, "products", columns=["name"], filters=[("name", "contains", "Oka")])
    assert nothing["rows"] == []
    assert "Oak One" in nothing["note"]
    databases.close()
