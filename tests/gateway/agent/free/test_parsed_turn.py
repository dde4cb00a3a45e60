from __future__ import annotations

import pytest
from tests.gateway.agent.free.scripted import hermes

from portico_engine import Delta, FinishReason
from portico_engine.grammar import CallFormat
from portico_gateway.agent.events import AnswerText, ThoughtText
from portico_gateway.agent.free.local.parsed_turn import ParsedTurn
from portico_gateway.agent.free.local.tool_form import ToolForm

FORM = ToolForm(CallFormat.HERMES, own=True, thinks=True)
CALL = hermes(("code__search", "é<tool_call>"))


def written(
    text: str, size: int, reason: FinishReason = FinishReason.STOP
) -> tuple[ParsedTurn, list[AnswerText | ThoughtText]]:
    turn = ParsedTurn(FORM)
    pieces = [Delta("r", text=text[at : at + size]) for at in range(0, len(text), size)]
    events = [event for piece in [*pieces, Delta("r", finish_reason=reason)] for event in turn.feed(piece)]
    return turn, events


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_thought_text_and_calls_are_told_apart_however_they_arrive(size: int) -> None:
    turn, events = written(f"<think>Hm.</think>I look.\n{CALL}", size)
    assert (turn.turn.thought, turn.turn.text) == ("Hm.", "I look.")
    assert [(call.name, call.arguments) for call in turn.turn.calls] == [("code__search", {"query": "é<tool_call>"})]
    assert "".join(event.text for event in events if isinstance(event, ThoughtText)) == "Hm."
    assert "<tool_call>" not in "".join(event.text for event in events)
    assert turn.ended


def test_a_call_that_was_cut_is_none_and_the_whole_ones_before_it_are() -> None:
    turn, _ = written(f"<think></think>{CALL}\n{CALL[:-20]}", 7, FinishReason.LENGTH)
    assert len(turn.calls) == 1
    assert not turn.ended


def test_ids_of_calls_differ() -> None:
    turn, _ = written(f"<think></think>{CALL}\n{CALL}", 9)
    assert len({call.id for call in turn.calls}) == 2
