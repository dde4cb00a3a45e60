from __future__ import annotations

import pytest

from portico_gateway.agent.guided.extraction.source_code.expected import CodeKind, expected_code, fits, one_slip, spelled


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Who calls flush_cache?", CodeKind.CALLS),
        ("Where is flush_cache used?", CodeKind.CALLS),
        ("Which class does Pool derive from?", CodeKind.BASES),
        ("What arguments does open_pool take?", CodeKind.SIGNATURE),
        ("Which exception is raised when the pool is full?", CodeKind.RAISES),
        ("Where is Pool defined?", CodeKind.PLACE),
        ("default size of the pool?", CodeKind.VALUE),
        ("which package parses the dates", CodeKind.IMPORTS),
        ("Which function frees a block?", CodeKind.FUNCTION),
        ("what does free return?", CodeKind.RETURNS),
        ("what path do the blocks get", CodeKind.VALUE),
        ("Which release brought flush_cache?", CodeKind.SINCE),
        ("when was flush_cache added", CodeKind.SINCE),
        ("what happens if the pool is full", CodeKind.RAISES),
        ("does it crash on a full pool", CodeKind.RAISES),
        ("name the exeption of a full pool", CodeKind.RAISES),
        ("which paramters does open_pool need", CodeKind.SIGNATURE),
        ("flush() without arguments frees how many blocks", CodeKind.VALUE),
        ("how many blocks, when nobody configured anything?", CodeKind.VALUE),
        ("which strategy is used when none is given", CodeKind.VALUE),
        ("How many blocks, if I leave size alone?", CodeKind.VALUE),
        ("Why was flush not used by drain()?", CodeKind.REASON),
        ("What does drain call, and why?", CodeKind.REASON),
    ],
)
def test_a_question_says_what_kind_of_code_it_is_after(question: str, kind: CodeKind) -> None:
    assert expected_code(question).kinds[0] is kind


@pytest.mark.parametrize(
    ("question", "several"),
    [
        ("Which timeout exceptions are there?", True),
        ("names for the status code 418?", True),
        ("Which parameters does open take?", True),
        ("What status does it use?", False),
        ("Which class does Pool derive from?", False),
        ("Which method of the pool hands over all connections?", False),
    ],
)
def test_a_question_for_several_things_is_told_from_one_for_one(question: str, several: bool) -> None:
    assert expected_code(question).several is several


def test_a_number_fits_a_question_for_a_number_better_than_a_name() -> None:
    assert fits(CodeKind.VALUE, "limit = 30", number=True) > fits(CodeKind.VALUE, 'limit = "high"', number=True)


def test_what_refuses_is_hardly_a_value() -> None:
    assert fits(CodeKind.VALUE, "throw new TypeError('unknown limit')") < fits(CodeKind.VALUE, "limit = 'none'")


@pytest.mark.parametrize(
    ("said", "meant", "slip"),
    [
        ("exeption", "exception", True),
        ("exceptionn", "exception", True),
        ("agrument", "argument", True),
        ("defualt", "default", True),
        ("exception", "exception", False),
        ("perception", "exception", False),
        ("exeptoin", "exception", False),
        ("value", "valueerror", False),
    ],
)
def test_one_slip_of_the_keyboard_is_told_from_another_word(said: str, meant: str, slip: bool) -> None:
    assert one_slip(said, meant) is slip
    assert one_slip(meant, said) is slip


def test_only_words_that_say_what_is_asked_for_are_spelled_right() -> None:
    assert spelled("the defualt of my.defualt and defualt()") == "the default of my.defualt and defualt()"
    assert spelled("returned values of modules") == "returned values of modules"


@pytest.mark.parametrize(
    ("question", "number", "text"),
    [
        ("which folder does the loader search?", False, True),
        ("what do the keys start with", False, True),
        ("from which version on?", True, False),
        ("how many letters of prefix", True, False),
        ("who calls it?", False, False),
    ],
)
def test_a_question_says_whether_a_figure_or_a_string_answers(question: str, number: bool, text: bool) -> None:
    expected = expected_code(question)
    assert (expected.number, expected.text) == (number, text)


@pytest.mark.parametrize(
    ("question", "default"),
    [
        ("which strategy is used when none is given", True),
        ("what is the size if I leave it out", True),
        ("what is the size unless somebody passes it", True),
        ("which strategy frees the oldest block", False),
    ],
)
def test_what_is_so_where_nobody_says_anything_is_a_default(question: str, default: bool) -> None:
    assert expected_code(question).default is default


@pytest.mark.parametrize("question", ["With which exit code does it stop?", "what status code goes out"])
def test_a_code_that_a_program_ends_with_is_a_number(question: str) -> None:
    assert expected_code(question).number
