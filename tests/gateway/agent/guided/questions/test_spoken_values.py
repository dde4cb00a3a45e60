from __future__ import annotations

import pytest

from portico_gateway.agent.guided.questions.spoken_values import likeness, values_in


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("What changed in 8.1.7?", {"8.1.7": "version"}),
        ("Is v3 faster than 2.0.0rc1?", {"v3": "version", "2.0.0rc1": "version"}),
        ("Which cost more than 1,000 or 2.5?", {"1,000": "number", "2.5": "number"}),
        ("How many were placed in 2023?", {"2023": "year"}),
        ("Who came on 2024-03-01 or on 3 March 2024?", {"2024-03-01": "date", "3 March 2024": "date"}),
        ("Orders of March 2024?", {"March 2024": "date"}),
        ("Where is `free block` or 'x y'?", {"`free block`": "quoted", "'x y'": "quoted"}),
        (
            "Where are free_block, BlockPool, run() and kv/pool.py?",
            {"free_block": "identifier", "BlockPool": "identifier", "run()": "identifier", "kv/pool.py": "identifier"},
        ),
        ("How many orders did Alice Smith place in New York?", {"Alice Smith": "name", "New York": "name"}),
        ("What is Germany's share?", {"Germany": "name"}),
        ("What about it?", {}),
    ],
)
def test_values_are_found_with_their_kinds(text: str, kinds: dict[str, str]) -> None:
    values = values_in(text)
    assert {value.text: value.kind for value in values} == kinds
    assert all(text[value.start : value.end] == value.text for value in values)


def test_a_first_word_with_a_capital_is_a_name_only_where_it_can_be_one() -> None:
    assert values_in("Germany") == []
    assert [value.text for value in values_in("Germany", first_word=True)] == ["Germany"]
    assert [value.text for value in values_in("Is Germany there?")] == ["Germany"]


def test_the_word_before_a_value_is_known() -> None:
    assert [value.before for value in values_in("from France in version 8.1.7")] == ["from", "version"]


def test_what_can_stand_in_the_place_of_what() -> None:
    assert likeness("name", "name") == 2
    assert likeness("version", "number") == likeness("number", "version") == 1
    assert likeness("name", "year") == 0
