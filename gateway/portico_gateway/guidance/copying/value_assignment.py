"""Which span goes to which parameter: decided for all parameters of a tool together, since a question says a thing once.

What is required is filled first. It makes no values (`copied_values.py`) and narrows no schema (`copy_grammar.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from portico_gateway.guidance.copying.parameters import Parameter
from portico_gateway.guidance.copying.span_fit import SpanFit
from portico_gateway.guidance.copying.text.span import Span, SpanKind
from portico_gateway.guidance.copying.values.array_values import joined
from portico_gateway.guidance.copying.values.copied_value import CopiedValue
from portico_gateway.guidance.copying.values.copied_values import copied_values
from portico_gateway.guidance.weights import CopyWeights

MOST_VALUES = 16  # of one parameter
_END = re.compile(r"\b(?:start|end|from|to|min|minimum|max|maximum|lower|upper|begin|origin|destination|source|target)\b")
_INDEX = re.compile(rf"\b[a-hx-z]\b|\d+$|\b(?:first|second|third|one|two)\b|{_END.pattern}")
_SAID_FOR_A_REASON = frozenset((SpanKind.NAME, SpanKind.QUOTED, SpanKind.NUMBER, SpanKind.DATE, SpanKind.URL, SpanKind.EMAIL))
_BESIDE = 5  # characters between a time and its zone
_SWAPS = 3  # rounds of exchanging what two parameters got


@dataclass(frozen=True, slots=True)
class Filled:
    """One parameter: what it may be, the best first; none where the question says nothing that fits."""

    parameter: Parameter
    values: tuple[CopiedValue, ...]
    written: bool  # False: an optional one that stays out


def fill(fit: SpanFit) -> list[Filled]:
    """Every parameter of `fit`, in order."""
    found = [sorted(copied_values(fit, p), key=lambda v: -v.weight)[:MOST_VALUES] for p in fit.parameters]
    chosen = _assign(fit, found)
    out = []
    for parameter, values, best in zip(fit.parameters, found, chosen, strict=True):
        if best is not None:
            values = [best, *(v for v in values if v is not best)]
        out.append(Filled(parameter, tuple(values), best is not None))
    return out


def with_strings(of: Filled, weights: Mapping[str, float], share: float = 1.0) -> Filled:
    """With strings that something else speaks for, by weight (JSON-escaped), where the parameter is what is searched for;
    `share` of their weight counts."""
    parameter = of.parameter
    if parameter.options or "string" not in parameter.types or not weights or not parameter.searches:
        return of
    weights = {text: share * weight for text, weight in weights.items()}
    known = {value.value: value for value in of.values}
    more = [
        CopiedValue(text, weight + (known[text].weight if text in known else 0.0), known[text].span if text in known else None)
        for escaped, weight in weights.items()
        for text in [json.loads(f'"{escaped}"')]
    ]
    others = [value for value in of.values if value.value not in {each.value for each in more}]
    values = sorted((*more, *others), key=lambda value: -value.weight)
    return Filled(parameter, tuple(values), of.written or parameter.required)


def _assign(fit: SpanFit, found: Sequence[Sequence[CopiedValue]]) -> list[CopiedValue | None]:
    """One value a parameter, no span twice: what is required first, from the best pair down, then better by exchange."""
    chosen: list[CopiedValue | None] = [None] * len(found)
    for needed in (True, False):
        at = [i for i, parameter in enumerate(fit.parameters) if parameter.required is needed]
        pairs = sorted(((value.weight, -i, value) for i in at for value in found[i]), key=lambda pair: pair[:2], reverse=True)
        for _, i, value in pairs:
            i = -i
            if chosen[i] is None and _worth(fit, i, value) and not any(_clash(value, other) for other in chosen):
                chosen[i] = value
        for _ in range(_SWAPS):
            if not _improved(fit, found, chosen):
                break
    _in_order(fit, found, chosen)
    _take_what_is_left(fit, found, chosen)
    return chosen


def _take_what_is_left(fit: SpanFit, found: Sequence[Sequence[CopiedValue]], chosen: list[CopiedValue | None]) -> None:
    """A name, a quotation or a number that nobody took is meant for something: for the optional parameter that it fits best."""
    pairs = sorted(
        (
            (value.weight, -i, value)
            for i, parameter in enumerate(fit.parameters)
            if chosen[i] is None and not parameter.required
            for value in found[i]
            if value.span is not None and value.span.kind in _SAID_FOR_A_REASON and value.weight >= fit.weights.least_left_over
        ),
        key=lambda pair: pair[:2],
        reverse=True,
    )
    for _, i, value in pairs:
        if chosen[-i] is None and not any(_clash(value, other) for other in chosen):
            chosen[-i] = value


def _in_order(fit: SpanFit, found: Sequence[Sequence[CopiedValue]], chosen: list[CopiedValue | None]) -> None:
    """Parameters whose names differ by an index alone (`a` and `b`, `group1` and `group2`) are filled as the text goes; so are
    two ends (`start_year`, `end_year`) of what is said in one breath ("300 to 400")."""
    groups: dict[tuple[str, frozenset[str]], list[int]] = {}
    for i, parameter in enumerate(fit.parameters):
        if (value := chosen[i]) is not None and value.span is not None:
            groups.setdefault((_INDEX.sub("", parameter.name), parameter.types), []).append(i)
    for members in groups.values():
        spans = sorted((value.span for i in members if (value := chosen[i]) and value.span), key=lambda span: span.start)
        ends = any(_END.search(fit.parameters[i].name) for i in members)
        zones = all(span.kind is SpanKind.ZONE for span in spans) and not _cued(fit, spans)
        if len(members) < 2 or (ends and not zones and not all(map(partial(joined, fit.text), spans, spans[1:]))):
            continue
        if ends and zones:
            spans.sort(key=partial(_without_time, fit))
        values = [next((v for v in found[i] if v.span == span), None) for i, span in zip(members, spans, strict=True)]
        if all(values):
            for i, value in zip(members, values, strict=True):
                chosen[i] = value


def _cued(fit: SpanFit, spans: Sequence[Span]) -> bool:
    """Does a preposition say which end one of them is?"""
    return any(re.search(r"\b(?:from|to|into)\s+$", fit.text[: span.start], re.IGNORECASE) for span in spans)


def _without_time(fit: SpanFit, zone: Span) -> bool:
    """Is it not the zone of the time that is said: the end to which that is converted? "18:15 in Asia/Dubai" is the start."""
    times = (span for span in fit.spans if span.kind is SpanKind.TIME)
    return not any(0 <= zone.start - time.end <= _BESIDE for time in times)


def _least(weights: CopyWeights, parameter: Parameter) -> float:
    if not parameter.required:
        return weights.least_optional
    return weights.least_number if parameter.types & {"integer", "number"} else weights.least


def _worth(fit: SpanFit, at: int, value: CopiedValue) -> bool:
    parameter = fit.parameters[at]
    least = _least(fit.weights, parameter)
    if parameter.required and value.span is not None and value.span.kind not in (SpanKind.PHRASE, SpanKind.CLAUSE):
        least = min(least, fit.weights.least_shaped)
    return value.weight >= least if parameter.required else value.evidence >= least


def _improved(fit: SpanFit, found: Sequence[Sequence[CopiedValue]], chosen: list[CopiedValue | None]) -> bool:
    """Let two parameters exchange spans where both together gain."""
    better = False
    for i in range(len(found)):
        for j in range(i + 1, len(found)):
            ours, theirs = chosen[i], chosen[j]
            if ours is None or theirs is None or ours.span is None or theirs.span is None:
                continue
            mine = next((v for v in found[i] if v.span == theirs.span and _worth(fit, i, v)), None)
            yours = next((v for v in found[j] if v.span == ours.span and _worth(fit, j, v)), None)
            if mine and yours and mine.weight + yours.weight > ours.weight + theirs.weight:
                chosen[i], chosen[j] = mine, yours
                better = True
    return better


def _clash(value: CopiedValue, other: CopiedValue | None) -> bool:
    if value.span is None or other is None or other.span is None or (value.listed and other.listed):
        return False
    return value.span.start < other.span.end and other.span.start < value.span.end
