"""Real tools of real servers: every one compiles, alone and together, exactly, and takes what its schema allows."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from tests.engine.grammar.schemas import DATA, factory, tokenizer

from portico_engine.grammar import check_arguments, compile_tool_calls, tool_to_ir
from portico_engine.grammar.backend import enforced_text
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.tool import Tool

TOOLS = DATA / "mcp-tools"
pytestmark = pytest.mark.skipif(not TOOLS.is_dir(), reason="the recorded tool lists are not in ../shared/data")


@cache
def listed() -> list[tuple[str, Any]]:
    out = []
    for path in sorted(TOOLS.glob("*.json")):
        out += [
            (f"{path.stem}__{tool['name']}", tool["inputSchema"])
            for tool in json.loads(path.read_text(encoding="utf-8"))["tools"]
        ]
    return out


def test_every_tool_compiles_and_nothing_is_loosened() -> None:
    reports = {name: tool_to_ir(schema, tool=name)[1] for name, schema in listed()}
    assert len(reports) > 200
    assert {name: report for name, report in reports.items() if not report.exact} == {}


def test_the_shortest_call_of_every_fifth_tool_is_valid() -> None:
    for name, schema in listed()[::5]:
        grammar, report = tool_to_ir(schema, tool=name)
        assert grammar is not None
        matcher = factory().matcher(CompiledGrammar(enforced_text(grammar).text, report, grammar))
        closing = matcher.closing_tokens(4_000)
        assert closing is not None, name
        assert all(map(matcher.accept_token, closing)), name
        assert matcher.is_terminated(), name
        assert check_arguments(schema, json.loads(tokenizer().decode(closing))) == [], name


def test_forty_tools_join_in_one_grammar() -> None:
    tools = [Tool(name, "", schema) for name, schema in listed()[:40]]
    grammar = compile_tool_calls(tools)
    assert grammar.report.exact
    closing = factory().matcher(grammar).closing_tokens(4_000)
    assert closing is not None
    call = json.loads(tokenizer().decode(closing))
    schema = next(tool.parameters for tool in tools if tool.name == call["name"])
    assert check_arguments(schema, call["arguments"]) == []
