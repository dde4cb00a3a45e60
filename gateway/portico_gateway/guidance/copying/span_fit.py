"""How well a span of a question goes with a parameter: by shape, by the words around it, and by sense. In nats.

Words of the parameter's name and description that stand beside the span speak for it ("a radius of 5", "5 years"), so does a
preposition ("to Paris" for a destination), and a shape that the parameter's words ask for. It knows no tool,
and chooses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from portico_gateway.guidance.copying.parameter_words import (
    CUES,
    FOLDERS,
    HOLDERS,
    LARGER_PLACES,
    PROPER,
    REFERENCES,
    ROLES,
    UNITS,
)
from portico_gateway.guidance.copying.parameters import Parameter, SchemaReading
from portico_gateway.guidance.copying.read_text import UNSHAPED, ReadText
from portico_gateway.guidance.copying.text.span import Span, SpanKind
from portico_gateway.guidance.copying.text_vectors import TextVectors
from portico_gateway.guidance.stemming import stems_of
from portico_gateway.guidance.weights import CopyWeights

_MARKS = frozenset(",;:.!?()[]")
_BEFORE_BARE = frozenset("in of from on at into for".split())
_AFTER_BARE = frozenset("and or please which who that what how when where is was to for with by from".split())
_HAVING = frozenset("have has contain contains".split())  # "does tally have", as its owner
_MEMBER = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+(?:\(\))?|\w+\(\)")
_MATCHES = 3  # words that may speak for one pair
_OF_TIME = (SpanKind.DATE, SpanKind.TIME, SpanKind.ZONE)


class Fit(NamedTuple):
    """How well a span goes with a parameter; `evidence`: the part of the weight that words around it and its shape make out."""

    weight: float
    evidence: float


class SpanFit:
    """Weighs the spans of one text against the parameters of one tool."""

    def __init__(self, read: ReadText, schema: SchemaReading, vectors: TextVectors, weights: CopyWeights, about: str) -> None:
        """What was found before the question counts less. `about`: the tool's name and description, whose words are what is
        asked for, hardly a value."""
        self.read = read
        self.text, self.question, self.tokens, self.spans = read.text, read.question, read.tokens, read.spans
        self.parameters = schema.parameters
        self.vectors = vectors
        self.weights = weights
        self.about = about.lower()
        self._schema = schema
        w = weights
        self._kinds = {SpanKind.QUOTED: w.quoted, SpanKind.NAME: w.name, SpanKind.CLAUSE: w.clause, SpanKind.PHRASE: 0.0}
        self._about = schema.name_stems.union(stems_of(about))
        self._fits: dict[tuple[int, int], tuple[Span, Fit]] = {}  # by identity; a span is kept so that its own stays its own
        self._spoken: dict[int, Mapping[str, float]] = {}  # by parameter
        self._ranks = {id(p): i / max(1, len(schema.parameters) - 1) for i, p in enumerate(schema.parameters)}
        vectors.add(text for p in schema.parameters for text in (p.name, p.about))

    def of(self, parameter: Parameter, span: Span) -> Fit:
        """How well a span goes with a parameter, whatever its type."""
        key = (id(parameter), id(span))
        if (known := self._fits.get(key)) is None:
            known = self._fits[key] = (span, self._fit(parameter, span))
        return known[1]

    def _fit(self, parameter: Parameter, span: Span) -> Fit:
        place = self.read.place(span)
        beside, sense = self._around(parameter, span, place)
        wording = self._wording(parameter, span, place)
        out_of_order = self.weights.order * abs(self._ranks[id(parameter)] - span.start / max(1, len(self.text)))
        asked = self.weights.role if parameter.asked_shape is span.kind else 0.0
        if span.kind is SpanKind.NUMBER and parameter.asked_shape in _OF_TIME:
            asked = self.weights.other_role  # "3" is no date, whatever stands beside it
        before = self.weights.earlier if span.start >= len(self.question) else 0.0
        return Fit(
            before
            + beside
            + sense
            + wording
            + self._shape(parameter, span, place)
            + self._propriety(parameter, span)
            - out_of_order,
            before + beside + asked + min(0.0, wording) + (0.0 if span.kind in UNSHAPED else sense),
        )

    def _around(self, parameter: Parameter, span: Span, place: tuple[int, int]) -> tuple[float, float]:
        """What the words beside a span and its sense say for a parameter: the same for all tools that have this schema. It is
        kept by identity, with what it is of, so that nothing else takes its place.
        """
        key = (id(parameter), id(span))
        if (known := self.read.beside.get(key)) is None:
            beside = self._near(parameter, span, place) + self._cue(parameter, place)
            known = self.read.beside[key] = (parameter, span, beside, self._sense(parameter, span, place))
        return known[2], known[3]

    def _shape(self, parameter: Parameter, span: Span, place: tuple[int, int]) -> float:
        w = self.weights
        numeric = parameter.numeric
        asked = parameter.asked_shape
        if span.kind is SpanKind.NUMBER:
            worth = 0.0 if numeric or asked is SpanKind.IDENTIFIER else w.number
        else:
            worth = self._kinds.get(span.kind, w.shaped)
        if asked is not None and not numeric:
            if span.kind is asked:
                other = self._file_for_folder(parameter, span) or self._is_reference(parameter, span, place)
                worth += w.role if not other else w.other_role
            elif self._other_shape(span, asked):
                worth += w.other_role
            elif span.kind in (SpanKind.PHRASE, SpanKind.CLAUSE):
                several = asked is SpanKind.PATH and " " in span.text  # words of a sentence are no path
                worth += w.other_role if several else w.other_role / 2
            if asked in (SpanKind.PATH, SpanKind.IDENTIFIER) and self._bare(span, place):
                worth += w.bare - (w.other_role if asked is SpanKind.PATH else w.other_role / 2)
        elif span.kind in (SpanKind.DATE, SpanKind.TIME, SpanKind.ZONE, SpanKind.URL, SpanKind.EMAIL) and not numeric:
            worth += w.named_shape if parameter.description_words & ROLES[span.kind] else w.other_role / 2
        return worth

    @staticmethod
    def _file_for_folder(parameter: Parameter, span: Span) -> bool:
        return span.kind is SpanKind.PATH and bool(parameter.name_stems & FOLDERS) and "." in span.text.rsplit("/", 1)[-1]

    def _is_reference(self, parameter: Parameter, span: Span, place: tuple[int, int]) -> bool:
        """Does it look like a path, and is a branch, a tag or the like of which the parameter's name says nothing?"""
        before = self.tokens[place[0] - 1].stem if place[0] else None
        return span.kind is SpanKind.PATH and before in REFERENCES - parameter.name_stems

    @staticmethod
    def _other_shape(span: Span, asked: SpanKind) -> bool:
        """Does it surely not look like what is asked for? Quotations without spaces and identifiers may be anything, but a
        member of something (`Session.get`) is no path."""
        if span.kind is SpanKind.QUOTED:
            return " " in span.text and asked is not SpanKind.FORMULA
        if span.kind is SpanKind.IDENTIFIER and asked in _OF_TIME:
            return True
        if span.kind is SpanKind.NAME and asked is SpanKind.IDENTIFIER:
            return " " in span.text
        if span.kind is SpanKind.IDENTIFIER and asked is SpanKind.PATH:
            return _MEMBER.fullmatch(span.text) is not None
        return span.kind is not SpanKind.IDENTIFIER and asked is not SpanKind.IDENTIFIER

    def _propriety(self, parameter: Parameter, span: Span) -> float:
        w = self.weights
        if span.kind is SpanKind.NUMBER:
            identifying = w.identifying if parameter.asked_shape is SpanKind.IDENTIFIER else 0.0
            return identifying + (w.number_word if span.text[-1].isalpha() and not any(map(str.isdigit, span.text)) else 0.0)
        share = 1.0 if parameter.name_stems & PROPER else 0.5 if parameter.description_stems & PROPER else 0.0
        proper = w.proper if span.kind is SpanKind.NAME else w.improper if span.kind is SpanKind.PHRASE else 0.0
        return share * proper + self._place(parameter, span) * (share == 1.0)

    def _place(self, parameter: Parameter, span: Span) -> float:
        """Of a name with a comma: whether both parts belong here."""
        if span.kind is not SpanKind.NAME or ", " not in span.text:
            return 0.0
        if any(other is not parameter and other.name_stems & LARGER_PLACES for other in self.parameters):
            return self.weights.divided_place
        shown = re.search(r"[A-Z][a-z]+, [A-Z]", parameter.description) or "city and" in parameter.description.lower()
        return self.weights.whole_place if shown else self.weights.place

    def _wording(self, parameter: Parameter, span: Span, place: tuple[int, int]) -> float:
        """What its words take off: those of the parameter and the tool are what is asked for, hardly what is given."""
        w = self.weights
        words = span.text.split()
        own = self.read.stems(span.text)
        worth = 0.0
        if span.kind not in (SpanKind.NUMBER, SpanKind.CLAUSE, SpanKind.QUOTED) and own and own <= parameter.name_stems:
            worth += w.said_itself
        if span.kind is SpanKind.PHRASE and not self._bare(span, place):
            worth += w.tool_words * len(own & self._about) / max(1, len(own))
            worth += w.opening_verb if words[0].lower() == self.read.first else 0.0
            worth += w.cut_name if self.read.cuts(span) else 0.0
        if span.kind in (SpanKind.PHRASE, SpanKind.NAME):
            worth += w.length * min(len(words) - 1, 3)
        return worth

    def _bare(self, span: Span, place: tuple[int, int]) -> bool:
        """Is it one word behind a preposition, without an article, and the end of its clause: "in tally"?"""
        first, last = place
        if span.kind is not SpanKind.PHRASE or first != last or not first:
            return False
        if self.text[span.end : span.end + 2] in ("'s", "’s"):
            return not set(stems_of(span.text)) <= self._about  # "tally's", but not "one file's edit"
        before, after = self.tokens[first - 1].low, self.tokens[last + 1].low if last + 1 < len(self.tokens) else "?"
        if before in ("does", "did") and after in _HAVING:
            return True
        return (before in _BEFORE_BARE or self.tokens[first - 1].stem in HOLDERS) and (after in _MARKS or after in _AFTER_BARE)

    def _near(self, parameter: Parameter, span: Span, place: tuple[int, int]) -> float:
        spoken = self._spoken_of(parameter)
        found: dict[str, float] = {}
        if spoken:
            for at, stem in self.read.around(place):
                if (weight := spoken.get(stem)) is None:
                    continue
                weight *= self.weights.compound if span.kind is SpanKind.PHRASE else 1.0
                weight /= 1 + self.weights.shared_word * (self._shared(parameter, stem) - 1)
                found[stem] = max(found.get(stem, 0.0), weight * self._distance(at, *place))
        return sum(sorted(found.values(), reverse=True)[:_MATCHES]) + self._unit(parameter, span, place[1])

    def _spoken_of(self, parameter: Parameter) -> Mapping[str, float]:
        """The text's stems that speak for a parameter, with what each weighs right beside a span."""
        if (known := self._spoken.get(id(parameter))) is None:
            w = self.weights
            known = self._spoken[id(parameter)] = {
                stem: w.near_name if parameter.is_named(stem) else w.near_description
                for stem in self.read.all_stems
                if parameter.is_named(stem) or stem in parameter.description_stems
            }
        return known

    def _shared(self, parameter: Parameter, stem: str) -> int:
        """How many parameters the word could mean."""
        return (self._schema.named if parameter.is_named(stem) else self._schema.described)[stem]

    def _distance(self, at: int, first: int, last: int) -> float:
        between = range(at + 1, first) if at < first else range(last + 1, at)
        factor = self.weights.apart ** len(between) * (self.weights.follows if at > last else 1.0)
        barriers = sum(self.tokens[i].low in _MARKS or self.tokens[i].low in ("and", "or") for i in between)
        barriers += sum(any(b >= i >= a for i in between) for a, b in self.read.values_at)
        return float(factor * self.weights.across**barriers)

    def _unit(self, parameter: Parameter, span: Span, last: int) -> float:
        if span.kind is not SpanKind.NUMBER:
            return 0.0
        follows = self.tokens[last + 1].low if last + 1 < len(self.tokens) else ""
        glued = re.match(r"[a-zA-Z°]+", self.text[span.end :])
        marks = ["%"] if span.percent else [m for m in "$€£" if m in span.text]
        units = {
            stem
            for unit in (*marks, glued[0].lower() if glued else "", follows)
            for stem in UNITS.get(unit, frozenset(stems_of(unit)))
        }
        known = parameter.name_stems | parameter.description_stems
        return self.weights.unit if units & known else 0.0

    def _cue(self, parameter: Parameter, place: tuple[int, int]) -> float:
        before = [self.tokens[i].low for i in range(max(0, place[0] - 2), place[0])]
        for at, word in enumerate(reversed(before)):
            if word in CUES and (at == 0 or before[-1] in ("the", "a", "an", "my")):
                return self.weights.cue if CUES[word] & parameter.name_stems or word in parameter.name.split() else 0.0
        return 0.0

    def _sense(self, parameter: Parameter, span: Span, place: tuple[int, int]) -> float:
        context = self.vectors.cosine(self.read.window(place), parameter.about)
        own = 0.0 if span.kind in (SpanKind.NUMBER, SpanKind.CLAUSE) else self.vectors.cosine(span.text, parameter.name)
        return self.weights.context_sense * context + self.weights.sense * own
