"""Databases as they are found: no tables, hundreds, odd names, odd types, keys over several columns, views on nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portico_engine.grammar import compile_schema
from portico_servers.db.databases.databases import Databases
from portico_servers.db.errors import ArgumentError, DbError, ReadOnlyError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.sources import parse_sources
from portico_servers.db.statements.cancellation import Cancellation
from portico_servers.db.tools.query import answer_query
from portico_servers.db.tools.rows import answer_rows
from portico_servers.db.tools.tables import answer_describe, answer_tables

Open = Callable[[str], Databases]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Databases over a new SQLite file with these tables."""
    made: list[Databases] = []

    def make(script: str) -> Databases:
        path = tmp_path / f"odd{len(made)}.db"
        connection = sqlite3.connect(path)
        connection.executescript(script)
        connection.close()
        made.append(Databases(parse_sources([str(path)])))
        return made[-1]

    yield make
    for databases in made:
        databases.close()


def ask(databases: Databases, table: str, aggregate: str = "count", **rest: Any) -> list[list[Any]]:
    if "filters" in rest:
        rest["filters"] = [dict(zip(("column", "op", "value"), item, strict=True)) for item in rest["filters"]]
    found = answer_rows(databases, {"ask": {"table": table, "aggregate": aggregate, **rest}}, StatementLimits(), Cancellation())
    rows: list[list[Any]] = found.structured["rows"]
    return rows


def test_a_database_without_tables_says_so_and_its_schema_still_compiles(opened: Open) -> None:
    databases = opened("")
    assert answer_tables(databases, {}, StatementLimits(), Cancellation()).text == "no tables"
    assert compile_schema(databases.snapshot().rows_schema.input_schema).report.failed == ()
    with pytest.raises(ArgumentError, match="there are no tables"):
        ask(databases, "x")


def test_a_table_with_nothing_to_compare_can_be_counted(opened: Open) -> None:
    databases = opened("CREATE TABLE files (content BLOB); INSERT INTO files VALUES (x'00'), (x'01'); CREATE TABLE t (a TEXT)")
    assert ask(databases, "files") == [[2]]
    with pytest.raises(ArgumentError, match="none at all"):
        ask(databases, "files", "none", columns=["content"])
    assert compile_schema(databases.snapshot().rows_schema.input_schema).report.loosened == ()


def test_five_hundred_tables_are_listed_page_by_page_and_all_can_be_asked(opened: Open) -> None:
    script = "".join(f"CREATE TABLE t{i} (id INTEGER PRIMARY KEY, up INTEGER REFERENCES t{max(i - 1, 0)});" for i in range(500))
    databases = opened(script + "INSERT INTO t499 VALUES (1, NULL)")
    cursor, seen = None, 0
    while True:
        page = answer_tables(databases, {"cursor": cursor} if cursor else {}, StatementLimits(), Cancellation()).structured
        seen += len(page["tables"])
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == 500
    assert ask(databases, "t499") == [[1]]
    assert databases.snapshot().rows_schema.note == "columns are not listed: see describe"
    with pytest.raises(ArgumentError, match="did you mean t49"):
        ask(databases, "t4999")


NAMES = ["a b", "select", 'quo"te', "naïve £", "dot.ted", "x'y", "名前", "100%", "semi;colon"]


