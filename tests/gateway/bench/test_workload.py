"""What is asked of an engine."""

from __future__ import annotations

import pytest

from portico_engine.grammar import compile_tool_calls
from portico_gateway.bench.workload import LONG, MAX_CALL_TOKENS, QUICK, USUAL, Workload, text, tools, turns
from portico_gateway.model.bench_record import CALLS_PER_SECOND


def test_there_are_twelve_tools_whose_calls_end_by_themselves() -> None:
    given = tools()
    assert len({tool.name for tool in given}) == 12
    assert compile_tool_calls(given).report.exact
    longest = '{"name":"find_appointment","arguments":{"state":"overdue","day":"wednesday","limit":25}}'
    assert len(longest) < MAX_CALL_TOKENS  # a character a token at worst


def test_questions_differ_and_what_is_before_them_does_not() -> None:
    given = tools()
    first, second = turns(given, 0), turns(given, 1)
    assert first[0] == second[0]
    assert first[1] != second[1]
    assert all(tool.name in first[0]["content"] for tool in given)


def test_texts_are_long_enough_and_begin_differently() -> None:
    assert len(text(2048).split()) >= 2048
    assert text(10, 1)[:6] != text(10, 2)[:6]


@pytest.mark.parametrize("workload", [QUICK, USUAL, LONG])
def test_every_workload_measures_what_the_executor_is_chosen_by(workload: Workload) -> None:
    assert CALLS_PER_SECOND in {f"calls_per_second_{clients}" for clients, _ in workload.calls}
    assert all(calls >= clients for clients, calls in workload.calls)
