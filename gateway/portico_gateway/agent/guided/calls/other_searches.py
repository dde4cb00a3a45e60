"""The whole question to searches: to the one that was called, where it takes questions, and to those of other servers.

A small model's query is a span of the question, and its choice among searches is half chance; asking all of them costs
milliseconds, and what they find tells which one knew. A search is a tool whose only required argument is a query; it takes
questions where its description shows one. It knows no tool by name, and makes no call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from portico_engine import Tool
from portico_engine.grammar import check_arguments
from portico_gateway.agent.events import ToolCallFinished, ToolCallStarted
from portico_gateway.guidance.description_convention import StringRole, shows_question, string_role
from portico_gateway.guidance.question import read_question

MAX_OTHERS = 2


def in_whole(question: str, call: ToolCallStarted, tools: Sequence[Tool]) -> ToolCallStarted:
    """The call with the whole question as its query, where it is one of a search that takes questions."""
    tool = next((tool for tool in tools if tool.name == call.tool), None)
    key = _query_key(tool) if tool is not None and shows_question(tool.description) else None
    if tool is None or key is None:
        return call
    arguments = {**call.arguments, key: question}
    return call if check_arguments(tool.parameters, arguments) else replace(call, arguments=arguments)


def other_searches(
    question: str, call: ToolCallFinished, tools: Sequence[Tool], server_of: Callable[[str], str]
) -> list[ToolCallStarted]:
    """The question as a query of searches, one a server: where `call` was a search, or one of a server whose search takes
    questions, of the other servers, and of its own where that takes questions and was not asked just this; of all servers
    where it was told nothing, as a listing is. `tools`: best first, and only what may be called without asking."""
    own = server_of(call.tool)
    queries = list(_queries(question, tools))
    asking = {server_of(tool.name) for tool, _ in queries if shows_question(tool.description)}
    searched = any(tool.name == call.tool and _query_key(tool) for tool in tools)
    if call.arguments and not searched and own not in asking:
        return []
    asked = {own} if call.arguments and own not in asking else set()
    found: list[ToolCallStarted] = []
    for tool, arguments in queries:
        server = server_of(tool.name)
        is_best = server not in asking or shows_question(tool.description)
        if is_best and server not in asked:
            asked.add(server)
            if (tool.name, arguments) != (call.tool, call.arguments):
                found.append(ToolCallStarted(tool.name, arguments))
    return found[:MAX_OTHERS]


def _queries(question: str, tools: Sequence[Tool]) -> Iterator[tuple[Tool, dict[str, str]]]:
    for tool in tools:
        key = _query_key(tool)
        query = question if shows_question(tool.description) else _topic(question)
        if key and not check_arguments(tool.parameters, {key: query}):
            yield tool, {key: query}


def _topic(question: str) -> str:
    """What a search that shows no typical question is told: it may look for exactly that, so a name, or the last word that
    matters."""
    read = read_question(question)
    named = [value.text for value in read.values if value.kinds & {"name", "quoted"}]
    words = [token.text for token in read.tokens if token.stem is not None]
    return next(iter((*named, *read.identifiers, *reversed(words))), question)


def search_instead(call: ToolCallFinished, tools: Sequence[Tool], server_of: Callable[[str], str]) -> ToolCallStarted | None:
    """Where nothing has just the name that a call was given, the same server's search for it; None where it has none."""
    named = next((text for value in call.arguments.values() for text in _texts(value)), None)
    if named is None or any(tool.name == call.tool and _query_key(tool) for tool in tools):
        return None
    for tool in tools:
        key = _query_key(tool)
        if key and server_of(tool.name) == server_of(call.tool) and not check_arguments(tool.parameters, {key: named}):
            return ToolCallStarted(tool.name, {key: named})
    return None


def _texts(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


def _query_key(tool: Tool) -> str | None:
    """The argument of a search that takes the query; None where the tool is none, or must be told more."""
    required: Sequence[str] = tool.parameters.get("required") or ()
    if len(required) != 1:
        return None
    schema = (tool.parameters.get("properties") or {}).get(required[0])
    is_text = isinstance(schema, dict) and schema.get("type") == "string" and "enum" not in schema
    return required[0] if is_text and string_role(required[0]) is StringRole.QUERY else None
