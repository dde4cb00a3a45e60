"""The last call again, with what a follow-up changed: nothing is written anew that was right before.

Only values that stand in the call as they were said are changed, all of them; where one is not there, the call meant it
otherwise (a year as two dates, a name by its id), and must be written anew. Whether the call is valid is its tool's schema's to
say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from portico_engine import Tool
from portico_engine.grammar import check_arguments
from portico_gateway.agent.events import ToolCallStarted
from portico_gateway.agent.guided.questions.elliptical_question import Change, CompletedQuestion
from portico_gateway.guidance.tool_retrieval import RankedTool


def reused_call(completed: CompletedQuestion | None, tools: Sequence[Tool]) -> ToolCallStarted | None:
    """The last call with the changes, where all of them have a place in it and its tool's schema takes it; else None."""
    if completed is None or completed.call is None or completed.changes is None:
        return None
    tool = next((tool for tool in tools if tool.name == completed.call.tool), None)
    if tool is None:
        return None
    arguments: dict[str, Any] = dict(completed.call.arguments)
    for change in completed.changes:
        changed = _changed(arguments, change)
        if changed == arguments:
            return None
        arguments = changed
    return None if check_arguments(tool.parameters, arguments) else ToolCallStarted(tool.name, arguments)


def of_same_tool(ranked: list[RankedTool], completed: CompletedQuestion | None) -> list[RankedTool]:
    """The last call's tool alone, where the question is the last one but for a value; else all of them."""
    if completed is None or completed.call is None or completed.changes is None:
        return ranked
    tool = completed.call.tool
    return [each for each in ranked if each.tool.name == tool] or ranked


def _changed(value: Any, change: Change) -> Any:
    """`value` with the change wherever it is said: as a whole value, or as words of a text of several."""
    match value:
        case Mapping():
            return {key: _changed(each, change) for key, each in value.items()}
        case list():
            return [_changed(each, change) for each in value]
        case str() if _plain(value) == _plain(change.old):
            return _plain(change.new, fold=False)
        case str() if " " in value:
            words = re.compile(rf"(?<!\w){re.escape(_plain(change.old, fold=False))}(?!\w)", re.IGNORECASE)
            return words.sub(lambda _: _plain(change.new, fold=False), value)
        case int() | float() if not isinstance(value, bool) and _number(change.old) == value:
            new = _number(change.new)
            return value if new is None else new
        case _:
            return value


def _plain(text: str, *, fold: bool = True) -> str:
    """A value as a call has it: without quotation marks."""
    bare = text.strip("\"'`“”")
    return bare.casefold() if fold else bare


def _number(text: str) -> int | float | None:
    digits = text.replace(",", "")
    try:
        return int(digits) if digits.lstrip("-").isdigit() else float(digits)
    except ValueError:
        return None
