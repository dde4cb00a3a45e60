from __future__ import annotations

import pytest

from portico_gateway.agent.guided.questions.answer_type import (
    AnswerType,
    asked_attribute,
    asked_for,
    asked_words,
    asks_when,
    fits,
    lists_columns,
    names_nobody,
    says_when,
)
from portico_gateway.guidance.question import read_question


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many orders are there?", AnswerType.NUMBER),
        ("When was the last invoice paid?", AnswerType.DATE),
        ("Which class parses dates?", AnswerType.IDENTIFIER),
        ("Who wrote the album?", AnswerType.NAME),
        ("Is the parser fast?", AnswerType.ANY),
    ],
)
def test_question_words_tell_what_is_asked_for(question: str, kind: AnswerType) -> None:
    assert asked_for(read_question(question)) is kind


@pytest.mark.parametrize(
    ("question", "answer", "fit"),
    [
        ("How many orders are there?", "orders: count = 12", True),
        ("How many orders are there?", "Orders are kept in a table.", False),
        ("How many of the 12 orders are paid?", "There are 12 orders.", False),
        ("How many lines does it take?", "kv/pool.py:12: def free", False),
        ("Which option hides it?", "Use `--silent` for that.", True),
        ("Which option hides it?", "There is an option that hides it.", False),
        ("Who wrote it?", "written by Ada Byron", True),
        ("When does it end?", "on 2025-06-30", True),
        ("Is it fast?", "anything", True),
    ],
)
def test_an_answer_fits_where_it_has_such_a_thing_that_the_question_does_not_say(question: str, answer: str, fit: bool) -> None:
    read = read_question(question)
    assert fits(read, asked_for(read), answer) is fit


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("What is the phone number of Ada?", {"phone", "number"}),
        ("Which director made it?", {"director"}),
        ("what's the shipping address of invoice 17", {"shipping", "address"}),
        ("How many horses are there?", {"horses"}),
        ("What's my seat on flight 12?", {"seat"}),
        ("what is our shoe size", {"shoe", "size"}),
        ("What's the default lifetime in the pool?", {"default", "lifetime"}),
        ("Where is it?", set()),
    ],
)
def test_the_words_that_name_what_is_asked_for_are_found(question: str, words: set[str]) -> None:
    assert asked_words(read_question(question)) == words


def test_an_attribute_is_told_from_the_kind_of_thing_that_is_asked_for() -> None:
    assert asked_attribute(read_question("What's my seat on flight 12?")) == {"seat"}
    assert asked_attribute(read_question("Which languages does she speak?")) == frozenset()


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("When was the licence added?", True),
        ("When's Ada's birthday?", True),
        ("On what date was it shipped?", True),
        ("In which year did it open?", True),
        ("There's a present to buy. When's the birthday?", True),
        ("When does the client retry?", False),  # a condition
        ("Which exception is raised when a key is there?", False),
        ("Since when is it built in?", False),  # a version
    ],
)
def test_a_point_in_time_is_asked_for_where_nothing_else_answers(text: str, asks: bool) -> None:
    assert asks_when(read_question(text)) is asks


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2025-01-20", True),
        ("Birthday is 3 July", True),
        ("new in version 2.3", True),
        ("parser.py:2025: fill(12)", False),  # a line's number
        ("Ada Quist,Brightline,555-0161", False),
    ],
)
def test_a_text_says_when_or_it_does_not(text: str, says: bool) -> None:
    assert says_when(text) is says


@pytest.mark.parametrize(
    ("question", "answer", "nobody"),
    [
        ("Who joined before 2018?", "members columns: name: joined; type: date; nullable: true", True),
        ("Who joined before 2018?", "Ada Brook", False),
        ("Who owns the key?", "ada_brook", False),
        ("Who owns Ada's key?", "the key of Ada", True),
        ("When did they join?", "columns: joined", False),
    ],
)
def test_who_is_asked_for_must_be_named(question: str, answer: str, nobody: bool) -> None:
    assert names_nobody(read_question(question), answer) is nobody


@pytest.mark.parametrize(
    ("question", "answer", "lists"),
    [
        ("Whose token is tok_3?", "tenants sample: columns: id, name, api_token", True),
        ("Which columns do tenants have?", "tenants sample: columns: id, name, api_token", False),
        ("Whose token is tok_3?", "| name |\n|---|\n| columns: none |", False),
    ],
)
def test_what_columns_are_called_answers_no_other_question(question: str, answer: str, lists: bool) -> None:
    assert lists_columns(read_question(question), answer) is lists
