"""What of a text may be copied into a call: whole shapes, names, phrases between function words, and clauses.

It knows English function words, no tool and no schema, and weighs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from portico_gateway.guidance.copying.text.span import Span, SpanKind
from portico_gateway.guidance.copying.text.span_shapes import shaped_spans

MOST_SPANS = 160  # of one text
MOST_CHARACTERS = 4_000  # of a text that is read; what stands behind is not looked at
LONGEST_PHRASE = 6  # words
LONGEST_VALUE = 2_000  # characters

_INITIAL = r"(?:[A-Z]\.)+(?:[A-Z]\b)?|(?:Mr|Mrs|Ms|Dr|St|Prof)\."
_CAPITAL = rf"(?:{_INITIAL}|(?!I\b)[A-Z][\w'’&#-]*)"
_BETWEEN = r"\s+(?:(?:of|the|de|la|del|van|von|der|vs\.?|&)\s+){0,2}|,\s+(?=[A-Z]{2}\b)|(?<=[&])\s+"
_NAME = re.compile(rf"(?<![\w.]){_CAPITAL}(?:(?:{_BETWEEN}){_CAPITAL}|\s+\d+(?=\s+[A-Z]))*")
_PLACE = re.compile(
    r",\s+[A-Z][a-z]+(?:\s[A-Z][a-z]+)?(?!\w|,\s*(?:and\s)?[A-Z]|\s+(?:and|or)\s+[A-Z])"  # no list of names
)
_WORD = re.compile(r"[^\W_][\w'’+#&-]*|[&+/]")
_STOPS = frozenset(
    "a about again all also am an and any are as at be between but by called can could did do does for from get give "
    "had has have he her his how i if in into is it its just let like me my named need of on or our over please she "
    "should show so some tell than thanks that the their them then there these they this those to up us use using "
    "want was we were what when where which while who whose why will with would you your find".split()
)
_OPENERS = _STOPS | frozenset(  # verbs that a request begins with
    "add analyze book buy calculate change check close compare compute convert copy create delete describe determine "
    "draw estimate evaluate explain fetch generate help identify list look make move open order perform plot play "
    "predict provide read remove rename reschedule retrieve run schedule search sell send set solve start stop "
    "summarize translate turn update write".split()
)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")
_INTRODUCED = re.compile(
    r":\s+|\b(?:that says|saying|titled|called|named|says|stating|that|using|command|instruction|prompt|expression|formula)"
    r"\s+(?:the\s)?",
    re.IGNORECASE,
)


def read_spans(text: str) -> tuple[Span, ...]:
    """The spans of a text, in order of where they begin; at most MOST_SPANS, whole shapes before names before phrases."""
    text = text[:MOST_CHARACTERS]
    shaped = list(shaped_spans(text))
    taken = [(span.start, span.end) for span in shaped if span.kind is not SpanKind.FORMULA or "^" in span.text]
    found: dict[tuple[str, SpanKind], Span] = {}
    for span in (*shaped, *_names(text, taken), *_phrases(text, taken), *_clauses(text)):
        if 0 < len(span.text) <= LONGEST_VALUE and len(found) < MOST_SPANS:
            found.setdefault((span.text, span.kind), span)
    return tuple(sorted(found.values(), key=lambda span: (span.start, -span.end)))


def spans_behind(question: str, earlier: str) -> tuple[Span, ...]:
    """What of an earlier text may be copied beside a question, as if it stood in the next line: no phrases and clauses."""
    offset = len(question) + 1
    kept = (span for span in read_spans(earlier) if span.kind not in (SpanKind.PHRASE, SpanKind.CLAUSE))
    return tuple(replace(span, start=span.start + offset, end=span.end + offset) for span in kept)


def _names(text: str, taken: Sequence[tuple[int, int]]) -> Iterator[Span]:
    """Words with capitals, joined, and the parts of each: with the place behind a comma ("Paris, France"), and without it."""
    for match in _NAME.finditer(text):
        if _overlaps(match.start(), match.end(), taken):
            continue
        said, start = _without_opener(text, re.sub(r"['’]s?$", "", match[0]), match.start())
        begins = not any(map(str.isalnum, text[:start])) and said.isalpha() and not text[len(said) :].startswith(("'s", "’s"))
        if not said or begins:
            continue  # any sentence begins with a capital
        yield Span(said, start, start + len(said), SpanKind.NAME)
        yield from _parts(said, start)
        place = _PLACE.match(text, start + len(said))
        if place and not _overlaps(place.start(), place.end(), taken):
            yield Span(text[start : place.end()], start, place.end(), SpanKind.NAME)


def _without_opener(text: str, said: str, start: int) -> tuple[str, int]:
    """A name without the verb that its sentence begins with ("Visit Paris")."""
    first = said.split()[0]
    if not _begins_sentence(text, start) or first.lower() not in _OPENERS:
        return said, start
    rest = said[len(first) :].lstrip()
    return rest, start + len(said) - len(rest)


def _parts(said: str, start: int) -> Iterator[Span]:
    """Of a name with a comma or an "of": what stands on both sides."""
    for joint in re.finditer(r",\s+|\s+of\s+(?:the\s+)?", said):
        for first, last in ((0, joint.start()), (joint.end(), len(said))):
            yield Span(said[first:last], start + first, start + last, SpanKind.NAME)


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
