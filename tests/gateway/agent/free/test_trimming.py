from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from portico_gateway.agent.free.trimming import LEAST_CHARACTERS, STUB_TOKENS, trim
from portico_gateway.agent.free.turns import ModelTurn, ResultTurn, Turn, UserTurn, WrittenCall

CALL = WrittenCall("t", {})
PAST: list[Turn] = [UserTurn("old?", past=True), ModelTurn("old.", past=True)]
QUESTION = UserTurn("why?")


def step(text: str) -> list[Turn]:
    return [ModelTurn("", "", (CALL,)), ResultTurn(CALL, text)]


def sizes(turns: list[Turn]) -> list[int]:
    return [len(turn.text) for turn in turns]


def test_the_oldest_results_go_first_and_only_as_many_as_must() -> None:
    turns = [*PAST, QUESTION, *step("a" * 500), *step("b" * 500), *step("c" * 500)]
    left = trim(turns, sizes(turns), 400)
    assert (left.results, left.past, left.cut) == (1, 0, 0)
    results = [turn for turn in left.turns if isinstance(turn, ResultTurn)]
    assert [turn.left_out for turn in results] == [True, False, False]
    assert "500 characters" in results[0].text
    assert left.turns[:3] == turns[:3]


def test_then_the_earlier_conversation_goes_a_question_with_its_answer() -> None:
    turns = [*PAST, *PAST, QUESTION, *step("a" * 500)]
    left = trim(turns, sizes(turns), 3)
    assert (left.past, left.turns) == (2, turns[2:])


def test_then_the_newest_results_are_shortened_and_a_note_behind_them_stays() -> None:
    newest = [ResultTurn(CALL, "a" * 5000, "Note."), ResultTurn(CALL, "b" * 100)]
    turns: list[Turn] = [QUESTION, ModelTurn("", "", (CALL, CALL)), *newest]
    left = trim(turns, sizes(turns), 2500)
    assert (left.results, left.cut) == (0, 1)
    first = left.turns[2]
    assert isinstance(first, ResultTurn)
    assert LEAST_CHARACTERS < len(first.text) < 2700
    assert first.shown.endswith("[…]\n\nNote.")
    assert left.turns[3] == newest[1]


def test_a_result_that_was_left_out_is_not_left_out_again() -> None:
    turns = [QUESTION, *step("a" * 500), *step("b" * 100)]
    once = trim(turns, sizes(turns), 10)
    assert trim(once.turns, sizes(once.turns), 10).results == 0


@given(st.lists(st.integers(0, 800), min_size=1, max_size=8), st.integers(1, 4000))
def test_what_was_asked_and_called_always_stays_in_order(lengths: list[int], excess: int) -> None:
    turns = [*PAST, QUESTION, *(turn for length in lengths for turn in step("x" * length))]
    left = trim(turns, sizes(turns), excess)
    kept = [turn for turn in left.turns if not isinstance(turn, ResultTurn)]
    assert kept == [turn for turn in turns if not isinstance(turn, ResultTurn) and not (left.past and turn in PAST)]
    assert len([turn for turn in left.turns if isinstance(turn, ResultTurn)]) == len(lengths)
    freed = sum(sizes(turns)) - sum(min(s, STUB_TOKENS) if t.left_out else s for t, s in _results(left.turns))
    assert freed >= 0


def _results(turns: list[Turn]) -> list[tuple[ResultTurn, int]]:
    return [(turn, len(turn.text)) for turn in turns if isinstance(turn, ResultTurn)]
