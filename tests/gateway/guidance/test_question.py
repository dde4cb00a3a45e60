from __future__ import annotations

import pytest

from portico_gateway.guidance.question import phrase_at, read_question, tokens_of, values_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How many cost more than 1,200.50?", [("1200.50", {"number"})]),
        ("Orders since 2023-05-01 or in 2024", [("2023-05-01", {"date"}), ("2024", {"number", "date"})]),
        ("Placed in March 2023", [("2023-03", {"date"})]),
        ("Born on 5 May 1990 or May 7, 1991", [("1990-05-05", {"date"}), ("1991-05-07", {"date"})]),
        ("The three oldest with one star", [("3", {"number"}), ("1", {"number"})]),
        ("Which one is colder than -5 degrees?", [("-5", {"number"})]),
        ("What did Mara Abel say about 'blue  sky'?", [("Mara Abel", {"name"}), ("blue  sky", {"quoted"})]),
        ("Write to a.b@example.org about LH400", [("a.b@example.org", {"name"}), ("LH400", {"name"})]),
        ('It said "Pump stopped." Which valve is it?', [("Pump stopped.", {"quoted"})]),
        ("Rosa's books", []),
        ("What are Rosa's books?", [("Rosa", {"name"})]),
        ('An "open end', []),
        ("", []),
    ],
)
def test_what_a_question_spells_out(text: str, expected: list[tuple[str, set[str]]]) -> None:
    assert [(value.text, set(value.kinds)) for value in values_of(text, tokens_of(text))] == expected


def test_function_words_and_marks_are_no_content() -> None:
    assert [token.function for token in tokens_of("more than ten?")] == [True, True, False, True]


def test_a_question_mark_in_a_phrase_stands_for_any_end() -> None:
    for text, found in (("who paid most?", [2]), ("who paid most", [2]), ("who paid most often", [])):
        assert list(phrase_at(tokens_of(text), ("most", "?"))) == found


@pytest.mark.parametrize(
    ("text", "names", "paths"),
    [
        ("What does the method fill_bitmask do?", ("fill_bitmask",), ()),
        ("Who calls compile_schema in engine/core.py?", ("compile_schema",), ("engine/core.py",)),
        ("How many live in Porto since 2024?", ("Porto", "2024"), ()),
        ('Find "no such key" please', ("no such key",), ()),
        ("Where is ContextOverflow raised?", ("ContextOverflow",), ()),
    ],
)
def test_what_a_question_spells_out_is_read_from_it(text: str, names: tuple[str, ...], paths: tuple[str, ...]) -> None:
    found = read_question(text)
    assert (found.names, found.paths) == (names, paths)
