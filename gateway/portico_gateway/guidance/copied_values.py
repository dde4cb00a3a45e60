"""What each parameter of a tool may be, out of a question: spans of it, listed values, defaults, each with its weight.

Strings, numbers and arrays are copied; listed values and booleans are chosen by words. Which span goes to which parameter is
decided for all of them together, since a span is said once. It narrows no schema: `copy_grammar.py` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from portico_gateway.guidance.description_convention import StringRole, string_role
from portico_gateway.guidance.parameters import Parameter
from portico_gateway.guidance.span_fit import SpanFit, asked_shape
from portico_gateway.guidance.spans import Span, SpanKind
from portico_gateway.guidance.stemming import content_words, spaced, stems_of
from portico_gateway.guidance.weights import CopyWeights
from portico_gateway.guidance.written_dates import read_date, read_time, write_date

MOST_VALUES = 16  # of one parameter
_END = re.compile(r"\b(?:start|end|from|to|min|minimum|max|maximum|lower|upper|begin|origin|destination|source|target)\b")
_INDEX = re.compile(rf"\b[a-hx-z]\b|\d+$|\b(?:first|second|third|one|two)\b|{_END.pattern}")
_SAID_FOR_A_REASON = frozenset((SpanKind.NAME, SpanKind.QUOTED, SpanKind.NUMBER, SpanKind.DATE, SpanKind.URL, SpanKind.EMAIL))
_SWAPS = 3  # rounds of exchanging what two parameters got
_NEGATION_REACH = 7  # tokens
_NEGATIONS = frozenset(
    "no not without don't don’t never exclude excluding except disable disabled off skip doesn't avoid".split()
)
_PLAIN_WORDS = frozenset(
    stem
    for word in "is has include includes enable use return show get with flag whether allow add set only should do".split()
    for stem in stems_of(word)
)


@dataclass(frozen=True, slots=True)
class CopiedValue:
    """A JSON value that a parameter may have, with its weight in nats; `span` where it was copied from."""

    value: Any
    weight: float
    span: Span | None = None
    evidence: float = 0.0  # the part of the weight that the question's words make out
    listed: bool = False  # one that the schema lists: two parameters may mean the same words


@dataclass(frozen=True, slots=True)
class Filled:
    """One parameter: what it may be, the best first; none where the question says nothing that fits."""

    parameter: Parameter
    values: tuple[CopiedValue, ...]
    written: bool  # False: an optional one that stays out


def fill(fit: SpanFit) -> list[Filled]:
    """Every parameter of `fit`, in order."""
    found = [sorted(_values(fit, p), key=lambda v: -v.weight)[:MOST_VALUES] for p in fit.parameters]
    chosen = _assign(fit, found)
    out = []
    for parameter, values, best in zip(fit.parameters, found, chosen, strict=True):
        if best is not None:
            values = [best, *(v for v in values if v is not best)]
        out.append(Filled(parameter, tuple(values), best is not None))
    return out


def with_strings(of: Filled, weights: Mapping[str, float]) -> Filled:
    """With strings that something else speaks for, by their weights (JSON-escaped), where the parameter is what is searched for."""
    parameter = of.parameter
    query = string_role(parameter.keys[-1], parameter.description) is StringRole.QUERY
    if parameter.options or "string" not in parameter.types or not weights or not query:
        return of
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


def _take_what_is_left(
    fit: SpanFit, found: Sequence[Sequence[CopiedValue]], chosen: list[CopiedValue | None]
) -> None:
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
        if len(members) < 2 or (ends and not all(map(partial(_joined, fit.text), spans, spans[1:]))):
            continue
        values = [next((v for v in found[i] if v.span == span), None) for i, span in zip(members, spans, strict=True)]
        if all(values):
            for i, value in zip(members, values, strict=True):
                chosen[i] = value


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


def _values(fit: SpanFit, parameter: Parameter) -> Iterator[CopiedValue]:
    types = parameter.types
    if parameter.options:
        yield from _options(fit, parameter)
    elif types == {"boolean"}:
        yield from _booleans(fit, parameter)
    elif "array" in types:
        yield from _arrays(fit, parameter)
    elif "object" in types:
        yield from _objects(fit, parameter)
    else:
        if types & {"integer", "number"}:
            yield from _numbers(fit, parameter)
        if "string" in types or not types:
            yield from _strings(fit, parameter)
    yield from _defaults(fit, parameter)


def _defaults(fit: SpanFit, parameter: Parameter) -> Iterator[CopiedValue]:
    default = parameter.default
    if default is not None and not (parameter.options or parameter.types == {"boolean"}):
        yield CopiedValue(default, fit.weights.default if parameter.required else -99.0)


def _numbers(fit: SpanFit, parameter: Parameter) -> Iterator[CopiedValue]:
    whole = parameter.types & {"integer", "number"} == {"integer"}
    for span in fit.spans:
        if span.kind is SpanKind.NUMBER:
            numbers = _by_percent(span, parameter)
            for rank, number in enumerate(n for n in numbers if not whole or isinstance(n, int)):
                yield CopiedValue(number, fit.of(parameter, span) - rank, span, fit.evidence(parameter, span))
        elif span.kind is SpanKind.DATE and parameter.name_stems & set(stems_of("year month day")):
            date = read_date(span.text)
            part = (
                None
                if date is None
                else date.year
                if "year" in parameter.name
                else date.month
                if "month" in parameter.name
                else date.day
            )
            if part is not None:
                yield CopiedValue(
                    part, fit.of(parameter, span) + fit.weights.role, replace(span, end=span.start), fit.weights.role
                )


def _by_percent(span: Span, parameter: Parameter) -> Sequence[int | float]:
    """20% is 20 where the parameter is a percentage, else 0.2."""
    if not span.percent:
        return span.numbers
    said = parameter.description.lower()
    decimal = "decimal" in said or "0." in said or (isinstance(parameter.default, float) and abs(parameter.default) < 1)
    percentage = "integer" in parameter.types or ("percent" in f"{said} {parameter.name}" and not decimal)
    return span.numbers if percentage else span.numbers[::-1]


def _strings(fit: SpanFit, parameter: Parameter) -> Iterator[CopiedValue]:
    w = fit.weights
    for option in parameter.listed:
        if _said(fit, option):
            yield CopiedValue(option, w.option, None, w.option)
    for span in fit.spans:
        if span.kind is SpanKind.LITERAL:
            continue
        text = _written(fit, span, parameter)
        if text:
            yield CopiedValue(text, fit.of(parameter, span), span, fit.evidence(parameter, span))


def _written(fit: SpanFit, span: Span, parameter: Parameter) -> str:
    """The span as the parameter's description wants it written: dates and times anew, everything else as it stands."""
    if span.kind is SpanKind.DATE and (date := read_date(span.text)):
        written = write_date(date._replace(year=date.year or fit.year), parameter.description)
        if written and re.search(r"T?HH:|T\d\d:", parameter.description):
            after = next((s for s in fit.spans if s.kind is SpanKind.TIME and 0 <= s.start - span.end < 12), None)
            clock = read_time(after.text) if after else "00:00:00"
            return f"{written}T{clock}"
        return written or span.text
    if span.kind is SpanKind.TIME and re.search(r"HH:MM", parameter.description) and (clock := read_time(span.text)):
        return clock if "HH:MM:SS" in parameter.description else clock[:5]
    return span.text


