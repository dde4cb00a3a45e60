"""Conditions that a question asks for: which name each value goes with, what is absent, what is true.

Values spelled out find the name that matches best by kind, by the words beside it and by sense; values that a name lists find
that name; names said to be missing or there, and names that are true or false, need no value. It weighs; it knows no tool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from portico_gateway.guidance.description_convention import Phrase
from portico_gateway.guidance.question import Value
from portico_gateway.guidance.slots import Condition, Conditions
from portico_gateway.guidance.stemming import spaced, stems_of
from portico_gateway.guidance.word_coverage import PhraseMatch, WordCoverage

_PLACE, _NAME, _YEAR = "place city town country", "name", "year"
_OF = frozenset("in of with from whose for".split())
_INTO = frozenset("in from at near to".split())
_NEGATIONS = frozenset("not no non without never except".split())
_HAVING = tuple(
    Phrase(((verb,), ())) for verb in ("have", "has", "having", "with", "get", "gets", "got", "receive", "receives")
)
_PREPOSITIONS = frozenset("by in from for at".split())
_GENERAL = frozenset(
    "total average all together altogether time day month year people person thing entry record row number kind type database "
    "member different new there here yet live work come make go take be do".split()
)


class FoundCondition(NamedTuple):
    """One condition that a question asks for."""

    at: int  # where it says so
    matches: dict[str, float]  # by name
    op: str
    text: str  # the value
    bare: bool  # a number or a literal, not a string


def find_conditions(coverage: WordCoverage, among: Conditions, phrases: Mapping[str, Sequence[Phrase]]) -> list[FoundCondition]:
    """All of them, in the question's order. `phrases` are those of the key, by operator and for `null`."""
    finder = _Finder(coverage, among, phrases)
    found = [*finder.listed(), *finder.absent(), *finder.present(), *finder.flags()]
    for value in (*coverage.values, *finder.plain_words()):
        if not set(range(value.first, value.last + 1)) & coverage.covered and (one := finder.about(value)):
            found.append(one)
    return sorted(found, key=lambda one: one.at)


