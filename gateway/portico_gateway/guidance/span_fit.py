"""How well a span of a question goes with a parameter: by shape, by the words around it, and by sense. In nats; it chooses nothing.

Words of the parameter's name and description that stand beside the span speak for it ("a radius of 5", "5 years"), so does a
preposition ("to Paris" for a destination), and a shape that the parameter's words ask for. It knows no tool.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from portico_gateway.guidance.parameters import Parameter
from portico_gateway.guidance.question import tokens_of
from portico_gateway.guidance.spans import Span, SpanKind
from portico_gateway.guidance.stemming import stems_of
from portico_gateway.guidance.tool_retrieval import TextEmbedding
from portico_gateway.guidance.weights import CopyWeights

_ROLES: Mapping[SpanKind, frozenset[str]] = {
    SpanKind.URL: frozenset("url uri link website webpage endpoint href".split()),
    SpanKind.EMAIL: frozenset("email mail e-mail".split()),
    SpanKind.PATH: frozenset("path paths file filename folder directory dir filepath".split()),
    SpanKind.DATE: frozenset("date dates birthday dob deadline datetime day timestamp".split()),
    SpanKind.TIME: frozenset("time hour".split()),
    SpanKind.VERSION: frozenset(["version"]),
    SpanKind.FORMULA: frozenset("expression formula equation polynomial".split()),
    SpanKind.IDENTIFIER: frozenset("id ids identifier uuid serial key token sku".split()),
}
_CUES: Mapping[str, frozenset[str]] = {
    cue: frozenset(stem for word in words.split() for stem in stems_of(word))
    for cue, words in {
        "from": "from source origin start departure begin old sender initial base",
        "to": "to destination target end arrival new recipient receiver goal final",
        "in": "location city country place region state area language year currency unit format genre",
        "at": "location place time venue rate price store restaurant",
        "near": "location city place",
        "on": "date day topic platform",
        "by": "author artist creator director writer by factor",
        "for": "name duration query target item product purpose",
        "with": "with value title content",
        "between": "start first lower minimum",
        "until": "end",
        "since": "start since",
        "under": "max maximum", "below": "max maximum", "within": "max maximum radius", "most": "max maximum",
        "above": "min minimum", "over": "min minimum", "least": "min minimum",
    }.items()
}  # fmt: skip
_UNITS: Mapping[str, str] = {
    "kg": "kilogram weight mass", "g": "gram", "lb": "pound", "lbs": "pound", "cm": "centimeter height", "m": "meter", "mm": "millimeter",
    "km": "kilometer distance", "mi": "mile distance", "miles": "mile distance", "ft": "foot feet", "feet": "foot feet", "kmh": "speed velocity", "mph": "speed velocity",
    "s": "second time", "sec": "second time", "ms": "millisecond", "min": "minute", "mins": "minute", "hr": "hour", "hrs": "hour", "h": "hour",
    "years": "year time period term duration", "year": "year time period term", "months": "month time period", "days": "day time period duration", "hours": "hour time duration", "minutes": "minute time duration", "seconds": "second time duration",
    "%": "percent rate interest", "$": "dollar usd price amount cost budget", "€": "euro price amount", "£": "pound price amount",
    "degrees": "degree angle temperature", "people": "people guest person", "times": "times count number",
}  # fmt: skip
_PROPER = frozenset(
    stem
    for word in (
        "location city country place state region address destination origin venue town county airport "
        "author artist actor director player team company brand person organization manufacturer museum university cast star actress name"
    ).split()
    for stem in stems_of(word)
)
_LARGER_PLACES = frozenset(stem for word in "state country region county province".split() for stem in stems_of(word))
_MARKS = frozenset(",;:.!?()[]")
_BEFORE_BARE = frozenset("in of from on at into for".split())
_AFTER_BARE = frozenset("and or please which who that what how when where is was to for with by from".split())
_HOLDERS = frozenset(stem for word in "repository folder directory project file table".split() for stem in stems_of(word))
_REACH = 8  # tokens
_MATCHES = 3  # words that may speak for one pair


class SpanFit:
    """Weighs the spans of one text against the parameters of one tool."""

    def __init__(
        self,
        text: str,
        spans: Sequence[Span],
        parameters: Sequence[Parameter],
        embed: TextEmbedding,
        weights: CopyWeights,
        about: str = "",
    ) -> None:
        """`about`: the tool's name and description, whose words are what is asked for, hardly a value."""
        self.weights = weights
        self._about = frozenset(stems_of(about)) | {stem for p in parameters for stem in p.name_stems}
        self.text = text
        years = set(re.findall(r"(?<![\d/.-])(?:19|20)\d\d(?![\d/-])", text))
        self.year = int(years.pop()) if len(years) == 1 else None  # the one that the text is about
        self.tokens = tokens_of(text)
        self.spans = spans
        self.parameters = parameters
        self._shared = Counter(stem for p in parameters for stem in p.name_stems | p.description_stems)
        self._names = Counter(stem for p in parameters for stem in p.name_stems)
        self._at = {(span.start, span.end): self._tokens_of_span(span) for span in spans}
        self._vectors = _Vectors(embed)
        self._values = [
            self._at[s.start, s.end] for s in spans if s.kind not in (SpanKind.PHRASE, SpanKind.CLAUSE, SpanKind.NAME)
        ]
        self._first = self.tokens[0].low if self.tokens else ""
        self._vectors.add(
            [
                *(self._window(span) for span in spans),
                *(span.text for span in spans),
                *(t for p in parameters for t in (p.name, _about(p))),
            ]
        )

    def of(self, parameter: Parameter, span: Span) -> float:
        """The weight of a span as a parameter's value, whatever its type."""
        near = self._near(parameter, span)
        return (
            self._shape(parameter, span)
            + near
            + self._cue(parameter, span)
            + self._sense(parameter, span)
            - self._disorder(parameter, span)
        )

    def evidence(self, parameter: Parameter, span: Span) -> float:
        """The part of the weight that words beside the span make out, with what its words take off."""
        asked = self.weights.role if asked_shape(parameter) is span.kind else 0.0
        strong = span.kind not in (SpanKind.PHRASE, SpanKind.CLAUSE)
        sense = self._sense(parameter, span) if strong else 0.0
        return (
            self._near(parameter, span) + self._cue(parameter, span) + asked + sense + min(0.0, self._wording(parameter, span))
        )

    def _shape(self, parameter: Parameter, span: Span) -> float:
        w = self.weights
        numeric = bool(parameter.types & {"integer", "number"})
        asked = asked_shape(parameter)
        worth = {
            SpanKind.QUOTED: w.quoted, SpanKind.NAME: w.name, SpanKind.CLAUSE: w.clause, SpanKind.PHRASE: 0.0,
            SpanKind.NUMBER: 0.0 if numeric or asked is SpanKind.IDENTIFIER else w.number,
        }.get(span.kind, w.shaped)  # fmt: skip
        if asked is not None and not numeric:
            if span.kind is asked:
                worth += w.role
            elif span.kind not in (SpanKind.QUOTED, SpanKind.IDENTIFIER) and asked is not SpanKind.IDENTIFIER:
                worth += w.other_role
            elif span.kind in (SpanKind.PHRASE, SpanKind.CLAUSE):
                worth += w.other_role / 2
            if self._bare(span) and asked in (SpanKind.PATH, SpanKind.IDENTIFIER):
                worth += w.bare - (w.other_role if asked is SpanKind.PATH else w.other_role / 2)
        elif span.kind in (SpanKind.DATE, SpanKind.TIME, SpanKind.URL, SpanKind.EMAIL) and not numeric:
            worth += w.named_shape if parameter.description_words & _ROLES[span.kind] else w.other_role / 2
        return worth + self._propriety(parameter, span) + self._wording(parameter, span)

    def _propriety(self, parameter: Parameter, span: Span) -> float:
        w = self.weights
        if span.kind is SpanKind.NUMBER:
            identifying = w.identifying if asked_shape(parameter) is SpanKind.IDENTIFIER else 0.0
            return identifying + (w.number_word if span.text[-1].isalpha() and not any(map(str.isdigit, span.text)) else 0.0)
        share = 1.0 if parameter.name_stems & _PROPER else 0.5 if parameter.description_stems & _PROPER else 0.0
        proper = w.proper if span.kind is SpanKind.NAME else w.improper if span.kind is SpanKind.PHRASE else 0.0
        return share * proper + self._place(parameter, span) * (share == 1.0)

    def _place(self, parameter: Parameter, span: Span) -> float:
        """Of a name with a comma: whether both parts belong here."""
        if span.kind is not SpanKind.NAME or ", " not in span.text:
            return 0.0
        if any(other is not parameter and other.name_stems & _LARGER_PLACES for other in self.parameters):
            return self.weights.divided_place
        shown = re.search(r"[A-Z][a-z]+, [A-Z]", parameter.description) or "city and" in parameter.description.lower()
        return self.weights.whole_place if shown else self.weights.place

    def _wording(self, parameter: Parameter, span: Span) -> float:
        """What its words take off: those of the parameter and the tool are what is asked for, hardly what is given."""
        w = self.weights
        words = span.text.split()
        own = set(stems_of(span.text))
        worth = 0.0
        if span.kind not in (SpanKind.NUMBER, SpanKind.CLAUSE, SpanKind.QUOTED) and own and own <= parameter.name_stems:
            worth += w.said_itself
        if span.kind is SpanKind.PHRASE:
            worth += w.tool_words * len(own & self._about) / max(1, len(own))
            worth += w.opening_verb if words[0].lower() == self._first else 0.0
            worth += w.cut_name if self._cuts(span) else 0.0
        if span.kind in (SpanKind.PHRASE, SpanKind.NAME):
            worth += w.length * min(len(words) - 1, 3)
        return worth

    def _cuts(self, span: Span) -> bool:
        """Does it take a part of a name, or a name with something else?"""
        return any(
            name.kind is SpanKind.NAME and (span.start, span.end) != (name.start, name.end)
            and span.start < name.end
            and name.start < span.end
            for name in self.spans
        )

    def _bare(self, span: Span) -> bool:
        """Is it one word behind a preposition, without an article, and the end of its clause: "in tally"?"""
        first, last = self._at[span.start, span.end]
        if span.kind is not SpanKind.PHRASE or first != last or not first:
            return False
        before, after = self.tokens[first - 1].low, self.tokens[last + 1].low if last + 1 < len(self.tokens) else "?"
        return (before in _BEFORE_BARE or self.tokens[first - 1].stem in _HOLDERS) and (after in _MARKS or after in _AFTER_BARE)

    def _near(self, parameter: Parameter, span: Span) -> float:
        first, last = self._at[span.start, span.end]
        found: dict[str, float] = {}
        for at in range(max(0, first - _REACH), min(len(self.tokens), last + _REACH + 1)):
            if first <= at <= last or (stem := self.tokens[at].stem) is None:
                continue
            if stem in parameter.name_stems or self._abbreviated(stem, parameter):
                weight, shared = self.weights.near_name, self._names[stem]
            elif stem in parameter.description_stems:
                weight, shared = self.weights.near_description, self._shared[stem]
            else:
                continue
            weight *= self.weights.compound if span.kind is SpanKind.PHRASE else 1.0
            weight /= 1 + self.weights.shared_word * (shared - 1)
            found[stem] = max(found.get(stem, 0.0), weight * self._distance(at, first, last))
        return sum(sorted(found.values(), reverse=True)[:_MATCHES]) + self._unit(parameter, span, last)

    @staticmethod
    def _abbreviated(stem: str, parameter: Parameter) -> bool:
        """Is a word of the parameter's name short for it: `repo_path` and "repository"?"""
        return any(len(own) >= 4 and stem.startswith(own) for own in parameter.name_stems)

    def _distance(self, at: int, first: int, last: int) -> float:
        between = range(at + 1, first) if at < first else range(last + 1, at)
        factor = self.weights.apart ** len(between) * (self.weights.follows if at > last else 1.0)
        barriers = sum(self.tokens[i].low in _MARKS or self.tokens[i].low in ("and", "or") for i in between)
        barriers += sum(any(b >= i >= a for i in between) for a, b in self._values)
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
            for word in (unit, _UNITS.get(unit, ""))
            for stem in stems_of(word)
        }
        known = parameter.name_stems | parameter.description_stems
        return self.weights.unit if units & known else 0.0

    def _cue(self, parameter: Parameter, span: Span) -> float:
        first, _ = self._at[span.start, span.end]
        before = [self.tokens[i].low for i in range(max(0, first - 2), first)]
        for at, word in enumerate(reversed(before)):
            if word in _CUES and (at == 0 or before[-1] in ("the", "a", "an", "my")):
                return self.weights.cue if _CUES[word] & parameter.name_stems or word in parameter.name.split() else 0.0
        return 0.0

    def _sense(self, parameter: Parameter, span: Span) -> float:
        context = self._vectors.cosine(self._window(span), _about(parameter))
        own = 0.0 if span.kind in (SpanKind.NUMBER, SpanKind.CLAUSE) else self._vectors.cosine(span.text, parameter.name)
        return self.weights.context_sense * context + self.weights.sense * own

    def _disorder(self, parameter: Parameter, span: Span) -> float:
        rank = self.parameters.index(parameter) / max(1, len(self.parameters) - 1)
        return self.weights.order * abs(rank - span.start / max(1, len(self.text)))

    def _window(self, span: Span) -> str:
        first, last = self._at[span.start, span.end]
        words = [*self.tokens[max(0, first - 4) : first], *self.tokens[last + 1 : last + 3]]
        return " ".join(token.low for token in words if token.low[0].isalnum())

    def _tokens_of_span(self, span: Span) -> tuple[int, int]:
        """Its first and last token."""
        within = [i for i, token in enumerate(self.tokens) if token.start < span.end and token.end > span.start]
        if within:
            return within[0], within[-1]
        after = next((i for i, token in enumerate(self.tokens) if token.start >= span.end), len(self.tokens))
        return after, after - 1


def asked_shape(parameter: Parameter) -> SpanKind | None:
    """The shape that a parameter's words ask for, its name's before its description's."""
    words = parameter.name.split()
    for word in reversed(words):
        for kind, names in _ROLES.items():
            if word in names:
                return kind
    if re.search(r"YYYY|ISO[ -]?8601|\d{4}-\d\d-\d\d", parameter.description, re.IGNORECASE):
        return SpanKind.DATE
    if re.search(r"\be-?mail address", parameter.description, re.IGNORECASE):
        return SpanKind.EMAIL
    if re.search(r"\bURL\b", parameter.description):
        return SpanKind.URL
    return None


def _about(parameter: Parameter) -> str:
    return f"{parameter.name} {parameter.description[:160]}"


class _Vectors:
    """Embeddings by text, made together."""

    def __init__(self, embed: TextEmbedding) -> None:
        self._embed = embed
        self._of: dict[str, Any] = {}

    def add(self, texts: Sequence[str]) -> None:
        fresh = [text for text in dict.fromkeys(texts) if text not in self._of]
        if fresh:
            self._of.update(zip(fresh, self._embed(fresh), strict=True))

    def cosine(self, first: str, second: str) -> float:
        self.add((first, second))
        return float(self._of[first] @ self._of[second])
