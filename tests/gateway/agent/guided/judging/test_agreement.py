from __future__ import annotations

import pytest

from portico_gateway.agent.guided.judging.agreement import agrees, told

ASKED = "Which option of `pump.run` sets the pressure?"


def test_names_options_and_numbers_are_told_and_plain_words_are_not() -> None:
    text = "src/pump.py:12: The `max_bar` of Pump.run is 1,000, or `--bar` on the command line."
    assert told(text) == {"max_bar", "pump.run", "1000", "--bar"}


@pytest.mark.parametrize("other", ['pump.py:3: option("--bar", type=int)', "Give `--bar` to set it."])
def test_what_another_tools_answer_says_too_is_agreed(other: str) -> None:
    assert agrees(ASKED, "docs__search", "Use `--bar`.", [("docs__search", "Use `--bar`."), ("code__search", other)])


def test_the_same_tool_agrees_with_itself_for_nothing() -> None:
    assert not agrees(ASKED, "docs__search", "Use `--bar`.", [("docs__search", "Use `--bar`.")])


def test_what_the_question_says_is_no_agreement() -> None:
    assert not agrees(ASKED, "docs__search", "See pump.run.", [("code__search", "a.py:7: pump.run()")])


def test_a_line_number_is_no_number_of_the_answer() -> None:
    assert not agrees(ASKED, "docs__search", "It takes 12 bar.", [("code__search", "a.py:12: def run(self):")])