class _Finder:
    def __init__(self, coverage: WordCoverage, among: Conditions, phrases: Mapping[str, Sequence[Phrase]]) -> None:
        self.coverage, self.among, self.phrases = coverage, among, phrases
        self.tokens = coverage.tokens
        self.weights = coverage.weights.conditions
        self.later = coverage.weights.names.later

    def listed(self) -> Iterator[FoundCondition]:
        """Values that only some names list: "paid" is a status."""
        listing: dict[str, dict[str, float]] = {}
        for n, (option, condition) in enumerate(self.among.of.items()):
            for text in condition.listed:
                listing.setdefault(text, {})[option] = 1.0 - self.later * n
        for text, options in sorted(listing.items(), key=lambda item: -len(item[0])):
            at = self._spelled(text)
            if at is not None:
                self.coverage.covered |= at
                near = self.coverage.window(at)
                matches = {
                    option: score + self.weights.beside * min(1.0, self.coverage.match_name(option, near).score)
                    for option, score in options.items()
                }
                best = max(matches, key=lambda option: matches[option])
                self.coverage.covered |= self.coverage.match_name(best, near).tokens
                negated = any(self.tokens[i].low in _NEGATIONS for i in range(max(0, min(at) - 2), min(at)))
                op = "!=" if negated and "!=" in self.among.of[best].ops else "="
                yield FoundCondition(min(at), matches, op, text, False)

    def _spelled(self, text: str) -> set[int] | None:
        wanted = [stems_of(word)[0] if len(stems_of(word)) == 1 else word.lower() for word in text.split()]
        for at in range(len(self.tokens) - len(wanted) + 1):
            if all(wanted[i] in (self.tokens[at + i].stem, self.tokens[at + i].low) for i in range(len(wanted))):
                found = set(range(at, at + len(wanted)))
                written = " ".join(self.tokens[i].low for i in sorted(found))
                if not found & self.coverage.covered and len(written) >= len(text) - 1:  # "delay" isn't "delayed"
                    return found
        return None

    def absent(self) -> Iterator[FoundCondition]:
        """Names that are said to have no value, or to have one: `null` among the phrases."""
        options = [o for o, c in self.among.of.items() if "null" in c.kinds and "boolean" not in c.kinds]
        for phrase in self.phrases.get("null", ()):
            match = self.coverage.match_phrase(phrase.open())
            if match is None or not options or any(v.first in match.gap[:2] for v in self.coverage.values):
                continue
            if one := self._whether(match, options, "="):
                yield one

    def present(self) -> Iterator[FoundCondition]:
        """Names that something is said to have, whatever the value: "with an email"."""
        options = [o for o, c in self.among.of.items() if "null" in c.kinds and "boolean" not in c.kinds and "!=" in c.ops]
        for match in (match for verb in _HAVING for match in self.coverage.phrase_matches(verb)):
            window = match.gap[:3]
            if not window or self.tokens[window[0]].low not in ("a", "an", "any"):
                continue
            if any(v.first in range(min(match.words), max(window) + 3) for v in self.coverage.values):
                continue
            if one := self._whether(match, options, "!="):
                yield one

    def _whether(self, phrase: PhraseMatch, options: Sequence[str], op: str) -> FoundCondition | None:
        """A name said right after the phrase; for what something else is called by, the key that refers to it."""
        window = phrase.gap[:3]
        every = {option: self.coverage.match_name(option, window) for option in options}
        matches = {option: match for option, match in every.items() if match.score >= self.weights.absent}
        matches = matches or {option: match for option, match in every.items() if "." not in option and match.owner_only}
        if not matches:
            return None
        best = max(matches.values(), key=lambda match: match.score)
        self.coverage.covered |= best.tokens | phrase.words
        return FoundCondition(min(phrase.words), {o: match.score for o, match in matches.items()}, op, "null", True)

    def plain_words(self) -> Iterator[Value]:
        """Plain words that may be values: what the schema doesn't know, where values stand ("by ruth", "in the attic")."""
        texts = [o for o, c in self.among.of.items() if "string" in c.kinds and not c.listed]
        general = {stem for word in _GENERAL for stem in stems_of(word)}
        for at in range(1, len(self.tokens)):
            token = self.tokens[at]
            if token.stem is None or at in self.coverage.covered:
                continue
            before = [t.low for t in self.tokens[max(0, at - 2) : at]]
            named = len(before) == 2 and before[0] in _OF and any(self._is_said(option, at - 1) for option in texts)
            known = token.stem in self.coverage.known_stems or token.stem in general
            if named or (not known and self._stands(at, before, texts)):
                yield Value(at, at, token.text, frozenset({"plain"}))

    def _stands(self, at: int, before: Sequence[str], texts: Sequence[str]) -> bool:
        """Is this where a value stands: after a preposition, as the one who does, or before what it is a kind of?"""
        after = self.tokens[at + 1] if at + 1 < len(self.tokens) else None
        if before[-1] in _PREPOSITIONS or (before[-1] == "the" and before[0] in _PREPOSITIONS):
            return after is None or after.stem is None or after.stem in self.coverage.known_stems
        if before[-1] in ("does", "did"):
            return after is not None and after.stem is not None
        beside = after is not None and any(self._is_said(option, at + 1) for option in texts)
        return beside or at + 1 in self.coverage.choice_words

    def _is_said(self, option: str, at: int) -> bool:
        return self.coverage.match_name(option, [at]).score >= 1.0

    def flags(self) -> Iterator[FoundCondition]:
        """Names that are true or false, and are mentioned."""
        window = self.coverage.uncovered()
        for option, condition in self.among.of.items():
            match = self.coverage.match_name(option, window)
            if "boolean" not in condition.kinds or match.score < 1.0 or match.tokens & self.coverage.covered:
                continue
            at = min(match.tokens)
            negated = _NEGATIONS & {self.tokens[i].low for i in range(max(0, at - 3), at)}
            self.coverage.covered |= match.tokens
            yield FoundCondition(at, {option: match.score}, "=", "false" if negated else "true", True)

    def about(self, value: Value) -> FoundCondition | None:
        """The name that a value spelled out most likely belongs to."""
        span = set(range(value.first, value.last + 1))
        reach = self.coverage.weights.names.reach
        near = [i for i in range(max(0, value.first - reach), min(len(self.tokens), value.last + reach + 1)) if i not in span]
        matches = {}
        for n, (option, condition) in enumerate(self.among.of.items()):
            score = self._affinity(option, condition, value, near)
            if score is not None:
                matches[option] = max(0.0, score - self.later * n)
        if not matches:
            return None
        best = max(matches, key=lambda option: matches[option])
        op = self._operator(self.among.of[best], value)
        self.coverage.covered |= span | self.coverage.match_name(best, near).tokens
        return FoundCondition(value.first, matches, op, value.text, "number" in self.among.of[best].kinds)

    def _affinity(self, option: str, condition: Condition, value: Value, near: Sequence[int]) -> float | None:
        if value.kinds & {"name", "plain", "quoted"}:
            is_text = "string" in condition.kinds and not condition.listed
            return self._of_text(option, value, near) if is_text else None
        if not value.kinds & condition.kinds:
            return None
        score, _ = self._beside(option, value, near)
        if not value.kinds >= {"number", "date"}:
            return score
        if "date" in condition.kinds:
            return score + self.weights.date
        return score + self.weights.year * self.coverage.similarity(spaced(option.rpartition(".")[2]), _YEAR)

    def _of_text(self, option: str, value: Value, near: Sequence[int]) -> float:
        of, _, name = option.rpartition(".")
        before = self.tokens[value.first - 1].low if value.first else ""
        score, close = self._beside(option, value, self._asked(near, value) if before == "of" else near)
        similarity = self.coverage.similarity
        alike = similarity(spaced(name), value.text)
        if before in _INTO:
            place = max(similarity(spaced(part), _PLACE) for part in (name, of) if part)
            return score * (1.0 if close else self.weights.elsewhere) + self.weights.place * place + alike
        called = self.weights.called * similarity(spaced(name), _NAME)
        described = "plain" in value.kinds and value.last + 1 in self.coverage.choice_words  # "wooden boats": no name
        return score + alike + (-called if described else called)

    def _beside(self, option: str, value: Value, near: Sequence[int]) -> tuple[float, bool]:
        """What the words near a value say for a name, and whether they stand right beside it."""
        match = self.coverage.match_name(option, near)
        again = self.coverage.match_name(option, near, anywhere=True)  # a word may be a value, and the column beside it
        score = match.score + self.weights.covered * max(0.0, again.score - match.score)
        places = match.tokens or ({match.nearest} if match.nearest is not None else ())
        apart = min((self.coverage.words_between(i, value) for i in places), default=0)
        close = any(at in match.tokens for at in (value.first - 1, value.last + 1))
        return max(0.0, score + self.weights.beside * close - self.weights.apart * apart), close or not apart

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
            for phrase in self.phrases.get(op, ()):
                for match in self.coverage.phrase_matches(phrase.open()):
                    if value.first in match.gap[:2]:
                        self.coverage.covered |= match.words
                        return op
        return condition.ops[0] if condition.ops else "="
