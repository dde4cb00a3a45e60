"""Conditions that a question asks for: which name each value goes with, what is absent, what is true.

Values spelled out find the name that fits best by kind, by the words beside it and by sense; values that a name lists find that
name; names said to be missing or there, and names that are true or false, need no value. It weighs; it knows no tool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from portico_gateway.guidance.question import Value
from portico_gateway.guidance.slots import Condition, Conditions, Said
from portico_gateway.guidance.stemming import spaced, stems_of
from portico_gateway.guidance.word_coverage import NEAR, Claims, Cue

AGAIN = 0.5  # of what claimed words would add to a fit
PLACE = 1.3  # of how alike a name is to a place's, for a value after "in" or "from"
ELSEWHERE = 0.2  # of what words that are not beside such a value say
NAMED = 0.6  # of how alike it is to "name", for any other; less of it for a plain word before what it describes
YEARLY = 0.8  # of how alike a number's name is to "year", for a value that could be one
DATED = 0.5  # for a date, for such a value
APART = 0.4  # less for every content word between a name and its value
BESIDE = 0.3  # more for a name that is said beside a value that it lists
LATER = 0.02  # less for each name before it
PLAIN = 0.8  # the fit from which on a name may be meant to be absent or there

_PLACE, _NAME, _YEAR = "place city town country", "name", "year"
_OF = frozenset("in of with from whose for".split())
_INTO = frozenset("in from at near to".split())
_NEGATIONS = frozenset("not no non without never except".split())
_HAVING = tuple(Said(((verb,), ())) for verb in ("have", "has", "having", "with", "get", "gets", "got", "receive", "receives"))
_PREPOSITIONS = frozenset("by in from for at".split())
_GENERAL = frozenset(
    "total average all together altogether time day month year people person thing entry record row number kind type database "
    "member different new there here yet live work come make go take be do".split()
)


class Wanted(NamedTuple):
    """One condition that a question asks for."""

    at: int  # where it says so
    fits: dict[str, float]  # by name
    op: str
    text: str  # the value
    bare: bool  # a number or a literal, not a string


def wanted(claims: Claims, among: Conditions, sayings: Mapping[str, Sequence[Said]]) -> list[Wanted]:
    """All of them, in the question's order."""
    reader = _Reader(claims, among, sayings)
    found = [*reader.listed(), *reader.absent(), *reader.present(), *reader.flags()]
    for value in (*claims.values, *reader.lower()):
        if not set(range(value.first, value.last + 1)) & claims.taken and (one := reader.about(value)):
            found.append(one)
    return sorted(found, key=lambda one: one.at)


