"""A question and what was found for it before, read once for all tools: words, spans and where they stand. It knows no tool."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from portico_gateway.guidance.copying.text.span import Span, SpanKind
from portico_gateway.guidance.copying.text.spans import read_spans, spans_behind
from portico_gateway.guidance.question import tokens_of
from portico_gateway.guidance.stemming import content_words, stems_of

UNSHAPED = frozenset((SpanKind.PHRASE, SpanKind.CLAUSE))
_YEAR = re.compile(r"(?<![\d/.-])(?:19|20)\d\d(?![\d/-])")
_REACH = 8  # tokens in which a word speaks for a span
_LEFT, _RIGHT = 4, 2  # tokens of a window on both sides of its span


class ReadText:
    """The text's characters [0, len(question)) are the question's; behind them stands what was found earlier."""

    def __init__(self, question: str, earlier: str = "") -> None:
        self.question = question
        self.text = f"{question}\n{earlier}" if earlier else question
        self.question_spans = read_spans(question)
        self.spans = (*self.question_spans, *(spans_behind(question, earlier) if earlier else ()))
        years = set(_YEAR.findall(self.text))
        self.year = int(years.pop()) if len(years) == 1 else None  # the one that the text is about
        self.tokens = tokens_of(self.text)
        self._starts, self._ends = [token.start for token in self.tokens], [token.end for token in self.tokens]
        self.question_tokens = [token for token in self.tokens if token.start < len(question)]
        self.question_words = frozenset(content_words(question))
        self.first = self.tokens[0].low if self.tokens else ""
        self._places = {(span.start, span.end): self._tokens_of(span) for span in self.spans}
        self._windows = {place: self._window(*place) for place in self._places.values()}
        self.values_at = [self.place(s) for s in self.spans if s.kind not in UNSHAPED | {SpanKind.NAME}]
        self.names_at = [(s.start, s.end) for s in self.spans if s.kind is SpanKind.NAME]
        self.all_stems = frozenset(token.stem for token in self.tokens if token.stem is not None)
        self._around: dict[tuple[int, int], list[tuple[int, str]]] = {}
        self._stems: dict[str, frozenset[str]] = {}
        self._cuts: dict[tuple[int, int], bool] = {}
        self.beside: dict[tuple[int, int], tuple[object, Span, float, float]] = {}  # see `SpanFit`
        self.shares: dict[str, float] = {}  # by listed value, how much of it is said
        self.mentions: dict[str, Span | None] = {}  # by listed value, where it is said

    def place(self, span: Span) -> tuple[int, int]:
        """Its first and last token."""
        here = (span.start, span.end)
        return self._places.get(here) or self._places.setdefault(here, self._tokens_of(span))

    def window(self, place: tuple[int, int]) -> str:
        """The words around."""
        return self._windows.get(place) or self._windows.setdefault(place, self._window(*place))

    def around(self, place: tuple[int, int]) -> list[tuple[int, str]]:
        """The content words within reach of a span, as their tokens' numbers and stems."""
        if (known := self._around.get(place)) is None:
            first, last = place
            near = (*range(max(0, first - _REACH), first), *range(last + 1, min(len(self.tokens), last + _REACH + 1)))
            known = self._around[place] = [(at, stem) for at in near if (stem := self.tokens[at].stem) is not None]
        return known

    def stems(self, text: str) -> frozenset[str]:
        """Those of a span's text."""
        if (known := self._stems.get(text)) is None:
            known = self._stems[text] = frozenset(stems_of(text))
        return known

    def cuts(self, span: Span) -> bool:
        """Does it take a part of a name, or a name with something else?"""
        here = (span.start, span.end)
        if (known := self._cuts.get(here)) is None:
            known = any(name != here and span.start < name[1] and name[0] < span.end for name in self.names_at)
            self._cuts[here] = known
        return known

    def compared(self) -> Iterator[str]:
        """The texts whose sense counts."""
        yield from self._windows.values()
        yield from (span.text for span in self.spans)

    def _window(self, first: int, last: int) -> str:
        words = [*self.tokens[max(0, first - _LEFT) : first], *self.tokens[last + 1 : last + 1 + _RIGHT]]
        return " ".join(token.low for token in words if token.low[0].isalnum())

    def _tokens_of(self, span: Span) -> tuple[int, int]:
        first, after = bisect_right(self._ends, span.start), bisect_left(self._starts, span.end)
        return (first, after - 1) if first < after else (after, after - 1)