@pytest.mark.parametrize("name", [*NAMES, "new\nline"])
def test_any_name_of_a_table_and_of_a_column_can_be_asked_about(opened: Open, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    databases = opened(f"CREATE TABLE {quoted} ({quoted} TEXT, n INTEGER); INSERT INTO {quoted} VALUES ('one', 1), (NULL, 2)")
    assert ask(databases, name, "none", columns=[name]) == [["one"], [None]]
    assert ask(databases, name, filters=[(name, "=", "ONE")]) == [[1]]
    assert ask(databases, name, "sum", columns=["n"], group_by=name) == [[None, 2], ["one", 1]]
    assert answer_describe(databases, {"table": name}, StatementLimits(), Cancellation()).structured["sample"]["rows"] == [
        ["one", 1],
        [None, 2],
    ]
    assert compile_schema(databases.snapshot().rows_schema.input_schema).report.failed == ()


def test_names_that_differ_in_case_alone_are_told_apart_and_others_are_found_in_any_case(opened: Open) -> None:
    databases = opened('CREATE TABLE "Straße" (A TEXT); CREATE TABLE other ("Straße.A" TEXT)')
    assert answer_describe(databases, {"table": "STRASSE"}, StatementLimits(), Cancellation()).structured["name"] == "Straße"
    with pytest.raises(ArgumentError, match="did you mean A"):
        ask(databases, "Straße", "none", columns=["a"])


ERRORS_BY_NAME = """
CREATE TABLE made (a INTEGER, twice INTEGER GENERATED ALWAYS AS (a * 2) VIRTUAL, text TEXT AS (a || 'x') STORED);
INSERT INTO made (a) VALUES (3);
CREATE TABLE pairs (k1 TEXT, k2 INTEGER, v TEXT, PRIMARY KEY (k1, k2)) WITHOUT ROWID;
INSERT INTO pairs VALUES ('a', 1, 'x');
CREATE TABLE child (k1 TEXT, k2 INTEGER, n INT, FOREIGN KEY (k1, k2) REFERENCES pairs (k1, k2));
INSERT INTO child VALUES ('a', 1, 5), (NULL, 1, 6);
CREATE TABLE strict (i INT, r REAL, t TEXT, b BLOB, any ANY) STRICT; INSERT INTO strict VALUES (1, 2.5, 't', x'00ff', 'any');
CREATE VIEW seen AS SELECT n, k1 FROM child;
CREATE VIEW broken AS SELECT nope FROM missing;
CREATE TABLE orphan (id INTEGER PRIMARY KEY, p INTEGER REFERENCES gone (id)); INSERT INTO orphan VALUES (1, 7);
CREATE TABLE numbers (big INTEGER, wide REAL); INSERT INTO numbers VALUES (9223372036854775807, 9e999), (NULL, -9e999);
CREATE TABLE huge (t TEXT); INSERT INTO huge VALUES (printf('%.*c', 3000000, 'x'));
CREATE TABLE mixed (d DATE); INSERT INTO mixed VALUES ('2024-01-31'), ('some day');
"""


def test_generated_columns_and_strict_tables_are_columns_and_tables(opened: Open) -> None:
    databases = opened(ERRORS_BY_NAME)
    assert ask(databases, "made", "none") == [[3, 6, "3x"]]
    assert ask(databases, "made", "sum", columns=["twice"], filters=[("text", "=", "3X")]) == [[6]]
    assert ask(databases, "strict", "none") == [[1, 2.5, "t", "any"]]


def test_keys_over_several_columns_join_and_keys_to_nothing_do_not(opened: Open) -> None:
    databases = opened(ERRORS_BY_NAME)
    assert ask(databases, "child", group_by="pairs.v") == [[None, 1], ["x", 1]]
    assert ask(databases, "orphan", "none") == [[1, 7]]


def test_a_view_is_asked_like_a_table_and_one_on_nothing_is_an_error_of_its_own(opened: Open) -> None:
    databases = opened(ERRORS_BY_NAME)
    assert ask(databases, "seen", "sum", columns=["n"], group_by="k1") == [[None, 6], ["a", 5]]
    with pytest.raises(DbError, match=r"no such table: main\.missing"):
        ask(databases, "broken")


def test_numbers_beyond_json_huge_texts_and_dates_that_are_none_do_no_harm(opened: Open) -> None:
    databases = opened(ERRORS_BY_NAME)
    assert ask(databases, "numbers", "none") == [[9223372036854775807, "inf"], [None, "-inf"]]
    [[text]] = ask(databases, "huge", "none")
    assert len(text) < 5_000
    assert ask(databases, "mixed", filters=[("d", "=", "some day")]) == [[1]]


def test_nested_types_of_duckdb_are_shown_and_only_plain_ones_are_compared(tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "nested.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("""
            CREATE TYPE mood AS ENUM ('sad', 'it''s ok'); CREATE SCHEMA "odd side";
            CREATE TABLE nested (l INTEGER[], s STRUCT(a INTEGER), m MAP(VARCHAR, INTEGER), u UNION(i INTEGER, v VARCHAR),
              h HUGEINT, d DECIMAL(30, 5), mo mood, uu UUID, t TIMESTAMPTZ);
            INSERT INTO nested VALUES ([1, 2], {'a': 1}, MAP {'k': 1}, 'v', 170141183460469231731687303715884105727, 1.5, 'sad',
              '00000000-0000-0000-0000-000000000001', '2024-01-01 10:00:00+00');
            CREATE TABLE "odd side"."my t" (c VARCHAR); CREATE TABLE "odd side".nested (id INTEGER)
        """)
    databases = Databases(parse_sources([str(path)]))
    found = answer_query(databases, {"sql": "SELECT l, s, m, u FROM nested"}, StatementLimits(), Cancellation()).structured[
        "rows"
    ]
    assert found == [[[1, 2], {"a": 1}, {"k": 1}, "v"]]
    assert {field.path for field in databases.snapshot().rows_schema.column_refs["nested"]} == {
        "h",
        "d",
        "mo",
        "uu",
        "t",
        "t.year",
        "t.month",
    }
    assert ask(databases, "nested", filters=[("mo", "=", "sad"), ("h", ">", 5), ("t", "=", "2024-01")]) == [[1]]
    assert ask(databases, "odd side.my t") == ask(databases, "odd side.nested") == [[0]]
    databases.close()


ODD_POSTGRES = """
CREATE SCHEMA "Odd Side"; CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN positive AS INTEGER CHECK (VALUE > 0);
CREATE TABLE nested (m mood, p positive, r INT4RANGE, cost MONEY, at TIMESTAMPTZ, ip INET, js JSONB, num NUMERIC, c CHAR(5));
INSERT INTO nested VALUES ('sad', 3, '[1,3)', '5.5', '2024-01-31', '10.0.0.1', '{"k": 1}', 'NaN', 'ab'),
  ('ok', 4, NULL, '1.5', 'infinity', NULL, NULL, 1, NULL);
CREATE TABLE owner (id INT PRIMARY KEY, name TEXT); INSERT INTO owner VALUES (1, 'one');
CREATE TABLE "Odd Side"."My T" ("C d" TEXT, owner_id INT REFERENCES owner); INSERT INTO "Odd Side"."My T" VALUES ('v', 1);
CREATE MATERIALIZED VIEW kept AS SELECT m FROM nested; CREATE TABLE parts (k INT) PARTITION BY LIST (k);
CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1); INSERT INTO parts VALUES (1);
CREATE TABLE "UPPER" ("Id" INT, "id" INT); CREATE TABLE secret (s TEXT); GRANT USAGE ON SCHEMA "Odd Side" TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public, "Odd Side" TO reader; REVOKE ALL ON secret FROM reader;
"""


@pytest.fixture(scope="module")
def odd_postgres(postgres: str) -> Iterator[Databases]:
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE odd")
    dsn = postgres.removesuffix("postgres") + "odd"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(ODD_POSTGRES)
    databases = Databases(parse_sources([dsn.replace("//postgres@", "//reader@")]))
    yield databases
    databases.close()


def test_postgres_shows_other_schemas_by_their_names_and_nothing_that_the_role_may_not_read(odd_postgres: Databases) -> None:
    tables = list(odd_postgres.snapshot().tables)
    assert sorted(tables) == sorted(["nested", "owner", "Odd Side.My T", "parts", "UPPER", "kept"])
    assert ask(odd_postgres, "Odd Side.My T", "none") == [["v", 1, "one"]]
    assert ask(odd_postgres, "Odd Side.My T", group_by="owner.name") == [["one", 1]]
    assert ask(odd_postgres, "parts") == [[1]]
    assert ask(odd_postgres, "UPPER", "none", columns=["Id", "id"]) == []
    with pytest.raises(ReadOnlyError, match="permission denied"):
        answer_query(odd_postgres, {"sql": "SELECT * FROM secret"}, StatementLimits(), Cancellation())


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        (("m", "=", "sad"), 1),
        (("p", ">", 3), 1),
        (("cost", ">", 2), 1),
        (("at", "=", "2024-01"), 1),
        (("at", ">", "2024"), 1),
        (("ip", "contains", "10."), 1),
        (("c", "=", "AB"), 1),
        (("num", "<", 5), 1),
    ],
)
def test_postgres_compares_domains_money_infinite_dates_and_addresses(
    odd_postgres: Databases, condition: tuple[str, str, Any], count: int
) -> None:
    assert ask(odd_postgres, "nested", filters=[condition]) == [[count]]


def test_postgres_groups_by_parts_of_dates_that_may_be_infinite_and_leaves_ranges_to_sql(odd_postgres: Databases) -> None:
    assert ask(odd_postgres, "nested", "sum", columns=["cost"], group_by="at.month") == [["2024-01", 5.5], [None, 1.5]]
    assert {"r", "js"}.isdisjoint(field.path for field in odd_postgres.snapshot().rows_schema.column_refs["nested"])