class _Reader:
    def __init__(self, claims: Claims, among: Conditions, sayings: Mapping[str, Sequence[Said]]) -> None:
        self.claims, self.among, self.sayings = claims, among, sayings
        self.tokens = claims.tokens

    def listed(self) -> Iterator[Wanted]:
        """Values that only some names list: "paid" is a status."""
        listing: dict[str, dict[str, float]] = {}
        for n, (option, condition) in enumerate(self.among.of.items()):
            for text in condition.listed:
                listing.setdefault(text, {})[option] = 1.0 - LATER * n
        for text, options in sorted(listing.items(), key=lambda item: -len(item[0])):
            at = self._spelled(text)
            if at is not None:
                self.claims.taken |= at
                near = self.claims.window(at)
                fits = {o: s + BESIDE * min(1.0, self.claims.fit(o, near).score) for o, s in options.items()}
                best = max(fits, key=lambda o: fits[o])
                self.claims.taken |= self.claims.fit(best, near).tokens
                negated = any(self.tokens[i].low in _NEGATIONS for i in range(max(0, min(at) - 2), min(at)))
                yield Wanted(min(at), fits, "!=" if negated and "!=" in self.among.of[best].ops else "=", text, False)

    def _spelled(self, text: str) -> set[int] | None:
        wanted = [stems_of(word)[0] if len(stems_of(word)) == 1 else word.lower() for word in text.split()]
        for at in range(len(self.tokens) - len(wanted) + 1):
            if all(wanted[i] in (self.tokens[at + i].stem, self.tokens[at + i].low) for i in range(len(wanted))):
                found = set(range(at, at + len(wanted)))
                written = " ".join(self.tokens[i].low for i in sorted(found))
                if not found & self.claims.taken and len(written) >= len(text) - 1:  # "delay" isn't "delayed"
                    return found
        return None

    def absent(self) -> Iterator[Wanted]:
        """Names that are said to have no value, or to have one: `null` among the sayings."""
        options = [o for o, c in self.among.of.items() if "null" in c.kinds and "boolean" not in c.kinds]
        for said in self.sayings.get("null", ()):
            cue = self.claims.cue(_open(said))
            if cue is None or not options or any(v.first in cue.gap[:2] for v in self.claims.values):
                continue
            if one := self._whether(cue, options, "="):
                yield one

    def present(self) -> Iterator[Wanted]:
        """Names that something is said to have, whatever the value: "with an email"."""
        options = [o for o, c in self.among.of.items() if "null" in c.kinds and "boolean" not in c.kinds and "!=" in c.ops]
        for cue in (cue for verb in _HAVING for cue in self.claims.cues(verb)):
            window = cue.gap[:3]
            if not window or self.tokens[window[0]].low not in ("a", "an", "any"):
                continue
            if any(v.first in range(min(cue.words), max(window) + 3) for v in self.claims.values):
                continue
            if one := self._whether(cue, options, "!="):
                yield one

    def _whether(self, cue: Cue, options: Sequence[str], op: str) -> Wanted | None:
        """A name said right after the phrase; for what something else is called by, the key that refers to it."""
        window = cue.gap[:3]
        fits = {o: fit for o in options if (fit := self.claims.fit(o, window)).score >= PLAIN}
        fits = fits or {o: fit for o in options if "." not in o and (fit := self.claims.fit(o, window)).owner}
        if not fits:
            return None
        best = max(fits.values(), key=lambda fit: fit.score)
        self.claims.taken |= best.tokens | cue.words
        return Wanted(min(cue.words), {o: fit.score for o, fit in fits.items()}, op, "null", True)

    def lower(self) -> Iterator[Value]:
        """Plain words that may be values: what the schema doesn't know, where values stand ("by ruth", "in the attic")."""
        texts = [o for o, c in self.among.of.items() if "string" in c.kinds and not c.listed]
        general = {stem for word in _GENERAL for stem in stems_of(word)}
        for at in range(1, len(self.tokens)):
            token = self.tokens[at]
            if token.stem is None or at in self.claims.taken:
                continue
            before = [t.low for t in self.tokens[max(0, at - 2) : at]]
            named = len(before) == 2 and before[0] in _OF and any(self.claims.fit(o, [at - 1]).score >= 1.0 for o in texts)
            known = token.stem in self.claims.known or token.stem in general
            if named or (not known and self._stands(at, before, texts)):
                yield Value(at, at, token.text, frozenset({"plain"}))

    def _stands(self, at: int, before: Sequence[str], texts: Sequence[str]) -> bool:
        """Is this where a value stands: after a preposition, as the one who does, or before what it is a kind of?"""
        after = self.tokens[at + 1] if at + 1 < len(self.tokens) else None
        if before[-1] in _PREPOSITIONS or (before[-1] == "the" and before[0] in _PREPOSITIONS):
            return after is None or after.stem is None or after.stem in self.claims.known
        if before[-1] in ("does", "did"):
            return after is not None and after.stem is not None
        beside = after is not None and any(self.claims.fit(option, [at + 1]).score >= 1.0 for option in texts)
        return beside or at + 1 in self.claims.chosen

    def flags(self) -> Iterator[Wanted]:
        """Names that are true or false, and are mentioned."""
        window = self.claims.free()
        for option, condition in self.among.of.items():
            fit = self.claims.fit(option, window)
            if "boolean" not in condition.kinds or fit.score < 1.0 or fit.tokens & self.claims.taken:
                continue
            at = min(fit.tokens)
            negated = _NEGATIONS & {self.tokens[i].low for i in range(max(0, at - 3), at)}
            self.claims.taken |= fit.tokens
            yield Wanted(at, {option: fit.score}, "=", "false" if negated else "true", True)

    def about(self, value: Value) -> Wanted | None:
        """The name that a value spelled out most likely belongs to."""
        span = set(range(value.first, value.last + 1))
        near = [i for i in range(max(0, value.first - NEAR), min(len(self.tokens), value.last + NEAR + 1)) if i not in span]
        fits = {}
        for n, (option, condition) in enumerate(self.among.of.items()):
            score = self._affinity(option, condition, value, near)
            if score is not None:
                fits[option] = max(0.0, score - LATER * n)
        if not fits:
            return None
        best = max(fits, key=lambda option: fits[option])
        op = self._operator(self.among.of[best], value)
        self.claims.taken |= span | self.claims.fit(best, near).tokens
        return Wanted(value.first, fits, op, value.text, "number" in self.among.of[best].kinds)

    def _affinity(self, option: str, condition: Condition, value: Value, near: Sequence[int]) -> float | None:
        if value.kinds & {"name", "plain", "quoted"}:
            fits = "string" in condition.kinds and not condition.listed
            return self._of_text(option, value, near) if fits else None
        if not value.kinds & condition.kinds:
            return None
        dated = value.kinds >= {"number", "date"}
        score, _ = self._beside(option, value, near)
        name = spaced(option.rpartition(".")[2])
        return score + ((DATED if "date" in condition.kinds else YEARLY * self.claims.alike(name, _YEAR)) if dated else 0.0)

    def _of_text(self, option: str, value: Value, near: Sequence[int]) -> float:
        of, _, name = option.rpartition(".")
        before = self.tokens[value.first - 1].low if value.first else ""
        score, close = self._beside(option, value, self._asked(near, value) if before == "of" else near)
        alike = self.claims.alike(spaced(name), value.text)
        if before in _INTO:
            place = max(self.claims.alike(spaced(part), _PLACE) for part in (name, of) if part)
            return score * (1.0 if close else ELSEWHERE) + PLACE * place + alike
        named = NAMED * self.claims.alike(spaced(name), _NAME)
        return score + alike + (-named if "plain" in value.kinds and value.last + 1 in self.claims.chosen else named)

    def _beside(self, option: str, value: Value, near: Sequence[int]) -> tuple[float, bool]:
        """What the words near a value say for a name, and whether they stand right beside it."""
        fit = self.claims.fit(option, near)
        again = self.claims.fit(option, near, taken=True)  # a word may stand for a value and for the column beside it
        score = fit.score + AGAIN * max(0.0, again.score - fit.score)
        places = fit.tokens or ({fit.sense} if fit.sense is not None else ())
        apart = min((self.claims.between(i, value) for i in places), default=0)
        close = any(at in fit.tokens for at in (value.first - 1, value.last + 1))
        return max(0.0, score + BESIDE * close - APART * apart), close or not apart

    def _asked(self, near: Sequence[int], value: Value) -> Sequence[int]:
        """ "The room of Sculpture" asks for the room; "in the town of Graz" doesn't."""
        start = value.first - 2
        while start >= 0 and self.tokens[start].stem is not None:
            start -= 1
        if start > 0 and self.tokens[start].low == "the":
            start -= 1
        return near if start >= 0 and self.tokens[start].low in _INTO else [i for i in near if i > value.first]

    def _operator(self, condition: Condition, value: Value) -> str:
        """What a phrase beside the value stands for; else the first, which is the usual one."""
        for op in sorted(condition.ops, key=len, reverse=True):
            for said in self.sayings.get(op, ()):
                for cue in self.claims.cues(_open(said)):
                    if value.first in cue.gap[:2]:
                        self.claims.taken |= cue.words
                        return op
        return condition.ops[0] if condition.ops else "="


def _open(said: Said) -> Said:
    """A phrase with no gap, with one behind it."""
    return said if said.gap else Said((*said.parts, ()))
