"""A guided call with what the servers themselves say of the question: which of them knows, and what its tool is told.

A tool whose server proposes a call is narrowed to that; a search is told the question as it is asked. It asks no server.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from portico_engine import CallPrior, Tool
from portico_engine.grammar import check_arguments
from portico_gateway.guidance.guided_call import GuidedCall
from portico_gateway.guidance.question_evidence import Evidence, QuestionEvidence
from portico_gateway.guidance.question_readings import FoundPlaces, QuestionReading, Readings
from portico_gateway.guidance.tool_nearness import server_of
from portico_gateway.guidance.weights import ReadingWeights


def with_readings(
    guided: GuidedCall, question: str, readings: Readings, evidence: QuestionEvidence, weights: ReadingWeights
) -> GuidedCall:
    """The call, its tools weighed by what their servers have found and narrowed to what these say. A server counts by the best
    of its tools' readings, for all of its tools: which of them is called, the words of the question say."""
    if guided.prior is None or not readings:
        return guided
    found: dict[str, float] = {}
    for tool, reading in readings.items():
        worth = _worth(reading, evidence.of(reading), weights)
        found[server_of(tool)] = max(worth, found.get(server_of(tool), worth))
    names = {name: weight + found.get(server_of(name), 0.0) for name, weight in guided.prior.names.items()}
    called = {name: reading for name, reading in readings.items() if isinstance(reading, QuestionReading)}
    calls = ChainMap(dict.fromkeys(called, CallPrior()), dict(guided.prior.calls))
    tools = tuple(narrowed_to(tool, question, readings.get(tool.name)) for tool in guided.tools)
    free = {name: paths for name, paths in guided.free.items() if name not in called}
    return GuidedCall(tools, replace(guided.prior, names=_best_first(names), calls=calls), free)


def narrowed_to(tool: Tool, question: str, reading: QuestionReading | FoundPlaces | None) -> Tool:
    """The tool as its server's reading leaves it."""
    if isinstance(reading, QuestionReading):
        return replace(tool, parameters=dict(reading.schema))
    if not isinstance(reading, FoundPlaces):
        return tool
    required: Sequence[str] = tool.parameters.get("required") or ()
    if len(required) != 1:
        return tool  # more is to be said
    copied = [_without_copies(part, required[0]) for part in tool.parameters.get("allOf") or ()]
    whole = {**tool.parameters, "allOf": [*copied, {"properties": {required[0]: {"const": question}}}]}
    return tool if check_arguments(whole, {required[0]: question}) else replace(tool, parameters=whole)


def _without_copies(part: Any, name: str) -> Any:
    """What a tool is narrowed to, but for the parts of the question that this argument may be."""
    properties = part.get("properties") if isinstance(part, Mapping) else None
    if not isinstance(properties, Mapping) or "enum" not in (properties.get(name) or ()):
        return part
    return {**part, "properties": {key: schema for key, schema in properties.items() if key != name}}


def _worth(reading: QuestionReading | FoundPlaces, found: Evidence, weights: ReadingWeights) -> float:
    """In nats, on the names of a server's tools."""
    if isinstance(reading, QuestionReading):
        return weights.asked + weights.call + weights.call_covered * found.covered
    return weights.asked + weights.covered * found.covered + weights.similar * found.similar


def _best_first(names: Mapping[str, float]) -> dict[str, float]:
    """The same with 0 for the best."""
    best = max(names.values(), default=0.0)
    return {name: weight - best for name, weight in names.items()}
