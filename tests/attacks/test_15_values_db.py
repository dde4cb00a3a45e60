"""portico-db shows values as they are: no number rounded, no count invented, nothing cut without a mark and a way on."""

from __future__ import annotations

import math
import re
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from portico_servers.db.databases.databases import Databases
from portico_servers.db.engines.base import json_value
from portico_servers.db.engines.duckdb import shortest_single
from portico_servers.db.limits import StatementLimits
from portico_servers.db.sources import parse_sources
from portico_servers.db.statements.cancellation import Cancellation
from portico_servers.db.tools import render
from portico_servers.db.tools.definition import ToolAnswer
from portico_servers.db.tools.query import answer_query
from portico_servers.db.tools.tables import answer_describe, answer_tables

pytestmark = pytest.mark.attack("15 values as they are")


def sqlite(path: Path, script: str = "") -> Databases:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return Databases(parse_sources([str(path)]))


def ask(databases: Databases, sql: str) -> ToolAnswer:
    return answer_query(databases, {"sql": sql}, StatementLimits(), Cancellation())


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Databases]:
    databases = sqlite(tmp_path / "new.db")
    yield databases
    databases.close()


@pytest.fixture
def duck(tmp_path: Path) -> Iterator[Databases]:
    duckdb.connect(str(tmp_path / "new.duckdb")).close()
    databases = Databases(parse_sources([str(tmp_path / "new.duckdb")]))
    yield databases
    databases.close()


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (123456789.12, "123456789.12"),
        (99999999999.99, "99999999999.99"),
        (12345678901.5, "12345678901.5"),
        (1722500000.123456, "1722500000.123456"),
        (1e11, "100000000000"),
        (5.0, "5"),
        (-0.25, "-0.25"),
        (0.1, "0.1"),
        (0.1 + 0.2, "0.30000000000000004"),
        (31638.000000004, "31638.000000004"),
        (1e300, "1e+300"),
        (2.0**53 - 1, "9007199254740991"),
        (5e-324, "5e-324"),
        (9223372036854775807, "9223372036854775807"),
        (10**30, str(10**30)),
    ],
)
def test_a_number_is_shown_in_the_shortest_form_that_reads_back_as_the_same(number: float, text: str) -> None:
    assert render.value(number) == text
    assert type(number)(float(text) if isinstance(number, float) else int(text)) == number


def test_a_sum_of_floats_is_shown_as_it_is_beside_the_number_that_it_is_near() -> None:
    assert render.computed(0.1 + 0.2) == "0.3 (as floats add up: 0.30000000000000004)"
    exact = [0.1, 1 / 3, 2, None, "x", math.inf, 5e-324]
    assert [render.computed(cell) for cell in exact] == exact


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("1.50", 1.5),
        ("12345678901234567890", "12345678901234567890"),
        ("0.123456789012345678", "0.123456789012345678"),
        ("0.1234567890123", 0.1234567890123),
        ("99999999999.99", 99999999999.99),
        ("3.1400000000000000000", 3.14),
        ("123456789012345678.91", "123456789012345678.91"),
    ],
)
def test_a_decimal_is_a_number_only_where_that_is_the_same(given: str, wanted: Any) -> None:
    assert json_value(Decimal(given)) == (wanted, True)


def test_the_text_of_a_query_rounds_nothing(empty: Databases) -> None:
    text = ask(empty, "select 123456789.12 as money, 99999999999.99 as revenue, 1722500000.123456 as epoch, 1e999 as big").text
    assert "| 123456789.12 | 99999999999.99 | 1722500000.123456 | inf |" in text


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("interval '1 month 2 days'", "1 month 2 days"),
        ("interval '1 year 3 hours'", "1 year 03:00:00"),
        ("interval '36 hours'", "36:00:00"),
        ("'infinity'::date", "infinity"),
        ("'-infinity'::date", "-infinity"),
        ("'infinity'::timestamp", "infinity"),
        ("'-infinity'::timestamp", "-infinity"),
        ("'infinity'::timestamptz", "infinity"),
        ("date '9999-12-31'", "9999-12-31"),
        ("date '0001-01-01'", "0001-01-01"),
        ("date '2026-01-31'", "2026-01-31"),
        ("'2020-01-01 00:00:00.123456789'::timestamp_ns", "2020-01-01 00:00:00.123456789"),
        ("[interval '1 month']", "['1 month']"),
        ("{'a': date 'infinity'}", "{'a': infinity}"),
        ("0.1::float", 0.1),
        ("null::interval", None),
        ("18446744073709551616::hugeint", 18446744073709551616),
    ],
)
def test_duckdbs_values_are_its_own_and_not_what_python_can_hold(duck: Databases, sql: str, wanted: Any) -> None:
    rows = ask(duck, f"select {sql} as a, 'beside' as a, 1.5::double as c").structured["rows"]
    assert [cell.replace("'", "") if isinstance(cell, str) else cell for cell in rows[0]] == [
        wanted.replace("'", "") if isinstance(wanted, str) else wanted,
        "beside",
        1.5,
    ]


