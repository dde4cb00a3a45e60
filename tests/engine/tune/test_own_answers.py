"""What of a model's answers is kept, put right, or passed over; by a caller that says what it is told to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from portico_engine import Tool
from portico_engine.grammar import compile_tool_calls
from portico_engine.tune.calling.caller import Answer
from portico_engine.tune.calling.own_answers import own_answers
from portico_engine.tune.calling.task import Task
from portico_engine.tune.data.row_file import PairRow
from portico_engine.tune.data.rows import Row
from portico_engine.tune.data.said_calls import SaidCall

LIGHT = Tool("light", "Switches.", {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]})


def said(on: bool) -> str:
    return json.dumps({"name": "light", "arguments": {"on": on}}, separators=(",", ":"))


def task(question: str, completion: str) -> tuple[Task, Row]:
    row = Row(
        [{"role": "system", "content": "tools"}, {"role": "user", "content": question}], completion, "us", "MIT", tools=(LIGHT,)
    )
    calls = (SaidCall("light", {"on": "true" in completion}),) if completion.startswith("{") else ()
    return Task(question, (1,), (LIGHT,), calls, compile_tool_calls((LIGHT,), choice="auto")), row


class Scripted:
    """A caller; `texts` are its answers by question."""

    def __init__(self, texts: dict[str, list[str]]) -> None:
        self.texts = texts
        self.asked: dict[str, Any] = {}

    def ask(self, tasks: Sequence[Task], **how: Any) -> list[list[Answer]]:
        self.asked = how
        return [[Answer(text, (), (), True) for text in self.texts[task.question]] for task in tasks]


def test_right_answers_are_kept_and_wrong_calls_are_put_right_once() -> None:
    asked, row = task("turn it on", said(True))
    caller = Scripted({"turn it on": [said(True), said(False), said(False)]})
    found = list(own_answers(caller, [asked], [row], each=3, seed=7))  # type: ignore[arg-type]
    assert found == [row, PairRow(row.prompt, said(True), said(False), "us", "MIT", (LIGHT,))]
    assert caller.asked == {"each": 3, "temperature": 1.0, "seed": 7}


def test_a_call_where_no_tool_fits_is_put_right() -> None:
    asked, row = task("who won?", "None of these tools can answer that.")
    caller = Scripted({"who won?": [said(True), "I can't do that."]})
    kept = list(own_answers(caller, [asked], [row], each=2, seed=0))  # type: ignore[arg-type]
    assert kept == [PairRow(row.prompt, row.completion, said(True), "us", "MIT", (LIGHT,)), row]


def test_words_where_a_call_is_right_are_put_right_and_what_was_cut_is_passed_over() -> None:
    asked, row = task("turn it on", said(True))
    caller = Scripted({"turn it on": ["Which light?", '{"name":"light","arguments":']})
    found = list(own_answers(caller, [asked], [row], each=2, seed=0))  # type: ignore[arg-type]
    assert found == [PairRow(row.prompt, said(True), "Which light?", "us", "MIT", (LIGHT,))]
