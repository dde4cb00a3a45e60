from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from portico_gateway.agent.guided.judging.coverage import Evidence, argument_texts, covered, passed, scene_words
from portico_gateway.guidance.question import read_question


def unrelated(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Every text is like itself alone."""
    order = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return np.asarray([np.eye(len(order), dtype=np.float32)[order[text]] for text in texts])


def alike(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.ones((len(texts), 1), np.float32)


@pytest.mark.parametrize(
    ("question", "evidence", "unused"),
    [
        ("How many orders were shipped?", "orders shipped", ()),
        ("How many orders were shipped to Oslo?", "orders shipped", ("Oslo",)),
        ("Which orders cost more than 1,000 euros?", "orders cost 1000 euro", ()),
        ("Which orders cost more than 100 euros?", "orders cost 1000 euro", ("100",)),
        ("Where is rewind_body used?", "def body_rewinder", ("rewind_body",)),
        ("Where is rewind_body called?", "rewind_body(request) calls", ()),
        ("What does rewindBody(request) call?", "calls rewind_body(request)", ()),
        ("From which size are pages gzipped?", "class GzipPages: size", ()),
        ("What are rewind_body's defaults?", "rewind_body(at=0) defaults", ()),
        ("What does app.group() take?", "app takes a path", ("group",)),  # what is called is a name
        ("What does app.group() take?", "app.group = function group(path) takes", ()),
        ("Which class speaks HTTP/3?", "class Http2 speaks HTTP, 3 times", ("HTTP/3",)),
        ("Which class speaks HTTP/2?", "class Http2 speaks", ()),
        ("How many ports are open?", "portraits that are open", ("ports",)),
        ('Which film is "Blue Sky"?', "a film: blue sky", ()),
        ("Is it in pump 3.1.0?", "the pump 3.1.0", ()),
        ("Is it in pump 3.1.0?", "the pump 3.1", ("3.1.0",)),
        ("Does the pump listen on 127.0.0.1?", "the pump listens on 127.0.0.1", ()),
        ("Is the pump older, i.e. slower, than I'd like?", "the pump is older and slower", ()),
    ],
)
def test_a_word_is_used_where_the_evidence_has_it(question: str, evidence: str, unused: tuple[str, ...]) -> None:
    assert covered(read_question(question), Evidence((evidence,)), unrelated).unused == unused


def test_a_plain_word_may_match_by_sense_and_a_name_may_not() -> None:
    coverage = covered(read_question("the cheapest ticket to Oslo"), Evidence(("price of fares",)), alike)
    assert coverage.unused == ("Oslo",)


def test_a_query_that_repeats_the_question_accounts_for_nothing() -> None:
    arguments = {"query": "parcels to Oslo", "filters": [{"column": "city", "value": "Bergen"}], "limit": 5}
    assert list(argument_texts(arguments)) == ["filters", "column", "city", "value", "Bergen", "limit", "5"]


def test_how_much_a_tool_may_answer_accounts_for_no_word() -> None:
    assert list(argument_texts({"max_tokens": 2000, "library": "pumps"})) == ["library", "pumps"]


def test_what_a_call_leaves_out_accounts_for_no_word() -> None:
    arguments = {"not_contains": "feature/export", "excludePatterns": ["*.csv"], "notes": "ferry"}
    assert list(argument_texts(arguments)) == ["notes", "ferry"]


@pytest.mark.parametrize(
    ("question", "aside"),
    [
        ("I put my pump behind a fence. Does it believe the valve?", {"put", "pump", "behind", "fence"}),
        ("Does it believe the valve?", set()),
        ("A customer sent BadValve. Which file is it from?", {"customer", "sent"}),  # a name is none of the scene alone
        ("Which pump is it? Which valve?", set()),
        ("The valve is shut; which error comes?", set()),  # a condition is no scene
    ],
)
def test_words_of_a_sentence_that_asks_nothing_set_the_scene(question: str, aside: set[str]) -> None:
    assert scene_words(read_question(question)) - {"I", "my"} == aside


def test_a_number_that_is_passed_is_the_askers_own() -> None:
    assert "1200" in passed(read_question("Passing 1200 to res.status blows up. Which error?"))
    assert "1200" not in passed(read_question("Which error does a status of 1200 give?"))


@pytest.mark.parametrize(
    ("question", "unused"),
    [
        ("How many redirects are followed?", ("redirects", "followed")),
        ("Does it follow redirects?", ()),  # what is denied answers that
    ],
)
def test_what_is_said_not_to_be_there_accounts_for_no_word_of_a_question_for_it(question: str, unused: tuple[str, ...]) -> None:
    evidence = Evidence(("It pumps. It does not follow redirects, nor handle cookies. It is small.",))
    assert covered(read_question(question), evidence, unrelated).unused == unused
