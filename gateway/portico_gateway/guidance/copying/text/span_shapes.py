"""What of a text stays whole when it is copied: quotations, addresses, paths, dates, versions, formulas, identifiers, numbers.

"/tmp/x" keeps its slash, "8.2.1" its dots, "AC/DC" is one name. It knows no tool.
"""

from __future__ import annotations

import ast
import mimetypes
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from portico_gateway.guidance.copying.text.number_words import IN_DIGITS, IN_WORDS, read_number
from portico_gateway.guidance.copying.text.span import Span, SpanKind
from portico_gateway.guidance.copying.text.spoken_arithmetic import expressions
from portico_gateway.guidance.copying.text.written_dates import DATE, TIME

_SOURCES = frozenset(
    "bat c cc cfg conf cpp cs db env go h hpp ini ipynb java jsx kt lock log md php pl proto py pyi r rb rs rst scala sh sql "
    "swift toml ts tsx vue yaml yml zig".split()
)
_QUOTATION = r"""
    "([^"\n]{1,2000})" | “([^”]{1,2000})” | `([^`]{1,2000})`
    | (?<![\w'])'((?:[^'\n]|(?<=\w)'(?=\w)){1,2000})'(?!\w)      # an apostrophe within a word ends none
"""
_LITERAL = r"\[(?:[^\[\]]|\[[^\[\]]{0,400}\]){0,2000}\] | \{[^{}]{0,2000}\} | \(\s*-?\d[^()]{0,400}\)"
_URL = r"""[a-zA-Z][\w+.-]{0,20}://[^\s<>"'`]*[^\s<>"'`.,;:!?)\]}] | www\.[\w./-]+\w"""
_EMAIL = r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"
_PATH = r"""
    [A-Za-z]:[\\/][\w\\/.-]{0,200}[\w\\/]                          # C:\x
    | (?:~|\.{1,2})?(?:/[\w@+.-]{0,80}[\w@+-])+/?                  # /tmp/x, ./x, ~/x
    | \b[\w.-]{1,80}(?:/[\w.-]{0,80}\w)+/?                        # a/b
    | (?<![\w/.-])\w[\w-]{0,80}(?:\.\w+){0,4}\.[a-z]{1,4}\d?\b(?!\()  # notes.txt
"""
_AREAS = "Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Etc|Europe|Indian|Pacific"  # of the IANA's time zones
_ZONE = rf"\b(?:{_AREAS})(?:/[A-Z][\w+-]*){{1,2}} | \b(?:UTC|GMT)(?:[+-]\d{{1,2}}(?::?\d\d)?)?(?!\w)"
_VERSION = r"\bv?\d+(?:\.\d+){2,}(?:[-+][\w.]+)? | \bv\d+(?:\.\d+)*\b"
_PROTOCOL = r"(?<![\w/.])[A-Z]{2,}/\d+(?:\.\d+)*(?![\w/])"  # HTTP/1.1
_FORMULA = r"(?<![\w.])-?[\w.()]{0,60}(?:\^|\*\*)[\w.()]{1,60}(?:\s?[-+*/=]\s?[\w.^*()]{0,60}[\w)]){0,20}"
_IDENTIFIER = r"""
    \b(?:
        [A-Za-z]\w*[~^]\d+                                         # HEAD~1
        | [A-Z]{1,6}(?:-[A-Z]{1,6})?-\d+(?![\w.]*\w)                # M-1003, INV-DE-7
        | \d+(?:[-–]\d+)+(?![\w.])                                 # 2019-2020, 555-0142
        | [A-Za-z]+\d[\w-]* | \d+[A-Za-z_]+\d[\w-]*                # B1004, 13F2
        | [A-Za-z]\w*_\w+ | _+\w+ | [a-z]+[A-Z]\w* | [A-Z][a-z]+[A-Z]\w*
        | [0-9a-fA-F]{8}-[\w-]{9,}
    )(?:[.-]\w+)*(?:\(\))?
"""
_SHAPES: tuple[tuple[SpanKind, re.Pattern[str]], ...] = (
    (SpanKind.QUOTED, re.compile(_QUOTATION, re.VERBOSE)),
    (SpanKind.LITERAL, re.compile(_LITERAL, re.VERBOSE)),
    (SpanKind.URL, re.compile(_URL, re.VERBOSE)),
    (SpanKind.EMAIL, re.compile(_EMAIL)),
    (SpanKind.DATE, re.compile(rf"\b(?i:{DATE})")),
    (SpanKind.TIME, re.compile(rf"\b(?:{TIME})")),
    (SpanKind.ZONE, re.compile(_ZONE, re.VERBOSE)),
    (SpanKind.VERSION, re.compile(_PROTOCOL)),
    (SpanKind.PATH, re.compile(_PATH, re.VERBOSE)),
    (SpanKind.VERSION, re.compile(_VERSION, re.VERBOSE)),
    (SpanKind.FORMULA, re.compile(_FORMULA)),
    (SpanKind.IDENTIFIER, re.compile(_IDENTIFIER, re.VERBOSE)),
    (SpanKind.NUMBER, re.compile(rf"{IN_DIGITS}(?!\w)")),
    (SpanKind.NUMBER, re.compile(rf"{IN_DIGITS}(?=[a-zA-Z°]+\b)")),
    (SpanKind.NUMBER, re.compile(rf"\b(?i:{IN_WORDS})\b")),
    (SpanKind.NUMBER, re.compile(r"\b\d+(?=(?:st|nd|rd|th)\b)")),
)  # of two that begin together, the first


