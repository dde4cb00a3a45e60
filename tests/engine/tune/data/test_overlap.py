"""No question of an evaluation is among the training questions."""

from __future__ import annotations

import random

import pytest

from portico_engine.tune.data.overlap import Overlap
from portico_engine.tune.data.sources.own import own_examples


def test_a_run_of_eight_words_is_the_same_question_whatever_the_case_and_the_marks() -> None:
    overlap = Overlap(["What is the area of a circle, with a radius of 5?"])
    assert overlap.found("please: what is THE area of a circle with... thanks") is not None
    assert overlap.found("What is the area of a square with a side of 5?") is None


def test_a_short_question_counts_where_it_is_the_whole_of_one() -> None:
    overlap = Overlap(["weather in Oslo tomorrow"])
    assert overlap.found("Weather in Oslo tomorrow?") is not None
    assert overlap.found("What about the weather in Oslo tomorrow, will it rain there?") is None


def test_our_own_questions_are_none_of_bfcl_s_nor_of_our_benchmarks() -> None:
    pytest.importorskip("bfcl_eval")
    from answers_questions import READABLE, part
    from bfcl_cases import CATEGORIES, NONE, SEVERAL, cases
    from server_questions_material import questions

    asked = [
        turn["content"]
        for category in (*CATEGORIES, SEVERAL, NONE)
        for case in cases(category, 0, 5000)
        for turn in case.messages
        if turn["role"] == "user"
    ]
    asked += [question["question"] for name in READABLE for question in part(name)]
    asked += [question["question"] for question in questions()]
    assert len(asked) > 2000
    overlap = Overlap(asked)
    ours = [example.question for example in own_examples(random.Random(7), each=40, several=10)]
    assert {q: found for q in ours if (found := overlap.found(q)) is not None} == {}
