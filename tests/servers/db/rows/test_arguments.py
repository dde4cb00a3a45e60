"""Arguments against the live schema: what is wrong is named, and what would be right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portico_servers.db.databases.databases import Databases
from portico_servers.db.errors import ArgumentError
from portico_servers.db.rows.arguments import resolve_query
from portico_servers.db.sources import parse_sources


@pytest.fixture(scope="module")
def shop(samples: dict[str, Path]) -> Iterator[Databases]:
    databases = Databases(parse_sources([str(samples["shop"])]))
    yield databases
    databases.close()


def filters(column: Any, op: Any, value: Any) -> dict[str, Any]:
    return {"table": "orders", "aggregate": "count", "filters": [{"column": column, "op": op, "value": value}]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "ask"),
        ({"ask": 1}, "ask"),
        ({"ask": {"table": "orders", "aggregate": "count"}, "more": 1}, "ask"),
        ({"ask": {"aggregate": "count"}}, "'table' is missing"),
        ({"ask": {"table": "ordres", "aggregate": "count"}}, "did you mean orders"),
        ({"ask": {"table": "orders"}}, "'aggregate' is missing"),
        ({"ask": {"table": "orders", "aggregate": "total"}}, "aggregate"),
        ({"ask": {"table": "orders", "aggregate": "count", "where": []}}, "unknown key 'where'"),
        ({"ask": {"table": "orders", "aggregate": "sum"}}, "needs columns"),
        ({"ask": {"table": "orders", "aggregate": "count", "columns": ["total"]}}, "count takes no columns"),
        ({"ask": {"table": "orders", "aggregate": "none", "group_by": "status"}}, "group_by needs an aggregate"),
        ({"ask": {"table": "orders", "aggregate": "sum", "columns": ["status"]}}, "total"),
        ({"ask": {"table": "orders", "aggregate": "sum", "columns": ["id"]}}, "number columns"),
        ({"ask": {"table": "orders", "aggregate": "none", "columns": ["ttl"]}}, "did you mean total"),
        ({"ask": {"table": "orders", "aggregate": "none", "columns": "total"}}, "must be a list"),
        ({"ask": {"table": "orders", "aggregate": "none", "columns": []}}, "columns"),
        ({"ask": {"table": "orders", "aggregate": "count", "group_by": "customer.name"}}, "did you mean customers.name"),
        ({"ask": {"table": "orders", "aggregate": "none", "limit": 0}}, "from 1 to 1000"),
        ({"ask": {"table": "orders", "aggregate": "none", "limit": "5"}}, "limit"),
        ({"ask": {"table": "orders", "aggregate": "none", "order": "up"}}, "order"),
        ({"ask": filters("status", "=", "payed")}, "did you mean paid"),
        ({"ask": filters("status", "contains", "paid")}, "filters/op"),
        ({"ask": filters("total", "contains", 1)}, "filters/op"),
        ({"ask": filters("total", "=", "1")}, "number value"),
        ({"ask": filters("total", "=", True)}, "number value"),
        ({"ask": filters("customers.name", "=", 1)}, "text value"),
        ({"ask": filters("placed_at.year", "=", "2024")}, "filter 'placed_at' itself"),
        ({"ask": filters("nothing", "=", 1)}, "filters/column"),
        ({"ask": {"table": "orders", "aggregate": "count", "filters": [{"column": "total"}]}}, "{column, op, value}"),
        ({"ask": {**filters("total", ">", 1), "filters": filters("total", ">", 1)["filters"] * 5}}, "filters"),
        ({"ask": {"table": ["orders"], "aggregate": "count"}}, "table"),
    ],
)
def test_what_is_wrong_is_named(shop: Databases, arguments: dict[str, Any], words: str) -> None:
    snapshot = shop.snapshot()
    with pytest.raises(ArgumentError) as caught:
        resolve_query(arguments, snapshot.rows_schema, snapshot.tables)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_columns_that_a_bounded_schema_does_not_list_can_still_be_named(samples: dict[str, Path]) -> None:
    from portico_servers.db.rows.input_schema import build_rows_schema

    databases = Databases(parse_sources([str(samples["tracker"])]))
    snapshot = databases.snapshot()
    loose = build_rows_schema(tuple(snapshot.tables.values()), budget=100)
    ask = {"table": "issues", "aggregate": "count", "filters": [{"column": "reporter.login", "op": "=", "value": "anna"}]}
    named, question = resolve_query({"ask": ask}, loose, snapshot.tables)
    assert (named.name, question.filters[0].field.path) == ("issues", "reporter.login")
    with pytest.raises(ArgumentError, match=r"did you mean reporter\.login"):
        resolve_query({"ask": {**ask, "group_by": "reporter.logn"}}, loose, snapshot.tables)
    databases.close()
