"""What asks the very question is no answer to it."""

from __future__ import annotations

import pytest

from portico_gateway.agent.guided.answers.asked_elsewhere import asks_the_same

QUESTION = "Where is the KV block freed?"


@pytest.mark.parametrize(
    "text",
    [
        '$ portico ask "Where is the KV block freed?"            # bare: the working directory\'s code',
        'QUESTIONS = (\n    "Where is the KV block freed?",\n    "How many orders were cancelled?",\n)',
        "assert ask('where is the  KV block freed') == 0",
        "People ask “Where is the KV-block freed?” often.",
    ],
)
def test_a_quoted_question_is_asked_and_not_answered(text: str) -> None:
    assert asks_the_same(QUESTION, text)


@pytest.mark.parametrize(
    "text",
    [
        "Where is the KV block freed? In `BlockPool.release`.",  # a list of questions with their answers
        "# the KV block is freed where its last reader ends",
        'raise ValueError("the KV block is freed already")',
        "",
    ],
)
def test_what_may_answer_it_stays(text: str) -> None:
    assert not asks_the_same(QUESTION, text)


def test_two_words_may_be_the_answer() -> None:
    assert not asks_the_same("in use?", 'state = "in use"')
