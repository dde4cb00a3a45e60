"""The call that comes after a result which names a thing and does not say what was asked about it: read it, or look it up.

Chosen by schemas and shapes: a tool that only reads, of the same server, whose required arguments are all filled by what the
first call was given and by one thing that its result names. It knows no tool by name and makes no call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from portico_engine import Tool
from portico_engine.grammar import check_arguments
from portico_gateway.agent.events import ToolCallFinished, ToolCallStarted
from portico_gateway.agent.guided.calls.things import Thing, ThingKind, things_in
from portico_gateway.guidance.copying.text.span import Span, SpanKind
from portico_gateway.guidance.copying.text.spans import read_spans
from portico_gateway.guidance.copying.text.written_dates import WrittenDate, read_date
from portico_gateway.guidance.schema_views import variants
from portico_gateway.guidance.stemming import stems_of
from portico_gateway.guidance.tool_retrieval import TextEmbedding

_KEYS = {
    ThingKind.PATH: frozenset("path paths file files filename uri url page".split()),
    ThingKind.ID: frozenset("id ids revision commit sha hash ref key number".split()),
    ThingKind.NAME: frozenset("name names symbol node nodes entity entities table title".split()),
}
_FOLDERS = frozenset("repo repository directory folder dir root".split())  # no file's name
DATED = 2  # shared words that a name is worth which has the day that is asked about, "2025-03-04" for "4 March"
BEST_THINGS = 4  # that are tried as arguments
READING = "Read the contents of one file, page, entry or record and show all of it."  # what a following call is for


def follow_up(
    question: str, call: ToolCallFinished, tools: Sequence[Tool], made: Sequence[ToolCallFinished], embed: TextEmbedding
) -> ToolCallStarted | None:
    """The next call, or None where no tool takes what was found. `tools` are the ones that may be called."""
    data = call.result.data or {}
    if "hits" in data or "rows" in data:  # it has contents, no mere names
        return None
    tools = nearest_tools(READING, tools, embed)
    before = {(one.tool, str(one.arguments)) for one in made}
    said = str(call.arguments).lower()
    things = [thing for thing in nearest_things(question, things_in(call.result), embed) if thing.text.lower() not in said]
    for thing in things[:BEST_THINGS]:
        for tool in tools:
            arguments = filled(tool, thing, call.arguments)
            if arguments is None or (tool.name, str(arguments)) in before:
                continue
            if not check_arguments(tool.parameters, arguments):
                return ToolCallStarted(tool.name, arguments)
    return None


def nearest_tools(purpose: str, tools: Sequence[Tool], embed: TextEmbedding) -> list[Tool]:
    """The tools in the order in which their names and descriptions are near to what one is wanted for."""
    if not tools:
        return []
    vectors = embed([purpose, *(f"{tool.name.rpartition('__')[2]} {tool.description}"[:300] for tool in tools)])
    near = (vectors[1:] @ vectors[0]).tolist()
    return [tools[i] for i in sorted(range(len(tools)), key=lambda i: -near[i])]


def nearest_things(question: str, things: Sequence[Thing], embed: TextEmbedding) -> list[Thing]:
    """The things in the order in which the words around them are near to the question."""
    if not things:
        return []
    asked = set(stems_of(question))
    vectors = embed([question, *(f"{thing.text} {thing.about}" for thing in things)])
    near = (vectors[1:] @ vectors[0]).tolist()
    days = [f"{date.month:02}-{date.day:02}" for span in read_spans(question) if (date := _day(span))]
    dated = [DATED * any(day in thing.text for day in days) for thing in things]
    shared = [len(asked & set(stems_of(f"{t.text} {t.about}".replace("_", " ").replace("-", " ")))) for t in things]
    order = sorted(range(len(things)), key=lambda i: -(dated[i] + shared[i] + near[i]))
    return [things[i] for i in order]


def _day(span: Span) -> WrittenDate | None:
    """The date that a span says; None where it says no day."""
    date = read_date(span.text) if span.kind is SpanKind.DATE else None
    return date if date is not None and date.day else None


def filled(tool: Tool, thing: Thing, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The tool's required arguments, one of them the thing; None where that leaves one open."""
    view = next(iter(variants(tool.parameters, tool.parameters)), {})
    properties = view.get("properties") or {}
    required = list(view.get("required") or ())
    arguments: dict[str, Any] = {}
    for key in required:
        takes = list(_takes(key, variants(properties.get(key), tool.parameters), thing))
        if takes and thing.text not in map(str, arguments.values()):
            arguments[key] = takes[0]
        elif key in given:
            arguments[key] = given[key]
        else:
            return None
    return arguments if any(value in (thing.text, [thing.text]) for value in arguments.values()) else None


def _takes(key: str, nodes: Sequence[Mapping[str, Any]], thing: Thing) -> Iterator[Any]:
    """The thing as a value of a key of its kind: itself, or a list of it."""
    words = set(key.lower().replace("-", "_").split("_"))
    if not words & _KEYS[thing.kind] or (words & _FOLDERS and "." in thing.text.rsplit("/", 1)[-1]):
        return
    for node in nodes:
        if node.get("type") == "string" and "enum" not in node:
            yield thing.text
        elif node.get("type") == "array":
            yield [thing.text]
