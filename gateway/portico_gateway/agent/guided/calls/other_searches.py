"""The whole question to searches: to the one that was called, where it takes questions, and to those of other servers.

A small model's query is a span of the question, and its choice among searches is half chance; asking all of them costs
milliseconds, and what they find tells which one knew. A search is a tool whose only required argument is a query; it takes
questions where its description shows one. It knows no tool by name, and makes no call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from portico_engine import Tool
from portico_engine.grammar import check_arguments
from portico_gateway.agent.events import ToolCallFinished, ToolCallStarted
from portico_gateway.guidance.description_convention import ROOM, StringRole, shows_question, string_role
from portico_gateway.guidance.question import read_question
from portico_gateway.guidance.stemming import content_words, spaced, stems_of

MAX_OTHERS = 2
ROOMY = 2_000  # tokens of a search's answer: all of it is read here, and a host's usual share leaves out one answer in fifteen
_OWNER = re.compile(r"\W*([A-Z]\w+)['’]s\b")
_SPEAKING = frozenset("say says said tell tells told mention mentions write writes written wrote about know known".split())
_CONTRACTED = frozenset("what who where when why how which it that this there here he she let one".split())
_PRONOUNS = frozenset(
    f"{some}{thing}" for some in ("some", "any", "every", "no") for thing in ("one", "body", "thing", "where")
)


def in_whole(question: str, call: ToolCallStarted, tools: Sequence[Tool]) -> ToolCallStarted:
    """The call with the whole question as its query, where it is one of a search that takes questions."""
    tool = next((tool for tool in tools if tool.name == call.tool), None)
    key = _query_key(tool) if tool is not None and shows_question(tool.description) else None
    if tool is None or key is None:
        return call
    arguments = _with_room(tool, {**call.arguments, key: question})
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


def _queries(question: str, tools: Sequence[Tool]) -> Iterator[tuple[Tool, dict[str, Any]]]:
    for tool in tools:
        key = _query_key(tool)
        query = question if shows_question(tool.description) else _topic(question)
        if key and not check_arguments(tool.parameters, {key: query}):
            yield tool, _with_room(tool, {key: query})


def _with_room(tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, with room for what is read here, where the tool can be told."""
    roomy = {**arguments, ROOM: ROOMY}
    known = ROOM in (tool.parameters.get("properties") or {}) and ROOM not in arguments
    return roomy if known and not check_arguments(tool.parameters, roomy) else arguments


def _topic(question: str) -> str:
    """What a search that shows no typical question is told: it may look for exactly that, so a name, or the last word that
    matters and stands for no other."""
    read = read_question(question)
    first = _OWNER.match(question)  # a sentence's first word is a name where it owns something
    named = [first[1]] if first and first[1].lower() not in _CONTRACTED else []
    named += [value.text for value in read.values if value.kinds & {"name", "quoted"}]
    words = [token.text for token in read.tokens if token.stem is not None and token.low not in _PRONOUNS]
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


def narrower_search(call: ToolCallFinished, tool: Tool, made: Sequence[ToolCallFinished]) -> ToolCallStarted | None:
    """A search that found nothing, once more with fewer words: many look for all of them at once. Without those that only speak
    of the search itself ("the newsletter", "say"), else with the last two; None where that leaves what was asked."""
    key = _query_key(tool)
    query = call.arguments.get(key) if key is not None else None
    if key is None or not isinstance(query, str) or shows_question(tool.description):
        return None
    own = {*stems_of(spaced(tool.name)), *stems_of(tool.description)}
    words = [word for word in re.findall(r"[\w'’.-]+", query) if content_words(word)]
    fewer = [word for word in words if word.lower() not in _SPEAKING and not set(stems_of(word)) <= own]
    for chosen in (fewer, fewer[-2:], fewer[-1:]):
        arguments = {**call.arguments, key: " ".join(chosen)}
        again = any((one.tool, one.arguments) == (call.tool, arguments) for one in made)
        if chosen and len(chosen) < len(words) and not again and not check_arguments(tool.parameters, arguments):
            return ToolCallStarted(call.tool, arguments)
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
