"""What of a text may be copied into a call: spans that stay whole, each with what kind of thing it is.

Quotations, addresses, paths, versions, dates, identifiers and formulas are one span ("/tmp/x", "8.2.1", "AC/DC"); numbers carry
what they stand for; names are words with capitals; what else there is, are phrases between function words, and clauses. It
knows no tool and no schema, and weighs nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from portico_gateway.guidance.number_words import IN_DIGITS, IN_WORDS, Number, read_number
from portico_gateway.guidance.spoken_arithmetic import expressions
from portico_gateway.guidance.written_dates import DATE, TIME

MOST_SPANS = 160  # of one text
MOST_CHARACTERS = 8_000  # of a text that is read; what stands behind is not looked at
LONGEST_PHRASE = 6  # words


class SpanKind(Enum):
    """What a span looks like."""

    QUOTED = "quoted"
    LITERAL = "literal"  # JSON: [1, 2], {"a": 1}
    URL = "url"
    EMAIL = "email"
    PATH = "path"
    DATE = "date"
    TIME = "time"
    VERSION = "version"
    FORMULA = "formula"
    IDENTIFIER = "identifier"
    NUMBER = "number"
    NAME = "name"
    PHRASE = "phrase"
    CLAUSE = "clause"


@dataclass(frozen=True, slots=True)
class Span:
    """Characters [start, end) of a text; `text` is what they say without marks around."""

    text: str
    start: int
    end: int
    kind: SpanKind
    numbers: tuple[Number, ...] = ()  # what it may stand for, the likeliest first
    percent: bool = False
    literal: Any = field(default=None, compare=False)  # the JSON value of a LITERAL


_SHAPES: tuple[tuple[SpanKind, str], ...] = (
    (SpanKind.QUOTED, r'"([^"\n]{1,2000})"|“([^”]{1,2000})”|`([^`]{1,2000})`|(?<![\w\'])\'((?:[^\'\n]|(?<=\w)\'(?=\w)){1,2000})\'(?!\w)'),
    (SpanKind.LITERAL, r"\[(?:[^\[\]]|\[[^\[\]]*\]){0,2000}\]|\{[^{}]{0,2000}\}|\(\s*-?\d[^()]{0,400}\)"),
    (SpanKind.URL, r"[a-zA-Z][\w+.-]*://[^\s<>\"'`]*[^\s<>\"'`.,;:!?)\]}]|www\.[\w./-]+\w"),
    (SpanKind.EMAIL, r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    (SpanKind.DATE, rf"\b(?i:{DATE})"),
    (SpanKind.TIME, rf"\b(?:{TIME})"),
    (SpanKind.PATH, r"[A-Za-z]:[\\/][\w\\/.-]*[\w\\/]|(?:~|\.{1,2})?(?:/[\w@+.-]*[\w@+-])+/?|\b[\w.-]+(?:/[\w.-]*\w)+/?|(?<![\w/.-])\w[\w-]*(?:\.\w+)*\.(?:[a-z]{1,4}\d?)\b(?!\()"),
    (SpanKind.VERSION, r"\bv?\d+(?:\.\d+){2,}(?:[-+][\w.]+)?|\bv\d+(?:\.\d+)*\b"),
    (SpanKind.FORMULA, r"(?<![\w.])-?[\w.()]*(?:\^|\*\*)[\w.()]+(?:\s?[-+*/=]\s?[\w.^*()]*[\w)])*"),
    (SpanKind.IDENTIFIER, r"\b(?:[A-Za-z]\w*[~^]\d+|\d+(?:[-–]\d+)+(?![\w.])|[A-Za-z]+\d[\w-]*|\d+[A-Za-z_]+\d[\w-]*|[A-Za-z]\w*_\w+|_+\w+|[a-z]+[A-Z]\w*|[A-Z][a-z]+[A-Z]\w*|[0-9a-fA-F]{8}-[\w-]{9,})(?:[.-]\w+)*(?:\(\))?"),
    (SpanKind.NUMBER, rf"{IN_DIGITS}(?!\w)|{IN_DIGITS}(?=[a-zA-Z°]+\b)|\b(?i:{IN_WORDS})\b"),
)  # fmt: skip
_INITIAL = r"(?:[A-Z]\.)+(?:[A-Z]\b)?|(?:Mr|Mrs|Ms|Dr|St|Prof)\."
_CAPITAL = rf"(?:{_INITIAL}|(?!I\b)[A-Z][\w'’&#-]*)"
_NAME = re.compile(
    rf"(?<![\w.]){_CAPITAL}(?:(?:\s+(?:(?:of|the|de|la|del|van|von|der|vs\.?|&)\s+){{0,2}}|,\s+(?=[A-Z]{{2}}\b)|(?<=[&])\s+){_CAPITAL}|\s+\d+(?=\s+[A-Z]))*"
)
_PLACE = re.compile(r",\s+[A-Z][a-z]+(?:\s[A-Z][a-z]+)?(?!\w|,\s*(?:and\s)?[A-Z]|\s+(?:and|or)\s+[A-Z])")
_WORD = re.compile(r"[^\W_][\w'’+#&-]*|[&+/]")
_STOPS = frozenset(
    "a am an and are as at be but by can could did do does for from had has have he her his how i if in into is it its just let me my "
    "need of on or our over please she should so some than that the their them then there these they this those to up us was we were "
    "what when where which while who whose why will with would you your want like give get show find tell using use named called "
    "about between also any all some again please thanks".split()
)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")
_INTRODUCED = re.compile(
    r":\s+|\b(?:that says|saying|titled|called|named|says|stating|that|using|command|instruction|prompt|expression|formula)\s+(?:the\s)?",
    re.IGNORECASE,
)


def read_spans(text: str) -> tuple[Span, ...]:
    """The spans of a text, in order of where they begin; at most MOST_SPANS, whole shapes before phrases."""
    text = text[:MOST_CHARACTERS]
    shaped = [inner for span in _shaped(text) for inner in (span, *_within(span))]
    taken = [(span.start, span.end) for span in shaped]
    shaped = [Span(e.text, e.start, e.end, SpanKind.FORMULA) for e in expressions(text)] + shaped
    names = [span for span in _names(text, taken)]
    found: dict[tuple[str, SpanKind], Span] = {}
    for span in (*shaped, *names, *_phrases(text, taken), *_clauses(text)):
        if span.text and len(found) < MOST_SPANS:
            found.setdefault((span.text, span.kind), span)
    return tuple(sorted(found.values(), key=lambda span: (span.start, -span.end)))


def _shaped(text: str) -> Iterator[Span]:
    """Spans that stay whole, left to right; none overlaps another, but for what stands in a quotation."""
    at = 0
    while at < len(text):
        best = _next_shape(text, at)
        if best is None:
            return
        yield best
        at = best.end


def _within(span: Span) -> Iterator[Span]:
    """What stands in a quotation: its own shape where it is one whole, else the shapes in it."""
    if span.kind is SpanKind.IDENTIFIER and "–" in span.text.replace("-", "–") and not re.search(r"[A-Za-z]", span.text):
        for match in re.finditer(r"\d+", span.text):  # a range is also its ends
            yield Span(match[0], span.start + match.start(), span.start + match.end(), SpanKind.NUMBER, (int(match[0]),))
    if span.kind is not SpanKind.QUOTED:
        return
    offset = span.start + 1
    for inner in _shaped(span.text):
        if inner.text == span.text:
            yield replace(inner, start=span.start, end=span.end)
        elif inner.kind in (SpanKind.URL, SpanKind.EMAIL, SpanKind.PATH) and " " in span.text:
            yield replace(inner, start=inner.start + offset, end=inner.end + offset)


def _next_shape(text: str, at: int) -> Span | None:
    """The shape that begins first; of two, the one that stands earlier in the table."""
    first: tuple[int, int] | None = None
    found: Span | None = None
    for order, (kind, pattern) in enumerate(_COMPILED):
        for match in pattern.finditer(text, at):
            if first is not None and (match.start(), order) >= first:
                break
            span = _span_of(kind, match)
            if span is not None:
                first, found = (match.start(), order), span
                break
    return found


_COMPILED = tuple((kind, re.compile(pattern)) for kind, pattern in _SHAPES if kind is not SpanKind.NUMBER) + (
    (SpanKind.NUMBER, re.compile(rf"{IN_DIGITS}(?!\w)")),
    (SpanKind.NUMBER, re.compile(rf"{IN_DIGITS}(?=[a-zA-Z°]+\b)")),
    (SpanKind.NUMBER, re.compile(rf"\b(?i:{IN_WORDS})\b")),
    (SpanKind.NUMBER, re.compile(r"\b\d+(?=(?:st|nd|rd|th)\b)")),
)


def _span_of(kind: SpanKind, match: re.Match[str]) -> Span | None:
    said = match[0].strip()
    if kind is SpanKind.QUOTED:
        said = next(group for group in match.groups() if group is not None)
    if kind is SpanKind.LITERAL:
        value = _literal(match[0])
        return None if value is None else Span(said, match.start(), match.end(), kind, literal=value)
    if kind is SpanKind.NUMBER:
        number = read_number(said)
        if number is None or (said[0].isupper() and match.start() > 0):
            return None  # "Thousand Oaks" is a name
        return Span(said, match.start(), match.end(), kind, number.values, number.percent)
    if kind is SpanKind.IDENTIFIER and said[0].isdigit() and re.fullmatch(r"\d+(?:st|nd|rd|th)", said):
        return None
    return Span(said, match.start(), match.end(), kind)


def _literal(text: str) -> Any:
    """Lists and objects of plain values, as JSON or Python write them."""
    try:
        value = ast.literal_eval(text.replace("true", "True").replace("false", "False").replace("null", "None"))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        if not text.startswith("["):
            return None
        items = [item.strip() for item in text.strip("[]").split(",")]
        return items if all(items) and not any(set(item) & set("[]{}()") for item in items) else None
    return list(value) if isinstance(value, tuple) else value if isinstance(value, list | dict) else None


def _names(text: str, taken: Sequence[tuple[int, int]]) -> Iterator[Span]:
    """Words with capitals, joined; with the place behind a comma ("Paris, France"), and without it."""
    for match in _NAME.finditer(text):
        if _overlaps(match.start(), match.end(), taken):
            continue
        said = re.sub(r"['’]s?$", "", match[0])
        start = match.start()
        first = said.split()[0]
        if _begins_sentence(text, start) and first.lower() in _STOPS | _OPENERS:
            said = said[len(first) :].lstrip()
            start = match.start() + match[0].index(said) if said else start
        if not said or (start == 0 and " " not in said and said.isalpha() and not text[len(said) :].startswith(("'s", "’s"))):
            continue  # any sentence begins with a capital
        yield Span(said, start, start + len(said), SpanKind.NAME)
        for part in re.finditer(r"(?:(?!\b(?:of|vs\.?|&)\s)[^,])+", said):
            if part[0].strip() != said and " of " in said:
                lead = len(part[0]) - len(re.sub(r"^(?:of\s+)?(?:the\s+)?", "", part[0].lstrip()))
                inner = part[0][lead:].strip()
                if inner:
                    at = start + part.start() + part[0].index(inner)
                    yield Span(inner, at, at + len(inner), SpanKind.NAME)
        place = _PLACE.match(text, start + len(said))
        if place and not _overlaps(place.start(), place.end(), taken):
            yield Span(text[start : place.end()], start, place.end(), SpanKind.NAME)
        if "," in said:
            part, rest = said.split(",", 1)
            yield Span(part, start, start + len(part), SpanKind.NAME)
            yield Span(rest.strip(), start + len(said) - len(rest.strip()), start + len(said), SpanKind.NAME)


_OPENERS = frozenset(
    "calculate find get compute determine estimate predict search book order create make generate convert translate play schedule "
    "send list show check update delete add set what who where when which how is are can could i please give tell help analyze "
    "retrieve fetch identify solve identify look run perform plot draw change turn buy sell order compare evaluate provide "
    "reschedule start stop open close read write remove rename move copy summarize describe explain if in on at for the".split()
)


def _begins_sentence(text: str, at: int) -> bool:
    before = text[:at].rstrip(" \t\"'“(")
    return not before or before[-1] in ".!?:\n"


def _phrases(text: str, taken: Sequence[tuple[int, int]]) -> Iterator[Span]:
    """Words between function words and marks, and every run of words within them."""
    run: list[re.Match[str]] = []
    for match in (*_WORD.finditer(text), None):
        broken = match is not None and run and text[run[-1].end() : match.start()].strip(" ") != ""
        if match is None or broken or match[0].lower() in _STOPS or _inside(match, taken):
            yield from _runs(text, run)
            run = []
        if match is not None and match[0].lower() not in _STOPS and not _inside(match, taken):
            run.append(match)


def _inside(match: re.Match[str], taken: Sequence[tuple[int, int]]) -> bool:
    return _overlaps(match.start(), match.end(), taken)


def _overlaps(first: int, last: int, taken: Sequence[tuple[int, int]]) -> bool:
    return any(start < last and first < end for start, end in taken)


def _runs(text: str, words: Sequence[re.Match[str]]) -> Iterator[Span]:
    for length in range(min(len(words), LONGEST_PHRASE), 0, -1):
        for first in range(len(words) - length + 1):
            start, end = words[first].start(), words[first + length - 1].end()
            said = re.sub(r"['’]s?$", "", text[start:end])
            yield Span(said, start, start + len(said), SpanKind.PHRASE)


def _clauses(text: str) -> Iterator[Span]:
    """Whole sentences, what is introduced ("that says ..."), and all of the text."""
    start = 0
    for end in [*(match.start() for match in _SENTENCE_END.finditer(text)), len(text)]:
        sentence = text[start:end]
        for introduced in _INTRODUCED.finditer(sentence):
            said = sentence[introduced.end() :].strip(" \"'.!?")
            if said:
                at = start + introduced.end()
                yield Span(said, at, at + len(said), SpanKind.CLAUSE)
        if sentence.strip() and (start, end) != (0, len(text)):
            yield Span(sentence.strip(), start, end, SpanKind.CLAUSE)
        start = end + 1
    yield Span(text.strip(), 0, len(text), SpanKind.CLAUSE)