def shaped_spans(text: str) -> Iterator[Span]:
    """Spans that stay whole, left to right, and what stands in them; arithmetic first, which may overlap the others."""
    for expression in expressions(text):
        yield Span(expression.text, expression.start, expression.end, SpanKind.FORMULA)
    for span in _apart(text):
        yield span
        yield from _within(span)


def _apart(text: str) -> Iterator[Span]:
    """Spans none of which overlaps another: always the one that begins first."""
    coming = [_next(kind, pattern, text, 0) for kind, pattern in _SHAPES]
    at = 0
    while True:
        for order, (kind, pattern) in enumerate(_SHAPES):
            if (span := coming[order]) is not None and span.start < at:
                coming[order] = _next(kind, pattern, text, at)
        found = min((span for span in coming if span is not None), key=lambda span: span.start, default=None)
        if found is None:
            return
        yield found
        at = found.end


def _next(kind: SpanKind, pattern: re.Pattern[str], text: str, at: int) -> Span | None:
    return next((span for match in pattern.finditer(text, at) if (span := _span_of(kind, match)) is not None), None)


def _within(span: Span) -> Iterator[Span]:
    """What stands in a quotation: its own shape where it is one whole, else the shapes in it."""
    if span.kind is SpanKind.IDENTIFIER and not re.search(r"[A-Za-z]", span.text):
        for match in re.finditer(r"\d+", span.text):  # a range is also its ends
            yield Span(match[0], span.start + match.start(), span.start + match.end(), SpanKind.NUMBER, (int(match[0]),))
    if span.kind is not SpanKind.QUOTED:
        return
    offset = span.start + 1
    for inner in _apart(span.text):
        if inner.text == span.text:
            yield replace(inner, start=span.start, end=span.end)
        elif inner.kind in (SpanKind.URL, SpanKind.EMAIL, SpanKind.PATH) and " " in span.text:
            yield replace(inner, start=inner.start + offset, end=inner.end + offset)


def _span_of(kind: SpanKind, match: re.Match[str]) -> Span | None:
    said = match[0].strip()
    if kind is SpanKind.QUOTED:
        said = next(group for group in match.groups() if group is not None)
    if kind is SpanKind.LITERAL:
        value = _literal(match[0])
        return None if value is None else Span(said, match.start(), match.end(), kind, literal=value)
    if kind is SpanKind.PATH and "/" not in said and "\\" not in said and not is_file(said):
        return Span(said, match.start(), match.end(), SpanKind.IDENTIFIER)
    if kind is SpanKind.NUMBER:
        number = read_number(said)
        if number is None or (said[0].isupper() and match.start() > 0):
            return None  # "Thousand Oaks" is a name
        return Span(said, match.start(), match.end(), kind, number.values, number.percent)
    if kind is SpanKind.IDENTIFIER and said[0].isdigit() and re.fullmatch(r"\d+(?:st|nd|rd|th)", said):
        return None
    return Span(said, match.start(), match.end(), kind)


def is_file(name: str) -> bool:
    """Does a name end as files do? `Session.get` is none."""
    ending = name.rsplit(".", 1)[-1].lower()
    return ending in _SOURCES or f".{ending}" in mimetypes.types_map


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