def test_rows_that_are_asked_for_in_an_order_keep_it(duck: Databases) -> None:
    sql = "select i, to_months(i::int) as iv from range(50) as t(i) order by i % 7, i desc -- in this order;"
    rows = ask(duck, sql).structured["rows"]
    assert [row[0] for row in rows] == sorted(range(50), key=lambda i: (i % 7, -i))
    months = [f"{row[0] // 12} year{'s' * (row[0] // 12 != 1)}" for row in rows if row[0] and row[0] % 12 == 0]
    assert [row[1] for row in rows if row[0] and row[0] % 12 == 0] == months


def test_what_can_not_be_told_is_null_and_not_invented(duck: Databases) -> None:
    rows = ask(duck, "select random() as r, interval '1 month' as iv").structured["rows"]
    assert rows[0][1] is None


SPARSE = "create table orders(id integer primary key, v text); insert into orders values (2033735037361704962, 'a'), (7, 'b');"


def test_a_count_of_rows_is_counted_or_left_out(tmp_path: Path) -> None:
    large = "create table many(id integer primary key); with recursive n(i) as (select 20000 union all select i + 1 from n"
    databases = sqlite(
        tmp_path / "a.db",
        f"{SPARSE} create table none(a primary key) without rowid; {large} limit 5000) insert into many select i from n;",
    )
    summary = {
        t["name"]: t["rows"] for t in answer_tables(databases, {}, StatementLimits(), Cancellation()).structured["tables"]
    }
    assert summary == {"orders": 2, "none": 0, "many": None}
    text = answer_describe(databases, {"table": "orders"}, StatementLimits(), Cancellation()).text
    assert text.startswith("orders (table, about 2 rows)")
    databases.close()
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("analyze")
    databases = Databases(parse_sources([str(tmp_path / "a.db")]))
    tables = answer_tables(databases, {}, StatementLimits(), Cancellation()).structured["tables"]
    assert {t["name"]: t["rows"] for t in tables}["many"] == 5000
    databases.close()


FOX = "The quick brown fox jumps over the lazy dog and then continues to run through the forest"


def test_a_cell_that_fits_the_text_is_whole(empty: Databases) -> None:
    assert f"| {FOX} |" in ask(empty, f"select '{FOX}' as t").text


@pytest.mark.parametrize(("length", "rows"), [(1_500, 1), (300, 20), (5_000, 1), (90, 100)])
def test_who_reads_the_text_alone_is_told_how_to_read_the_rest_of_a_cell(empty: Databases, length: int, rows: int) -> None:
    cell = "".join(f"{n:04} " for n in range(length // 5))
    numbers = f"with recursive n(i) as (select 1 union all select i + 1 from n limit {rows})"
    text = ask(empty, f"{numbers} select '{cell}' as t from n").text
    assert len(text) <= render.TEXT_CHARACTERS
    if len(cell) > 90:
        at = int(re.findall(r"\(… marks a cut cell: substr\(column, (\d+), 900\)", text)[0])
        shown = re.findall(r"^\| (\d.*)… \|$", text, re.MULTILINE)[0]
        assert shown == cell[: at - 1]
        following = ask(empty, f"select substr('{cell}', {at}, 900) as t").text
        assert cell[at - 1 : at + 899].strip() in following
    if rows > 1:
        left, offset = re.findall(r"\((\d+) more rows of this answer: read on with LIMIT and OFFSET (\d+)", text)[0]
        assert int(left) + int(offset) == rows


def test_every_table_is_seen_by_the_cursors_of_the_text_alone(tmp_path: Path) -> None:
    script = "".join(f"create table table_{n}(first_column text, second_column text);" for n in range(150))
    databases = sqlite(tmp_path / "a.db", script)
    seen: list[str] = []
    cursor = None
    for _ in range(50):
        text = answer_tables(databases, {"cursor": cursor} if cursor else {}, StatementLimits(), Cancellation()).text
        assert len(text) <= render.TEXT_CHARACTERS
        seen += re.findall(r"^(table_\d+)", text, re.MULTILINE)
        cursor = next(iter(re.findall(r"cursor (\d+)\)", text)), None)
        if cursor is None:
            break
    assert seen == [f"table_{n}" for n in range(150)]
    databases.close()


def test_a_table_of_many_columns_says_how_many_are_left_out(tmp_path: Path) -> None:
    columns = ", ".join(f"column_number_{n} text" for n in range(200))
    databases = sqlite(tmp_path / "a.db", f"create table wide({columns});")
    text = answer_describe(databases, {"table": "wide"}, StatementLimits(), Cancellation()).text
    shown = text.count("\n- ")
    assert f"(+{200 - shown} more columns: a query of SELECT * with LIMIT 1 names them)" in text
    databases.close()


@pytest.mark.parametrize("number", [0.1, 16777216.0, 3.4028234663852886e38, 1.1754943508222875e-38, 1e-45, -2.5, 1 / 3, 0.0])
def test_a_single_float_is_the_shortest_number_that_is_the_same_in_32_bits(number: float) -> None:
    (single,) = struct.unpack("f", struct.pack("f", number))
    short = shortest_single(single)
    assert struct.pack("f", short) == struct.pack("f", single)
    assert len(repr(short)) <= len(repr(single))
    assert repr(shortest_single(float("inf"))) == "inf"
