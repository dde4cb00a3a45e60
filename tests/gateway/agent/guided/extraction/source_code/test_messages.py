from __future__ import annotations

import pytest

from portico_gateway.agent.guided.extraction.source_code.messages import holds_message, messages


@pytest.mark.parametrize(
    ("question", "text", "there"),
    [
        ('Log: "the pool is already full." Who says so?', 'raise PoolFull("The pool is already full.")', True),
        ('Log: "the pool is already full." Who says so?', 'raise PoolFull("the pool is full already")', False),
        ('"unable to put a block of ... into the pool": why?', 'f"Unable to put a block of {size} into the pool"', True),
        ('"unable to put a block of ... into the pool": why?', 'f"Unable to put a block of {size} away"', False),
        ("It says `no block is left here`; which class?", "'no block is'\n    ' left here'", True),
    ],
)
def test_a_message_is_there_however_it_is_quoted_broken_and_filled(question: str, text: str, there: bool) -> None:
    [message] = messages(question)
    assert holds_message(text, message) is there


@pytest.mark.parametrize(
    "question", ["Which class is 'Pool'?", 'Where is "pool full" raised?', "Does the pool's owner's key count?"]
)
def test_a_few_quoted_words_are_no_message(question: str) -> None:
    assert messages(question) == []
