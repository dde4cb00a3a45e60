from __future__ import annotations

import pytest

from portico_gateway.agent.guided.extraction.documents.passage_kinds import asked_types, share_given


def names(question: str) -> set[str]:
    return {kind.name for kind in asked_types(question)}


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many retries are there?", "number"),
        ("which status code comes back", "status"),
        ("Since when is it there? In which version?", "version"),
        ("What is used by default?", "default"),
        ("Which option hides the bar?", "option"),
        ("the environment variable for the port?", "variable"),
        ("Which function opens it?", "function"),
        ("Which exception is raised?", "exception"),
        ("Is it thread safe?", "yes or no"),
        ("Why is it slow?", "reason"),
        ("How do I install it?", "how"),
        ("When does it ask?", "condition"),
        ("Which shells are known?", "list"),
    ],
)
def test_a_question_says_what_kind_of_answer_it_asks_for(question: str, kind: str) -> None:
    assert kind in names(question)


def test_how_many_is_no_question_for_a_way() -> None:
    assert "how" not in names("How many retries are there?")


@pytest.mark.parametrize(
    ("question", "good", "bad"),
    [
        ("How many retries?", "It tries 3 times.", "It tries often."),
        ("Which status code?", "A 404 is sent.", "The port is 80000."),
        ("Which option?", "Pass --quiet to it.", "Pass it on."),
        ("the environment variable?", "Set TOOL_PORT first.", "Set it first."),
        ("Which exception is raised?", "A LookupError.", "Nothing of it."),
        ("What is it by default?", "Default: `5`", "A value of it"),
    ],
)
def test_a_text_has_a_kind_or_it_has_not(question: str, good: str, bad: str) -> None:
    kinds = asked_types(question)
    assert share_given(kinds, good, question) > share_given(kinds, bad, question)


def test_what_the_question_says_itself_is_no_answer() -> None:
    question = "How many of 30 are used?"
    assert share_given(asked_types(question), "30 are there.", question) == 0
    assert share_given((), "anything", "") == 0
