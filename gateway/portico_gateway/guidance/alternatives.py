"""Which alternative of an object a question speaks for, and what it says about each: every word of it counts once.

For each branch of a schema (`slots.py`) the slots cover the question's words in turn: the choices that stand for the branch,
conditions for the values spelled out, keys that the question's phrases speak for, at last names for the words that are left.
What a branch can cover is its worth. Weights only; it knows no tool, and what may be said is the grammar's alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from portico_engine import CallPrior
from portico_gateway.guidance.conditions import FoundCondition, find_conditions
from portico_gateway.guidance.description_convention import Phrase
from portico_gateway.guidance.slots import Branch, Conditions, Slot
from portico_gateway.guidance.stemming import stems_of
from portico_gateway.guidance.weights import ValueWeights
from portico_gateway.guidance.word_coverage import NameMatch, PhraseMatch, WordCoverage

_TIMELY = frozenset("oldest newest latest youngest earliest recent first last".split())
_MOST = frozenset("most fewest least top".split())  # of what, another word must say


@dataclass(slots=True)
class AlternativeScore:
    """What the question says about one branch, in nats."""

    choice: Mapping[str, str]
    weights: ValueWeights
    choices: dict[str, float] = field(default_factory=dict)  # of the deciding keys' values
    keys: dict[str, float] = field(default_factory=dict)
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    bare: dict[str, dict[str, float]] = field(default_factory=dict)
    items: dict[str, list[CallPrior]] = field(default_factory=dict)
    unused_values: int = 0
    known_words: int = 0

    @property
    def total(self) -> float:
        return sum(self.choices.values()) + sum(w for w in self.keys.values() if w > 0) + self.left_over

    @property
    def left_over(self) -> float:
        """What is said beside choices and keys."""
        return self.weights.unused * self.unused_values + self.weights.known_word * self.known_words


class _KeyMatch(NamedTuple):
    """A phrase that speaks for a key."""

    slot: Slot
    score: float
    size: int  # words of the phrase
    matches: dict[str, NameMatch]  # by option
    covers: set[int]


def score_alternative(branch: Branch, coverage: WordCoverage, path: str) -> AlternativeScore:
    """Let the branch's slots cover the question's words."""
    return _Scorer(coverage, path, AlternativeScore(branch.choice, coverage.weights.values)).read(branch)


def combined_prior(scores: Sequence[AlternativeScore], deciding: Sequence[str], path: str) -> CallPrior:
    """One prior of all: the first deciding key's values by their best alternative, `then` what that one says, and so on."""
    best = max(scores, key=lambda score: score.total)
    keys = {path: best.keys}
    if not deciding:
        return CallPrior(keys, best.values, best.bare, best.items)
    key, where = deciding[0], f"{path}.{deciding[0]}" if path else deciding[0]
    groups: dict[str, list[AlternativeScore]] = {}
    for score in scores:
        groups.setdefault(score.choice[key], []).append(score)
    weights, then = {}, {}
    for option, group in groups.items():
        top = max(group, key=lambda score: score.total)
        weights[escaped(option)] = sum(top.choices[later] for later in deciding) + top.left_over
        then[escaped(option)] = combined_prior(group, deciding[1:], path)
    return CallPrior(keys, {**best.values, where: weights}, then={where: then})


