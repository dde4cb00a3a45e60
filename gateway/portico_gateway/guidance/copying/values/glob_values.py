"""Patterns of file names out of a question: "csv files" is `**/*.csv`, "the file about pancakes" is `**/*pancake*`.

It knows English, and the endings that files have; whether a tool takes such patterns it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portico_gateway.guidance.copying.parameters import Parameter
from portico_gateway.guidance.copying.span_fit import SpanFit
from portico_gateway.guidance.copying.text.span import Span, SpanKind
from portico_gateway.guidance.copying.text.span_shapes import is_file
from portico_gateway.guidance.copying.values.copied_value import CopiedValue
from portico_gateway.guidance.stemming import stems_of

_WRITTEN = re.compile(r"(?<![^\s'\"`])[^\s'\"`]*\*[^\s'\"`]*")
_FILES = re.compile(r"\s+(?:files?|documents?|scripts?|images?)\b", re.IGNORECASE)
_TOPIC = re.compile(r"\b(?:about|on|named|called|for|with)\s+(?:the\s+|a\s+)?$", re.IGNORECASE)
_BEFORE = 40  # characters before a word in which that may stand
_PLAIN = frozenset(stems_of("file files folder directory document documents all every list show name names"))


def glob_values(fit: SpanFit, parameter: Parameter) -> Iterator[CopiedValue]:
    """A pattern for each single word, path or quotation that may be in a name; patterns that are written out as they stand."""
    w = fit.weights
    for match in _WRITTEN.finditer(fit.question):
        said = match[0].rstrip(".?!,")
        yield CopiedValue(said, w.option, Span(said, match.start(), match.start() + len(said), SpanKind.PATH), w.option)
    for span in fit.spans:
        if "*" in span.text:
            continue
        if (ending := span.text.lstrip(".").lower()) and is_file(f"x.{ending}") and _FILES.match(fit.text, span.end):
            yield CopiedValue(f"**/*.{ending}", w.option, span, w.option)
        elif (
            span.kind is not SpanKind.CLAUSE
            and "*" not in fit.text[span.start - 1 : span.end + 1]
            and " " not in span.text
            and not set(stems_of(span.text)) <= _PLAIN
        ):
            weight = (
                fit.of(parameter, span).weight
                + w.least
                + (w.cue if _TOPIC.search(fit.text[max(0, span.start - _BEFORE) : span.start]) else 0.0)
            )
            yield CopiedValue(f"**/*{_in_names(span)}*", weight, span)


def _in_names(span: Span) -> str:
    """The word as a name may have it: in the singular, too."""
    word = span.text.rsplit("/", 1)[-1]
    return word[:-1] if span.kind is SpanKind.PHRASE and len(word) > 3 and word.endswith("s") and word[-2] != "s" else word
