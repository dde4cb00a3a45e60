from __future__ import annotations

import pytest

from portico_gateway.agent.guided.extraction.source_code.expected import CodeKind, expected_code, fits


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