class _Scorer:
    def __init__(self, coverage: WordCoverage, path: str, score: AlternativeScore) -> None:
        self.coverage, self.path, self.score = coverage, path, score
        self.tokens, self.weights = coverage.tokens, coverage.weights

    def read(self, branch: Branch) -> AlternativeScore:
        coverage, score = self.coverage, self.score
        coverage.begin(branch)
        for key, option in branch.choice.items():
            score.choices[key] = self._choice(option, branch.phrases.get(key, {}))
        coverage.choice_words = set(coverage.covered)
        for slot in branch.slots:
            if slot.number:
                score.keys[slot.name] = self._number(slot)
        for slot in branch.slots:
            if slot.conditions is not None:
                score.keys[slot.name] = self._conditions(slot, slot.conditions)
        self._options([slot for slot in branch.slots if slot.options and not slot.many])
        for slot in branch.slots:
            if slot.options and slot.many:
                score.keys[slot.name] = self._names(slot)
        score.known_words = coverage.uncovered_names(branch)
        slots = {slot.name: slot for slot in branch.slots}
        optional = self.weights.keys.optional
        score.keys = {name: _key(slots.get(name), score.keys.get(name, optional)) for name in branch.order}
        return score

    def _choice(self, option: str, phrases: Mapping[str, Sequence[Phrase]]) -> float:
        """A choice that a phrase of its own stands for, or that is named."""
        weights = self.weights.options
        if phrases:
            found = [(p.size, match) for p in phrases.get(option, ()) if (match := self.coverage.match_phrase(p))]
            if not found:
                return 0.0 if option in list(phrases)[: weights.usual] else weights.unspoken
            size, match = max(found, key=lambda one: one[0])
            self.coverage.covered |= match.words
            return weights.named + weights.phrase_word * size
        own = stems_of(option)
        places = {stem: [i for i, t in enumerate(self.tokens) if t.stem == stem] for stem in own}
        hit = [at[0] for at in places.values() if at]
        self.coverage.covered |= set(hit)
        if not hit:
            return 0.0
        return weights.named * len(hit) / len(own) + weights.earliest * (1 - min(hit) / len(self.tokens))

    def _number(self, slot: Slot) -> float:
        """A number beside a phrase that speaks for the key, or the number that stands for a phrase."""
        where, spelled = self._path_of(slot.name), self.weights.values.spelled
        for option, phrases in slot.phrases.items():
            for phrase in phrases:
                if (match := self.coverage.match_phrase(phrase, anywhere=True)) is None:
                    continue
                beside = {min(match.words) - 1, max(match.words) + 1}
                for value in self.coverage.values:
                    span = set(range(value.first, value.last + 1))
                    counted = beside & span or value.last + 1 in self.coverage.covered
                    if "number" in value.kinds and counted:
                        self.coverage.covered |= span
                        self.score.bare[where] = {value.text: spelled}
                        return self.weights.keys.phrase + self.weights.keys.match
                if option:
                    self.score.bare[where] = {option: spelled}
        return self.weights.keys.implied if where in self.score.bare else self.weights.keys.optional

    def _options(self, slots: Sequence[Slot]) -> None:
        """One option each for the keys that a phrase speaks for. What matches best covers its words first."""
        weights, left = self.weights, []
        for slot in slots:
            if any(slot.phrases):
                self._option_by_phrase(slot)
            else:
                left.append(slot)
        while found := [one for slot in left if (one := self._key_match(slot)) is not None]:
            best = max(found, key=lambda one: (round(one.score, 1), one.size))
            self.coverage.covered |= best.covers
            self.score.values[self._path_of(best.slot.name)] = {
                escaped(option): weights.options.match * match.score for option, match in best.matches.items()
            }
            self.score.keys[best.slot.name] = weights.keys.phrase + weights.keys.match * best.score
            left.remove(best.slot)

    def _option_by_phrase(self, slot: Slot) -> None:
        """The options whose own phrases are said."""
        spoken = {
            option: any(self.coverage.match_phrase(phrase, anywhere=True) for phrase in slot.phrases.get(option, ()))
            for option in slot.options
        }
        named = self.weights.options.named
        self.score.values[self._path_of(slot.name)] = {escaped(o): named if spoken[o] else 0.0 for o in slot.options}
        keys = self.weights.keys
        self.score.keys[slot.name] = keys.implied if any(spoken.values()) else keys.optional

    def _key_match(self, slot: Slot) -> _KeyMatch | None:
        """The phrase that speaks best for a key, with how each option matches it."""
        best: _KeyMatch | None = None
        for phrase in slot.phrases.get("", ()):
            between = phrase.gap and bool(phrase.parts[0] and phrase.parts[-1])  # such a phrase shares its words with others
            found = self.coverage.match_phrase(phrase, anywhere=between)
            if found is None or (not phrase.gap and set(phrase.parts[0]) <= _MOST):
                continue
            window = self.coverage.noun_in(found.gap) if phrase.gap else self.coverage.uncovered()
            matches = {
                option: self.coverage.match_name(
                    option, window, found.words, self._kind_bonus(option, found, phrase.gap, between)
                )
                for option in slot.options
            }
            if phrase.gap:
                matches = {o: self._placed(match, found, n) for n, (o, match) in enumerate(matches.items())}
            top = max(matches.values(), key=lambda match: match.score)
            if top.score >= self.weights.names.least and (best is None or top.score > best.score):
                covers = set(top.tokens) | (set() if between else found.words)
                best = _KeyMatch(slot, top.score, phrase.size, matches, covers)
        return best

    def _placed(self, match: NameMatch, phrase: PhraseMatch, place: int) -> NameMatch:
        """In a gap the first words count most; the most of something is the thing's number, no number that it has."""
        weights = self.weights.names
        if match.owner_only and self._has(phrase, _MOST) and min(match.tokens) > min(phrase.words):
            counted = not phrase.gap or min(phrase.words) == min(phrase.gap) - len(phrase.words)
            if counted:
                return NameMatch(0.0)
        content = [i for i in phrase.gap if self.tokens[i].stem is not None]
        first = min((content.index(i) for i in match.tokens if i in content), default=0)
        later = min(weights.later * place, weights.later_most) * (match.score > 0)
        return replace(match, score=match.score * weights.gap_word**first - later)

    def _kind_bonus(self, option: str, phrase: PhraseMatch, gap: bool, between: bool) -> float:
        """The oldest is by a date, the cheapest by a number; who has the most of something is neither.

        What a name is compared with tells its kind.
        """
        weights = self.weights.names
        kinds = self.coverage.kinds.get(option, frozenset())
        if between:
            return -weights.wrong_kind if kinds & {"number", "date"} else 0.0
        if gap and not self._has(phrase, _MOST):
            return 0.0
        wanted = "date" if self._has(phrase, _TIMELY) else "number"
        if wanted in kinds:
            return weights.right_kind / 2 if gap else weights.right_kind
        return 0.0 if kinds & {"date", "number"} and not gap else -weights.wrong_kind

    def _has(self, phrase: PhraseMatch, words: frozenset[str]) -> bool:
        return any(self.tokens[i].low in words for i in phrase.words)

    def _names(self, slot: Slot) -> float:
        """Names for the words that are left; the nearest one where there must be one."""
        where, keys, full = self._path_of(slot.name), self.weights.keys, self.weights.options.match
        window = self.coverage.uncovered()
        by_sense = range(len(self.tokens)) if slot.needed else ()
        matches = {option: self.coverage.match_name(option, window, by_sense) for option in slot.options}
        if slot.needed:
            best = max(matches.values(), key=lambda match: match.score)
            self.score.values[where] = {escaped(option): full * match.score for option, match in matches.items()}
            self.coverage.covered |= best.tokens
            return keys.needed * bool(best.tokens) + keys.match * best.score
        chosen: dict[int, str] = {}
        for option, match in sorted(matches.items(), key=lambda item: -item[1].score):
            if match.score >= 1.0 and not match.tokens & self.coverage.covered:
                self.coverage.covered |= match.tokens
                chosen[min(match.tokens)] = option
        names = [chosen[at] for at in sorted(chosen)]
        self.score.items[where] = [CallPrior(values={where: {escaped(name): full}}) for name in names]
        return keys.match if names else keys.optional

    def _conditions(self, slot: Slot, among: Conditions) -> float:
        where, keys = self._path_of(slot.name), self.weights.keys
        found = find_conditions(self.coverage, among, slot.phrases)
        covered = self.coverage.covered
        self.score.unused_values += sum(not set(range(v.first, v.last + 1)) & covered for v in self.coverage.values)
        self.score.items[where] = [self._item(where, among, one) for one in found]
        if not found:
            return keys.optional
        return sum(keys.phrase + keys.match * min(1.0, max(one.matches.values())) / 2 for one in found)

    def _item(self, where: str, among: Conditions, one: FoundCondition) -> CallPrior:
        full, spelled = self.weights.options.match, self.weights.values.spelled
        values = {f"{where}.{among.subject}": {escaped(option): full * score for option, score in one.matches.items()}}
        if among.op:
            values[f"{where}.{among.op}"] = {escaped(one.op): spelled}
        key = f"{where}.{among.value}"
        if not one.bare:
            values[key] = {escaped(one.text): spelled}
        bare = {key: {one.text: spelled}} if one.bare or _is_number(one.text) else {}
        return CallPrior(values=values, bare=bare)

    def _path_of(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def _key(slot: Slot | None, weight: float) -> float:
    """What a key weighs; one that must be there costs nothing."""
    return 0.0 if slot is None else max(weight, 0.0) if slot.needed else weight


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()


def escaped(text: str) -> str:
    """A string as JSON writes it, without its quotes."""
    return json.dumps(text, ensure_ascii=False)[1:-1]
