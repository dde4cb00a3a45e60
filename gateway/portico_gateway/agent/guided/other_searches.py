"""Other searches that may know what one was asked: where several servers search, what they find tells which one to ask.

A search is a tool whose only required argument is a query. It knows no tool by name, and makes no call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from portico_engine import Tool
from portico_engine.grammar import check_arguments
from portico_gateway.agent.events import ToolCallFinished, ToolCallStarted
from portico_gateway.guidance.description_convention import StringRole, string_role
from portico_gateway.guidance.question import read_question

MAX_OTHERS = 2


def other_searches(
    question: str, call: ToolCallFinished, tools: Sequence[Tool], server_of: Callable[[str], str]
) -> list[ToolCallStarted]:
    """The question as a query of the searches of other servers, one a server, where `call` was a search; of all servers
    where it was told nothing, as a listing is. `tools`: best first, and only what may be called without asking."""
    if call.arguments and not any(tool.name == call.tool and _query_key(tool) for tool in tools):
        return []
    asked = {server_of(call.tool)} if call.arguments else set()
    found: list[ToolCallStarted] = []
    for tool, arguments in _queries(question, tools):
        if (server := server_of(tool.name)) not in asked:
            asked.add(server)
            found.append(ToolCallStarted(tool.name, arguments))
    return found[:MAX_OTHERS]


def _queries(question: str, tools: Sequence[Tool]) -> Iterator[tuple[Tool, dict[str, str]]]:
    for tool in tools:
        key = _query_key(tool)
        query = question if "?" in tool.description else _topic(question)
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
