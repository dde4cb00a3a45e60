"""Rows as an answer: the question as understood, all that fits, names whole, numbers as they are."""

from __future__ import annotations

from typing import Any

from portico_gateway.agent.citations import Citation
from portico_gateway.agent.guided.extraction.rows import MAX_ROWS_CHARACTERS, rows
from portico_gateway.agent.rendered_results import RenderedResult


def answer(text: str, columns: list[str], found: list[list[Any]], **more: Any) -> str:
    data = {"columns": columns, "rows": found, "table": "albums", **more}
    citation = Citation({"table": "albums"}, "table albums", None, "")
    [candidate] = rows(RenderedResult(text, True, (citation,), data=data))
    return candidate.text


def test_one_value_stays_one_line() -> None:
    assert answer("albums where year = 1999: count = 2", ["count"], [[2]]) == "albums where year = 1999: count = 2"


def test_a_column_is_a_list_of_all_its_values() -> None:
    titles = [[f"Title {n}"] for n in range(24)]
    text = answer("albums where artist = Ann:\n| title |\n|---|\n| Title 0 |\n(23 more)", ["title"], titles)
    assert text.splitlines()[0] == "albums where artist = Ann:"
    assert text.splitlines()[1:] == [f"- Title {n}" for n in range(24)]


def test_one_row_is_told_column_by_column_and_a_person_by_the_whole_name() -> None:
    text = answer("staff:\n| a |", ["boss.FirstName", "boss.LastName", "boss.Salary"], [["Luca", "Schulz", 2656.630000000001]])
    assert text == "staff:\nboss.name: Luca Schulz, boss.Salary: 2656.63"


def test_several_columns_are_a_table() -> None:
    text = answer("albums:\n| a |", ["title", "sales"], [["A|B", 1.5], ["C", None]])
    assert text.splitlines() == ["albums:", "| title | sales |", "|---|---|", "| A/B | 1.5 |", "| C | none |"]


def test_what_does_not_fit_is_counted() -> None:
    text = answer("albums:\n| a |", ["title"], [["x" * 200] for _ in range(100)])
    assert len(text) < MAX_ROWS_CHARACTERS + 100
    assert text.endswith(" more)")


def test_a_result_without_rows_stays_its_text() -> None:
    citation = Citation({"table": "albums"}, "table albums", None, "")
    [candidate] = rows(RenderedResult("orders: count = 3", True, (citation,)))
    assert candidate.text == "orders: count = 3"
