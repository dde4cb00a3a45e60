"""Arrays and objects out of a question: written out as JSON, or spans that commas and "and" join."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from portico_gateway.guidance.copying.parameters import Parameter
from portico_gateway.guidance.copying.span_fit import SpanFit
from portico_gateway.guidance.copying.text.span import Span, SpanKind
from portico_gateway.guidance.copying.values.copied_value import CopiedValue
from portico_gateway.guidance.copying.values.listed_values import share_said
from portico_gateway.guidance.copying.values.written_forms import by_percent, written

MOST_BONUS = 4  # nats: one for each item but the first
_LISTED = (
    SpanKind.NUMBER, SpanKind.QUOTED, SpanKind.NAME, SpanKind.IDENTIFIER, SpanKind.PATH, SpanKind.URL, SpanKind.EMAIL,
    SpanKind.DATE, SpanKind.PHRASE,
)  # fmt: skip
_JOINT = re.compile(r"['\"`”]?\s*(?:,|;|&|/|and|or|,\s*and|,\s*or|,?\s*as well as|to|-)\s+(?:the\s+)?['\"`“]?|,")
_LONGEST_JOINT = 40  # characters


def array_values(fit: SpanFit, parameter: Parameter) -> Iterator[CopiedValue]:
    """Lists that are written out, spans that are joined by commas, and each span by itself; of listed items, those that are
    said."""
    w = fit.weights
    if options := [v for item in parameter.items for v in item.get("enum") or ()]:
        if said := [option for option in options if isinstance(option, str) and share_said(fit, option) >= 1.0]:
            yield CopiedValue(said, w.option, None, w.option)
        return
    kinds = _kinds(parameter)
    for span in fit.spans:
        if span.kind is SpanKind.LITERAL and isinstance(span.literal, list) and _all_of(span.literal, kinds):
            found = fit.of(parameter, span)
            yield CopiedValue(span.literal, found.weight + w.role, span, found.evidence + w.role)
    for run in _lists(fit):
        if (values := _items(fit, run, parameter, kinds)) is not None:
            whole = Span(fit.text[run[0].start : run[-1].end], run[0].start, run[-1].end, run[0].kind)
            found = fit.of(parameter, whole)
            yield CopiedValue(values, found.weight + min(len(run) - 1, MOST_BONUS), whole, found.evidence)


def _kinds(parameter: Parameter) -> set[str]:
    """JSON types of the items; empty: any."""
    types = [item.get("type") for item in parameter.items]
    return {kind for of in types for kind in ([of] if isinstance(of, str) else of or ())}


def _items(fit: SpanFit, run: Sequence[Span], parameter: Parameter, kinds: set[str]) -> list[Any] | None:
    """The run as values of such types; None where it can't be."""
    numeric = run[0].kind is SpanKind.NUMBER
    if numeric and kinds & {"integer", "number"}:
        numbers = [by_percent(span, parameter)[0] for span in run]
        return numbers if "number" in kinds or all(isinstance(n, int) for n in numbers) else None
    if (kinds and "string" not in kinds) or (numeric and parameter.asked_shape is not SpanKind.IDENTIFIER):
        return None
    return [written(fit, span, parameter) for span in run]


def _lists(fit: SpanFit) -> Iterator[list[Span]]:
    """Spans of one kind that commas and "and" join, from each span on."""
    for kind in _LISTED:
        spans = [span for span in fit.spans if span.kind is kind]
        followers = [_follower(fit.text, spans, at) for at in range(len(spans))]
        for first in range(len(spans)):
            run: list[Span] = []
            at: int | None = first
            while at is not None:
                run.append(spans[at])
                at = followers[at]
            yield run


def _follower(text: str, spans: Sequence[Span], at: int) -> int | None:
    """Which of the spans, in order of where they begin, is joined to this one."""
    for other in range(at + 1, len(spans)):
        if spans[other].start - spans[at].end > _LONGEST_JOINT:
            return None
        if joined(text, spans[at], spans[other]):
            return other
    return None


def joined(text: str, first: Span, second: Span) -> bool:
    """Does nothing but a comma or an "and" stand between two spans?"""
    return first.end < second.start and _JOINT.fullmatch(text[first.end : second.start].lower()) is not None


def _all_of(values: Sequence[Any], kinds: set[str]) -> bool:
    def kind_of(value: Any) -> set[str]:
        if isinstance(value, bool):
            return {"boolean"}
        if isinstance(value, int):
            return {"integer", "number"}
        if isinstance(value, float):
            return {"number"}
        return {"string"} if isinstance(value, str) else {"array"} if isinstance(value, list) else {"object"}

    return not kinds or all(kind_of(value) & kinds for value in values)


def object_values(fit: SpanFit, parameter: Parameter) -> Iterator[CopiedValue]:
    """Objects that are written out."""
    for span in fit.spans:
        if span.kind is SpanKind.LITERAL and isinstance(span.literal, dict):
            yield CopiedValue(span.literal, fit.of(parameter, span).weight + fit.weights.role, span, fit.weights.role)
