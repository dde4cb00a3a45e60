"""What a look-up of a constant has found of its value: the line that defines it, with its place. It makes no call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.guided.answers.answer_generation import QuotedAnswer
from portico_gateway.agent.guided.extraction.source_code.constants import defines, is_module
from portico_gateway.agent.guided.extraction.source_files import source_hits

LONGEST_VALUE = 200  # characters of a definition that are told


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
