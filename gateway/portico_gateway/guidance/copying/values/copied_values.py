"""What a parameter may be, out of a question: spans of it, listed values, its default, each with its weight.

Strings and numbers are copied; how arrays are made of spans is `array_values.py`'s, what speaks for listed values and booleans
`listed_values.py`'s, which span goes to which parameter `value_assignment.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from portico_gateway.guidance.copying.parameters import Parameter
from portico_gateway.guidance.copying.span_fit import SpanFit
from portico_gateway.guidance.copying.text.span import Span, SpanKind
from portico_gateway.guidance.copying.text.written_dates import read_date
from portico_gateway.guidance.copying.values.array_values import array_values, object_values
from portico_gateway.guidance.copying.values.copied_value import CopiedValue
from portico_gateway.guidance.copying.values.glob_values import glob_values
from portico_gateway.guidance.copying.values.listed_values import is_said, listed_values, truth_values
from portico_gateway.guidance.copying.values.written_forms import by_percent, written
from portico_gateway.guidance.stemming import stems_of

_EXAMPLES = re.compile(r"\be\.g\b|\bexample|\bfor instance|\bsuch as\b|\blike\b", re.IGNORECASE)
_SEARCHES = re.compile(r"\b(?:search|find)")  # a tool whose search begins in a folder: where none is said, in this one
_PATTERNS = frozenset(stems_of("pattern glob"))
NEVER = -99.0  # nats: a default that need not be written
_PARTS = frozenset(stems_of("year month day"))


def copied_values(fit: SpanFit, parameter: Parameter) -> Iterator[CopiedValue]:
    """All that it may be, in no order."""
    types = parameter.types
    if parameter.options:
        yield from listed_values(fit, parameter)
    elif types == {"boolean"}:
        yield from truth_values(fit, parameter)
    elif "array" in types:
        yield from array_values(fit, parameter)
    elif "object" in types:
        yield from object_values(fit, parameter)
    else:
        if types & {"integer", "number"}:
            yield from _numbers(fit, parameter)
        if "string" in types or not types:
            yield from _strings(fit, parameter)
    yield from _defaults(fit, parameter)


def _defaults(fit: SpanFit, parameter: Parameter) -> Iterator[CopiedValue]:
    default = parameter.default
    if default is not None and not (parameter.options or parameter.types == {"boolean"}):
        yield CopiedValue(default, fit.weights.default if parameter.required else NEVER)


def _numbers(fit: SpanFit, parameter: Parameter) -> Iterator[CopiedValue]:
    whole = parameter.types & {"integer", "number"} == {"integer"}
    for span in fit.spans:
        if span.kind is SpanKind.NUMBER:
            found = fit.of(parameter, span)
            numbers = [n for n in by_percent(span, parameter) if not whole or isinstance(n, int)]
            for rank, number in enumerate(numbers):
                yield CopiedValue(number, found.weight - rank, span, found.evidence)
        elif span.kind is SpanKind.DATE and parameter.name_stems & _PARTS and (part := _part(span, parameter)) is not None:
            weight = fit.of(parameter, span).weight + fit.weights.role
            yield CopiedValue(part, weight, replace(span, end=span.start), fit.weights.role)  # the date stays free for others


def _part(span: Span, parameter: Parameter) -> int | None:
    """The year, month or day of a date, whichever the parameter's name says."""
    date = read_date(span.text)
    if date is None:
        return None
    return date.year if "year" in parameter.name else date.month if "month" in parameter.name else date.day


def _is_closed(parameter: Parameter) -> bool:
    """Does the description name words that look like all that it may be, and not like examples?"""
    words = [option for option in parameter.listed if re.fullmatch(r"[a-z][a-z_-]+", option)]
    return len(words) > 1 and len(words) == len(parameter.listed) and not _EXAMPLES.search(parameter.description)


def _strings(fit: SpanFit, parameter: Parameter) -> Iterator[CopiedValue]:
    closed = parameter.required and _is_closed(parameter)
    for rank, option in enumerate(parameter.listed):
        if is_said(fit.question, option):
            yield CopiedValue(option, fit.weights.option, None, fit.weights.option)
        elif closed:
            yield CopiedValue(option, fit.weights.unsaid_option - 0.01 * rank)
    if closed:
        return
    if parameter.required and parameter.name_stems & _PATTERNS and "glob" in fit.about:
        yield from glob_values(fit, parameter)
        return
    is_root = parameter.required and parameter.asked_shape is SpanKind.PATH and len(fit.parameters) > 1
    if is_root and _SEARCHES.search(fit.about):
        yield CopiedValue(".", fit.weights.least)
    for span in fit.spans:
        if span.kind is not SpanKind.LITERAL and (text := written(fit, span, parameter)):
            found = fit.of(parameter, span)
            yield CopiedValue(text, found.weight, span, found.evidence)