def _options(fit: SpanFit, parameter: Parameter) -> Iterator[CopiedValue]:
    w = fit.weights
    truths = [o for o in parameter.options if str(o).lower() in ("true", "false", "yes", "no")]
    for rank, option in enumerate(parameter.options):
        if (number := _as_number(option)) is not None:
            near = [
                (fit.of(parameter, s), fit.evidence(parameter, s))
                for s in fit.spans
                if s.kind is SpanKind.NUMBER and number in s.numbers
            ]
            weight, evidence = max(near, default=(0.0, 0.0))
            yield CopiedValue(option, weight - 0.01 * rank, None, evidence)
            continue
        if option in truths:
            spoken = _spoken(fit, parameter, truth=str(option).lower() in ("true", "yes"))
            yield CopiedValue(option, spoken + w.least, None, spoken)
            continue
        if not isinstance(option, str):
            yield CopiedValue(option, 0.0)
            continue
        said = w.option * _share_said(fit, option)
        sense = w.option_sense * fit._vectors.cosine(spaced(option), fit.text)
        default = 2 * w.default if option == parameter.default else 0.0
        yield CopiedValue(option, said + sense + default - 0.01 * rank + w.least, _mention(fit, option), said if said >= w.option else 0.0, listed=True)


def _said(fit: SpanFit, option: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(option)}(?!\w)", fit.text, re.IGNORECASE))


def _mention(fit: SpanFit, option: str) -> Span | None:
    """Where an option is said, word by word."""
    match = re.search(rf"(?<!\w){re.escape(spaced(option))}s?(?!\w)|(?<!\w){re.escape(option)}(?!\w)", fit.text, re.IGNORECASE)
    return Span(match[0], match.start(), match.end(), SpanKind.PHRASE) if match else None


def _share_said(fit: SpanFit, option: str) -> float:
    if _said(fit, option) and (len(option) > 1 or _said_exactly(fit, option)):
        return 1.2
    own = set(content_words(spaced(option)))
    asked = set(content_words(fit.text))
    return len(own & asked) / len(own) if own else 0.0


def _said_exactly(fit: SpanFit, option: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(option)}(?!\w)", fit.text))


