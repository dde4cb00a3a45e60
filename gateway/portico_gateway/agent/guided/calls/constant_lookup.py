"""The call that follows a value to another file: a default that is a constant, `timeout=DEFAULT_TIMEOUT`, is looked up.

It is a tool of the same server that only reads and needs a name alone; the one that is nearest to defining goes first. It knows
no tool by name and makes no call.
"""

from __future__ import annotations

from collections.abc import Sequence

from portico_engine import Tool
from portico_engine.grammar import check_arguments
from portico_gateway.agent.events import ToolCallFinished, ToolCallStarted
from portico_gateway.agent.guided.answers.answer_generation import QuotedAnswer
from portico_gateway.agent.guided.calls.follow_up import filled, nearest_tools
from portico_gateway.agent.guided.calls.things import Thing, ThingKind
from portico_gateway.agent.tool_host import ToolHost
from portico_gateway.guidance.tool_retrieval import TextEmbedding

DEFINING = "Find where a constant or variable is defined, and its value."  # what such a call is for


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
