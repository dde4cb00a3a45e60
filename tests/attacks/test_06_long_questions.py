"""A question of 100,000 odd characters is read in the time that its length asks for, not in the square of it."""

from __future__ import annotations

import time

import pytest

from portico_engine import Tool
from portico_gateway.agent.upstream_tool_host import embedder
from portico_gateway.guidance.call_guide import CallGuide
from portico_gateway.guidance.copying.span_fit import _MEMBER
from portico_gateway.guidance.copying.values import array_values
from portico_gateway.guidance.copying.values.glob_values import _WRITTEN
from portico_gateway.guidance.question import read_question

pytestmark = pytest.mark.attack("6 one client can't starve another")
LONG = 100_000
ENOUGH = 25.0  # seconds of processor time; each takes about one, and took minutes
PUMPS = [
    "a", "A", "é", "1", "a1", "aA", "a_", "_", "a.", "a-", "1-", "1.", "1,000", "a/", "a()", "-", ".", "+", "@", "a@", "“",
    "'", "“ ", "a ", "A ", "which ", " ",
]  # fmt: skip


@pytest.mark.parametrize("pump", PUMPS)
def test_a_long_question_is_read_in_linear_time(pump: str) -> None:
    text = (pump * LONG)[:LONG] + "!"
    began = time.thread_time()
    read_question(text)
    for _ in _WRITTEN.finditer(text):
        pass
    _MEMBER.fullmatch(text)
    assert time.thread_time() - began < ENOUGH


@pytest.mark.parametrize("pump", ["a", "@", "“", "about ", "12, "])
def test_arguments_are_found_in_a_long_question_in_linear_time(pump: str) -> None:
    text = (pump * LONG)[:LONG]
    schema = {
        "type": "object",
        "properties": {"pattern": {"type": "string"}, "xs": {"type": "array", "items": {"type": "number"}}},
        "required": ["pattern", "xs"],
    }
    guide = CallGuide(embedder().embed)
    began = time.thread_time()
    assert guide.narrowed([Tool("find", "Find files by a glob pattern", schema)], text, earlier=text)
    assert time.thread_time() - began < ENOUGH


def test_a_long_list_is_joined_with_few_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    joined = array_values.joined

    def count(*given: object) -> bool:
        nonlocal compared
        compared += 1
        return joined(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(array_values, "joined", count)
    schema = {"type": "object", "properties": {"xs": {"type": "array", "items": {"type": "number"}}}, "required": ["xs"]}
    question = "add " + ", ".join(map(str, range(100, 240)))
    CallGuide(embedder().embed).narrowed([Tool("add", "Add numbers", schema)], question)
    assert 0 < compared < 140 * 10


def test_what_a_question_says_is_read_as_ever() -> None:
    said = read_question('See a.b/c-d.py, "x y", fooBar2Baz, snake_case_1, run() and __init__ of Mara Abel; i.e. v1.2.3, n.txt')
    assert said.paths == ("a.b/c-d.py", "n.txt")
    assert said.identifiers == ("x y", "fooBar2Baz", "snake_case_1", "run", "__init__")
    assert said.names[5:] == ("Mara Abel", "1.2", "3")
