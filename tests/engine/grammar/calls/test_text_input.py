"""Tools that take a text, among others: a definition that can't be compiled costs its own tool alone."""

from __future__ import annotations

import json

import pytest
from tests.engine.grammar.oracle import accepts

from portico_engine.grammar import CallFormat, compile_tool_calls, compile_tool_calls_isolated
from portico_engine.tool import TextInput, Tool, text_tool

CITY = Tool("weather", "", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
DATE = text_tool("date", "", TextInput("lark", 'start: /[0-9]{4}/ "-" /[0-9]{2}/'))


def call(name: str, arguments: dict[str, str]) -> str:
    return json.dumps({"name": name, "arguments": arguments}, separators=(",", ":"))


def test_each_tool_takes_what_it_says() -> None:
    lark = compile_tool_calls([CITY, DATE]).text
    assert accepts(lark, call("weather", {"city": "Rome"}))
    assert accepts(lark, call("date", {"input": "2026-11"}))
    for bad in (call("date", {"input": "2026"}), call("date", {"city": "Rome"}), call("weather", {"input": "2026-11"})):
        assert not accepts(lark, bad)


def test_the_familys_envelope_stands_around_the_text() -> None:
    lark = compile_tool_calls([CITY, DATE], format=CallFormat.HERMES).text
    assert accepts(lark, '<tool_call>\n{"name": "date", "arguments": {"input":"2026-11"}}\n</tool_call>')
    assert not accepts(lark, '<tool_call>\n{"name": "date", "arguments": {"input":"2026"}}\n</tool_call>')


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("definition", ["start: missing", 'start: ("a"~9000)~9000'])
async def test_a_definition_that_does_not_compile_leaves_any_text_and_says_why(definition: str) -> None:
    compiled = await compile_tool_calls_isolated([CITY, text_tool("t", "", TextInput("lark", definition))])
    (failed,) = compiled.report.failed
    assert (failed.tool, failed.pointer, failed.degraded) == ("t", "/format/definition", True)
    assert failed.reason
    assert accepts(compiled.text, call("t", {"input": 'any"\ntext'}))
    assert not accepts(compiled.text, call("t", {"other": "x"}))
    assert not accepts(compiled.text, call("weather", {"input": "x"}))


def test_another_definition_is_another_grammar() -> None:
    other = text_tool("date", "", TextInput("regex", "[0-9]+"))
    assert compile_tool_calls([DATE]).text != compile_tool_calls([other]).text
