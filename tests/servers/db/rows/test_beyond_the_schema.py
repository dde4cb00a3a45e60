"""What `rows` takes beyond what its schema lists: parents' parents, counts of children, columns to compare with, lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.servers.db.questions.clinic import write_clinic

from portico_servers.db.databases.databases import Databases
from portico_servers.db.errors import ArgumentError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.rows.column_refs import every_column_ref
from portico_servers.db.rows.implied_keys import with_implied_keys
from portico_servers.db.sources import parse_sources
from portico_servers.db.statements.cancellation import Cancellation
from portico_servers.db.tools.rows import answer_rows


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    databases = Databases(parse_sources([str(write_clinic(tmp_path_factory.mktemp("clinic")))]))
    yield databases
    databases.close()


def ask(databases: Databases, table: str, aggregate: str = "none", *filters: tuple[str, str, Any], **rest: Any) -> Any:
    conditions = [dict(zip(("column", "op", "value"), item, strict=True)) for item in filters]
    arguments = {"table": table, "aggregate": aggregate, **({"filters": conditions} if conditions else {}), **rest}
    return answer_rows(databases, {"ask": arguments}, StatementLimits(), Cancellation())


def rows(databases: Databases, table: str, aggregate: str = "none", *filters: tuple[str, str, Any], **rest: Any) -> Any:
    return ask(databases, table, aggregate, *filters, **rest).structured["rows"]


def test_a_parents_parent_is_named_by_its_path(clinic: Databases) -> None:
    assert rows(clinic, "visits", "count", ("patients.towns.countries.name", "=", "Brazil")) == [[2]]


def test_the_children_of_a_row_are_counted_where_there_are_none_too(clinic: Databases) -> None:
    assert rows(clinic, "patients", "none", columns=["name", "visits.count"]) == [["Elin", 2], ["Fay", 2], ["Gil", 0]]
    assert rows(clinic, "patients", "none", ("visits.count", "=", 0), columns=["name"]) == [["Gil"]]
    assert rows(clinic, "patients", "count", ("visits.count", ">", 1)) == [[2]]
    most = rows(clinic, "doctors", "none", columns=["first_name"], order_by="visits.count", order="desc", limit=1)
    assert most == [["Ada"]]


def test_a_column_is_compared_with_another_and_with_an_average(clinic: Databases) -> None:
    assert rows(clinic, "visits", "none", ("held", ">", {"column": "due"}), columns=["id"]) == [[1]]
    dear = ("fee", ">", {"aggregate": "avg", "column": "fee"})
    answer = ask(clinic, "visits", "count", dear)
    assert answer.structured["rows"] == [[2]]
    assert answer.text == "visits where fee > average fee: count = 2"


def test_a_percentage_is_told_with_both_numbers_and_of_what_it_is(clinic: Databases) -> None:
    cured = ("outcome", "=", "cured")
    answer = ask(clinic, "visits", "percent", cured)
    assert answer.structured["columns"] == ["percent", "count", "of"]
    assert answer.structured["rows"] == [[50.0, 2, 4]]
    ada = {"column": "doctors.first_name", "op": "=", "value": "Ada"}
    answer = ask(clinic, "visits", "percent", ("minutes", ">", 20), of=[ada])
    assert answer.structured["rows"] == [[50.0, 1, 2]]
    assert answer.text == "visits where minutes > 20 (of those where doctors.first_name = Ada): percent = 50, count = 1, of = 2"
    assert rows(clinic, "visits", "percent", cured, of=[{"column": "fee", "op": ">", "value": 999}]) == [[None, 0, 0]]


def test_seconds_since_1970_are_a_date_to_compare_to_show_and_to_group_by(clinic: Databases) -> None:
    assert rows(clinic, "patients", "none", ("registered_at", "=", "2024"), columns=["name"]) == [["Fay"], ["Gil"]]
    assert rows(clinic, "patients", "none", ("id", "=", 1), columns=["registered_at"]) == [["2023-01-01 00:00:00"]]
    assert rows(clinic, "patients", "count", group_by="registered_at.year") == [["2024", 2], ["2023", 1]]
    assert rows(clinic, "patients", "max", columns=["registered_at"]) == [["2024-06-01 00:00:00"]]


def test_the_most_of_a_parents_count_finds_its_rows(clinic: Databases) -> None:
    most = ("doctors.visits.count", "=", {"aggregate": "max", "column": "doctors.visits.count"})
    assert rows(clinic, "visits", "none", most, columns=["id"]) == [[1], [3]]


def test_one_of_several_values_is_enough(clinic: Databases) -> None:
    answer = ask(clinic, "visits", "count", ("outcome", "in", ["cured", "MISSED"]))
    assert answer.structured["rows"] == [[3]]
    assert answer.text == "visits where outcome = cured or MISSED: count = 3"


def test_groups_of_several_columns_and_different_values(clinic: Databases) -> None:
    found = rows(clinic, "visits", "count", group_by=["doctors.first_name", "outcome"])
    assert sorted(map(str, found)) == sorted(map(str, [["Ada", "cured", 2], [None, "missed", 1], ["Ben", "referred", 1]]))
    assert sorted(rows(clinic, "visits", "distinct", columns=["outcome"])) == [["cured"], ["missed"], ["referred"]]


@pytest.mark.parametrize(
    ("aggregate", "filters", "rest", "words"),
    [
        ("count", [("fee", ">", {"column": "outcome"})], {}, "can't be compared"),
        ("count", [("fee", ">", {"column": "fees"})], {}, "is not one of"),
        ("count", [("fee", ">", {"aggregate": "sum", "column": "fee"})], {}, "is not one of"),
        ("count", [("fee", ">", {"sql": "1"})], {}, "must be {column}"),
        ("count", [("held", ">", {"aggregate": "avg", "column": "held"})], {}, "no average"),
        ("count", [("outcome", "in", [])], {}, "list of 1 to"),
        ("count", [("outcome", "in", "cured")], {}, "must be a list"),
        ("count", [("fee", "in", [1, "x"])], {}, "number value"),
        ("distinct", [], {}, "distinct needs columns"),
        ("percent", [], {}, "percent needs filters"),
        ("percent", [("fee", ">", 1)], {"columns": ["fee"]}, "takes neither columns"),
        ("count", [], {"of": [{"column": "fee", "op": ">", "value": 1}]}, "of goes with percent alone"),
        ("distinct", [], {"columns": ["outcome"], "group_by": "outcome"}, "group_by needs an aggregate"),
        ("count", [], {"group_by": ["outcome", "nothing"]}, "is not one of"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    clinic: Databases, aggregate: str, filters: list[tuple[str, str, Any]], rest: dict[str, Any], words: str
) -> None:
    with pytest.raises(ArgumentError, match=words):
        ask(clinic, "visits", aggregate, *filters, **rest)


def test_a_key_that_only_its_name_tells_joins(clinic: Databases) -> None:
    assert rows(clinic, "notes", "none", ("visits.outcome", "=", "cured"), columns=["body"]) == [["well"]]
    schema = clinic.snapshot().tables["notes"].schema
    assert not schema.by_name["notes"].foreign_keys
    assert [key.parent for key in with_implied_keys(schema).by_name["notes"].foreign_keys] == ["visits"]


def test_no_path_goes_in_circles(clinic: Databases) -> None:
    schema = with_implied_keys(clinic.snapshot().tables["visits"].schema)
    for path in every_column_ref(schema, schema.by_name["doctors"]):
        assert path.count("mentor.") <= 1
