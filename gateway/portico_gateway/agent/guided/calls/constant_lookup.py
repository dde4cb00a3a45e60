"""The call that follows a value to another file: a default that is a constant, `timeout=DEFAULT_TIMEOUT`, is looked up.

It is a tool of the same server that only reads and needs a name alone; the one that is nearest to defining goes first. It knows
no tool by name and makes no call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from portico_engine import Tool
from portico_engine.grammar import check_arguments
from portico_gateway.agent.events import ToolCallFinished, ToolCallStarted
from portico_gateway.agent.guided.answers.answer_generation import QuotedAnswer
from portico_gateway.agent.guided.calls.follow_up import filled, nearest_tools
from portico_gateway.agent.guided.calls.things import Thing, ThingKind
from portico_gateway.agent.guided.extraction.source_code.constants import defines, is_module
from portico_gateway.agent.guided.extraction.source_files import source_hits
from portico_gateway.agent.tool_host import ToolHost
from portico_gateway.guidance.tool_retrieval import TextEmbedding

DEFINING = "Find where a constant or variable is defined, and its value."  # what such a call is for
LONGEST_VALUE = 200  # characters of a definition that are told


def constant_lookup(
    answer: QuotedAnswer, host: ToolHost, made: Sequence[ToolCallFinished], embed: TextEmbedding
) -> ToolCallStarted | None:
    """The call for the first constant of the answer's place that was not looked up; None where there is none, or no tool."""
    constants = answer.candidate.constants if answer.candidate is not None and answer.parts else ()
    if not constants or answer.call is None:
        return None
    own = host.server_of(answer.call.tool)
    tools = [tool for tool in host.tools() if host.is_read_only(tool.name) and host.server_of(tool.name) == own]
    before = {(one.tool, str(one.arguments)) for one in made}
    for constant in constants:
        call = _lookup(constant.name, nearest_tools(DEFINING, tools, embed))
        if call is not None and (call.tool, str(call.arguments)) not in before:
            return call
    return None


def _lookup(name: str, tools: Sequence[Tool]) -> ToolCallStarted | None:
    thing = Thing(ThingKind.NAME, name, "")
    calls = ((tool, arguments) for tool in tools if (arguments := filled(tool, thing, {})) is not None)
    return next(
        (ToolCallStarted(tool.name, arguments) for tool, arguments in calls if not check_arguments(tool.parameters, arguments)),
        None,
    )


def defined_value(answer: QuotedAnswer, call: ToolCallFinished) -> str | None:
    """`path:line: NAME = value`, of the constant that a call has looked up; None where its result has no such line, or where
    several files give it another value and none is the one that the name is imported from."""
    given = set(map(str, call.arguments.values()))
    constant = next((c for c in (answer.candidate.constants if answer.candidate else ()) if c.name in given), None)
    if constant is None or not call.result.found:
        return None
    found = [(str(hit["path"]), line) for hit in source_hits(call.result) if (line := _definition(hit, constant.name))]
    own = [told for path, told in found if is_module(path, constant.module)] or [told for _, told in found]
    return own[0] if own and _is_one(own) else None


def _is_one(found: Sequence[str]) -> bool:
    """Do all of them give the same value?"""
    return len({told.partition(": ")[2] for told in found}) == 1


def _definition(hit: Mapping[str, Any], name: str) -> str | None:
    first = hit.get("start_line")
    for number, line in enumerate(str(hit.get("text") or "").splitlines()):
        if isinstance(first, int) and defines(line, name):
            return f"{hit['path']}:{first + number}: {line.strip()[:LONGEST_VALUE]}"
    return None
