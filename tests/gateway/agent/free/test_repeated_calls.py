from __future__ import annotations

from portico_gateway.agent.free.repeated_calls import RepeatedCalls
from portico_gateway.agent.free.turns import WrittenCall


def test_calls_are_the_same_whatever_the_order_of_their_arguments() -> None:
    repeated = RepeatedCalls()
    assert repeated.count(WrittenCall("a", {"x": 1, "y": 2}), "r") == 1
    assert repeated.count(WrittenCall("a", {"y": 2, "x": 1}), "r") == 2


def test_other_arguments_tools_and_results_are_other_calls() -> None:
    repeated = RepeatedCalls()
    first = WrittenCall("a", {"x": 1})
    repeated.count(first, "r")
    assert repeated.count(WrittenCall("a", {"x": "1"}), "r") == 1
    assert repeated.count(WrittenCall("b", {"x": 1}), "r") == 1
    assert repeated.count(first, "another result") == 1


def test_a_circle_of_two_calls_is_seen() -> None:
    repeated = RepeatedCalls()
    a, b = WrittenCall("a", {}), WrittenCall("b", {})
    assert [repeated.count(call, "r") for call in (a, b, a, b)] == [1, 1, 2, 2]