def _as_number(option: Any) -> int | float | None:
    if isinstance(option, str) and re.fullmatch(r"-?\d+(?:\.\d+)?", option):
        return float(option) if "." in option else int(option)
    return option if isinstance(option, int | float) and not isinstance(option, bool) else None


def _booleans(fit: SpanFit, parameter: Parameter) -> Iterator[CopiedValue]:
    """True where the words of its name are said, False behind a negation; else its default."""
    w = fit.weights
    default = parameter.default if isinstance(parameter.default, bool) else None
    for value in (True, False):
        spoken = _spoken(fit, parameter, truth=value)
        yield CopiedValue(value, spoken + w.least + (w.default if value is default else 0.0) + 0.1 * value, None, spoken)


def _spoken(fit: SpanFit, parameter: Parameter, *, truth: bool) -> float:
    """How far a question says that something is so, or is not."""
    own = parameter.name_stems - _PLAIN_WORDS
    at = [i for i, token in enumerate(fit.tokens) if token.stem in own]
    share = len({fit.tokens[i].stem for i in at}) / len(own) if own else 0.0
    negated = any(_negated(fit, i) for i in at)
    return fit.weights.option * share if share >= 0.5 and truth is not negated else 0.0


def _negated(fit: SpanFit, at: int) -> bool:
    for token in reversed(fit.tokens[max(0, at - _NEGATION_REACH) : at]):
        if token.low in _NEGATIONS:
            return True
        if token.low in (",", ".", ";", "but", "and", "?", "!"):
            return False
    return False


def _arrays(fit: SpanFit, parameter: Parameter) -> Iterator[CopiedValue]:
    w = fit.weights
    kinds = {
        kind
        for item in parameter.items
        for kind in ([item["type"]] if isinstance(item.get("type"), str) else item.get("type") or ())
    }
    options = [v for item in parameter.items for v in item.get("enum") or ()]
    if options:
        said = [option for option in options if isinstance(option, str) and _share_said(fit, option) >= 1.0]
        if said:
            yield CopiedValue(said, w.option, None, w.option)
        return
    for span in fit.spans:
        if span.kind is SpanKind.LITERAL and isinstance(span.literal, list) and _all_of(span.literal, kinds):
            yield CopiedValue(span.literal, fit.of(parameter, span) + w.role, span, fit.evidence(parameter, span) + w.role)
    for run in _lists(fit):
        whole = Span(fit.text[run[0].start : run[-1].end], run[0].start, run[-1].end, run[0].kind)
        fit._at.setdefault((whole.start, whole.end), fit._tokens_of_span(whole))
        weight, evidence = fit.of(parameter, whole), fit.evidence(parameter, whole)
        more = min(len(run) - 1, 4)
        if kinds & {"integer", "number"} and run[0].kind is SpanKind.NUMBER:
            numbers = [_by_percent(s, parameter)[0] for s in run]
            if "number" in kinds or all(isinstance(n, int) for n in numbers):
                yield CopiedValue(numbers, weight + more, whole, evidence)
        elif ("string" in kinds or not kinds) and (
            run[0].kind is not SpanKind.NUMBER or asked_shape(parameter) is SpanKind.IDENTIFIER
        ):
            yield CopiedValue([_written(fit, s, parameter) for s in run], weight + more, whole, evidence)


def _lists(fit: SpanFit) -> Iterator[list[Span]]:
    """Spans of one kind that commas and "and" join, and each span by itself."""
    kinds = (
        SpanKind.NUMBER,
        SpanKind.QUOTED,
        SpanKind.NAME,
        SpanKind.IDENTIFIER,
        SpanKind.PATH,
        SpanKind.URL,
        SpanKind.EMAIL,
        SpanKind.DATE,
        SpanKind.PHRASE,
    )
    for kind in kinds:
        spans = [s for s in fit.spans if s.kind is kind]
        for first in spans:
            run = [first]
            while True:
                follower = next((s for s in spans if _joined(fit.text, run[-1], s) and s.end > s.start), None)
                if follower is None:
                    break
                run.append(follower)
            yield run
            if len(run) > 2 and kind is not SpanKind.PHRASE:
                continue


def _joined(text: str, first: Span, second: Span) -> bool:
    gap = text[first.end : second.start] if second.start > first.end else ""
    return bool(
        re.fullmatch(r"['\"`”]?\s*(?:,|;|&|/|and|or|,\s*and|,\s*or|,?\s*as well as|to|-)\s+(?:the\s+)?['\"`“]?|,", gap.lower())
    )


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


def _objects(fit: SpanFit, parameter: Parameter) -> Iterator[CopiedValue]:
    for span in fit.spans:
        if span.kind is SpanKind.LITERAL and isinstance(span.literal, dict):
            yield CopiedValue(span.literal, fit.of(parameter, span) + fit.weights.role, span, fit.weights.role)


__all__ = ["CopiedValue", "Filled", "asked_shape", "fill"]
