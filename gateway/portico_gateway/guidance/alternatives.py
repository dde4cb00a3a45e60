"""Which alternative of an object a question speaks for, and what it says about each: every word of it counts once.

For each branch of a schema (`shapes.py`) the slots claim the question's words in turn: the choices that stand for the branch,
conditions for the values spelled out, keys that the question's phrases speak for, at last names for the words that are left.
What a branch can claim is its worth. Weights only; it knows no tool, and what may be said is the grammar's alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from portico_engine import CallPrior
from portico_gateway.guidance.conditions import Wanted, wanted
from portico_gateway.guidance.slots import Branch, Conditions, Said, Slot
from portico_gateway.guidance.stemming import stems_of
from portico_gateway.guidance.word_coverage import Claims, Cue, Fit

OPTIONAL = -9.0  # nats for writing an optional key that nothing speaks for
SAID = 7.0  # for a choice that the question names
UNSPOKEN = -12.0  # for one that has phrases, and none is said; but for
USUAL = 2  # the first ones, which descriptions begin with
WORD = 0.5  # more for each word of the phrase that speaks for it: "how many different" goes over "how many"
EARLY = 2.0  # more for the first of several names that could be the choice
SPOKEN = 4.0  # for a key that a phrase speaks for, and
NEEDED = 3.0  # for one that its branch needs anyway
IMPLIED = 2.0  # for one that only goes along with another
FITS = 6.0  # as much again, by how well its best option fits
CHOSEN = 8.0  # for an option that fits wholly
SPELLED = 9.0  # for a value, and for its operator
UNUSED = -4.0  # for a value spelled out that finds no name
LEAST = 0.3  # a fit below it is none
TIMELY = 0.3  # of a fit, for a name of the kind that a phrase is about
LATER = 0.02  # less of a fit for each name before it,
OPEN = 0.2  # at most
FURTHER = 0.65  # of a fit, for each word between a phrase and the name
KNOWN = 1.0  # for a word that a branch knows, and does nothing with
COUNTED = 0.6  # less for a number or a date where a phrase asks who or what has the most

_TIMELY = frozenset("oldest newest latest youngest earliest recent first last".split())
_MOST = frozenset("most fewest least top".split())  # of what, another word must say


@dataclass(slots=True)
class Case:
    """What the question says about one branch."""

    choice: Mapping[str, str]
    weights: dict[str, float] = field(default_factory=dict)  # of the deciding keys' values
    keys: dict[str, float] = field(default_factory=dict)
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    bare: dict[str, dict[str, float]] = field(default_factory=dict)
    items: dict[str, list[CallPrior]] = field(default_factory=dict)
    unused: int = 0
    known: int = 0

    @property
    def gain(self) -> float:
        return sum(self.weights.values()) + sum(w for w in self.keys.values() if w > 0) + self.others

    @property
    def others(self) -> float:
        """What is said beside choices and keys."""
        return UNUSED * self.unused + KNOWN * self.known


class _Spoken(NamedTuple):
    """A phrase that speaks for a key."""

    slot: Slot
    score: float
    size: int  # words of the phrase
    fits: dict[str, Fit]
    claims: set[int]


def case_of(branch: Branch, claims: Claims, path: str) -> Case:
    """Let the branch's slots claim the question's words."""
    return _Reader(claims, path, Case(branch.choice)).read(branch)


def _key(slot: Slot | None, weight: float) -> float:
    """What a key weighs; one that must be there costs nothing."""
    return 0.0 if slot is None else max(weight, 0.0) if slot.needed else weight


def prior_of(cases: Sequence[Case], deciding: Sequence[str], path: str) -> CallPrior:
    """One prior of all cases: the first deciding key's values by their best case, and `then` what that case says, and so on."""
    best = max(cases, key=lambda case: case.gain)
    keys = {path: best.keys}
    if not deciding:
        return CallPrior(keys, best.values, best.bare, best.items)
    key, where = deciding[0], f"{path}.{deciding[0]}" if path else deciding[0]
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.choice[key], []).append(case)
    weights, then = {}, {}
    for option, group in groups.items():
        top = max(group, key=lambda case: case.gain)
        weights[_escaped(option)] = sum(top.weights[later] for later in deciding) + top.others
        then[_escaped(option)] = prior_of(group, deciding[1:], path)
    return CallPrior(keys, {**best.values, where: weights}, then={where: then})


class _Reader:
    def __init__(self, claims: Claims, path: str, case: Case) -> None:
        self.claims, self.path, self.case = claims, path, case
        self.tokens = claims.tokens

    def read(self, branch: Branch) -> Case:
        claims, case = self.claims, self.case
        claims.begin(branch)
        for key, option in branch.choice.items():
            case.weights[key] = self._choice(option, branch.sayings.get(key, {}))
        claims.chosen = set(claims.taken)
        for slot in branch.slots:
            if slot.number:
                case.keys[slot.name] = self._number(slot)
        for slot in branch.slots:
            if slot.conditions is not None:
                case.keys[slot.name] = self._conditions(slot, slot.conditions)
        self._options([slot for slot in branch.slots if slot.options and not slot.many])
        for slot in branch.slots:
            if slot.options and slot.many:
                case.keys[slot.name] = self._names(slot)
        case.known = claims.mentioned(branch)
        slots = {slot.name: slot for slot in branch.slots}
        case.keys = {name: _key(slots.get(name), case.keys.get(name, OPTIONAL)) for name in branch.order}
        return case

    def _choice(self, option: str, sayings: Mapping[str, Sequence[Said]]) -> float:
        """A choice that a phrase of its own stands for, or that is named."""
        if sayings:
            hits = [(said.size, cue) for said in sayings.get(option, ()) if (cue := self.claims.cue(said))]
            if not hits:
                return 0.0 if option in list(sayings)[:USUAL] else UNSPOKEN
            size, cue = max(hits, key=lambda hit: hit[0])
            self.claims.taken |= cue.words
            return SAID + WORD * size
        own = stems_of(option)
        found = {stem: [i for i, t in enumerate(self.tokens) if t.stem == stem] for stem in own}
        hit = [places[0] for places in found.values() if places]
        self.claims.taken |= set(hit)
        return (SAID * len(hit) / len(own) + EARLY * (1 - min(hit) / len(self.tokens))) if hit else 0.0

    def _number(self, slot: Slot) -> float:
        """A number beside a phrase that speaks for the key, or the number that stands for a phrase."""
        where = self._under(slot.name)
        for option, phrases in slot.sayings.items():
            for said in phrases:
                if (cue := self.claims.cue(said, taken=True)) is None:
                    continue
                beside = {min(cue.words) - 1, max(cue.words) + 1}
                for value in self.claims.values:
                    counted = beside & set(range(value.first, value.last + 1)) or value.last + 1 in self.claims.taken
                    if "number" in value.kinds and counted:
                        self.claims.taken |= set(range(value.first, value.last + 1))
                        self.case.bare[where] = {value.text: SPELLED}
                        return SPOKEN + FITS
                if option:
                    self.case.bare[where] = {option: SPELLED}
        return IMPLIED if where in self.case.bare else OPTIONAL

    def _options(self, slots: Sequence[Slot]) -> None:
        """One option each for the keys that a phrase speaks for. What fits best claims its words first."""
        left = []
        for slot in slots:
            if any(slot.sayings):
                spoken = {o: any(self.claims.cue(said, taken=True) for said in slot.sayings.get(o, ())) for o in slot.options}
                self.case.values[self._under(slot.name)] = {_escaped(o): SAID if spoken[o] else 0.0 for o in slot.options}
                self.case.keys[slot.name] = IMPLIED if any(spoken.values()) else OPTIONAL
            else:
                left.append(slot)
        while found := [one for slot in left if (one := self._spoken(slot)) is not None]:
            best = max(found, key=lambda one: (round(one.score, 1), one.size))
            self.claims.taken |= best.claims
            self.case.values[self._under(best.slot.name)] = {
                _escaped(option): CHOSEN * fit.score for option, fit in best.fits.items()
            }
            self.case.keys[best.slot.name] = SPOKEN + FITS * best.score
            left.remove(best.slot)

    def _spoken(self, slot: Slot) -> _Spoken | None:
        """The phrase that speaks best for a key, with how each option fits it."""
        best: _Spoken | None = None
        for said in slot.sayings.get("", ()):
            between = said.gap and bool(said.parts[0] and said.parts[-1])  # such a phrase shares its words with others
            if (cue := self.claims.cue(said, taken=between)) is None or (not said.gap and set(said.parts[0]) <= _MOST):
                continue
            window = self.claims.named(cue.gap) if said.gap else self.claims.free()
            fits = {o: self.claims.fit(o, window, cue.words, self._sort(o, cue, said.gap, between)) for o in slot.options}
            if said.gap:
                fits = {o: self._placed(fit, cue, n) for n, (o, fit) in enumerate(fits.items())}
            top = max(fits.values(), key=lambda fit: fit.score)
            if top.score >= LEAST and (best is None or top.score > best.score):
                best = _Spoken(slot, top.score, said.size, fits, set(top.tokens) | (set() if between else cue.words))
        return best

    def _placed(self, fit: Fit, cue: Cue, place: int) -> Fit:
        """In a gap the first words count most; the most of something is the thing's number, no number that it has."""
        if fit.owner and any(self.tokens[i].low in _MOST for i in cue.words) and min(fit.tokens) > min(cue.words):
            counted = not cue.gap or min(cue.words) == min(cue.gap) - len(cue.words)
            if counted:
                return Fit(0.0)
        content = [i for i in cue.gap if self.tokens[i].stem is not None]
        first = min((content.index(i) for i in fit.tokens if i in content), default=0)
        return replace(fit, score=fit.score * FURTHER**first - min(LATER * place, OPEN) * (fit.score > 0))

    def _sort(self, option: str, cue: Cue, gap: bool, between: bool) -> float:
        """The oldest is by a date, the cheapest by a number; who has the most of something is neither.

        What a name is compared with tells its kind.
        """
        kinds = self.claims.kinds.get(option, frozenset())
        if between:
            return -COUNTED if kinds & {"number", "date"} else 0.0
        if gap and not any(self.tokens[i].low in _MOST for i in cue.words):
            return 0.0
        wanted = "date" if any(self.tokens[i].low in _TIMELY for i in cue.words) else "number"
        if wanted in kinds:
            return TIMELY / 2 if gap else TIMELY
        return 0.0 if kinds & {"date", "number"} and not gap else -COUNTED

    def _names(self, slot: Slot) -> float:
        """Names for the words that are left; the nearest one where there must be one."""
        where = self._under(slot.name)
        window = self.claims.free()
        fits = {
            option: self.claims.fit(option, window, range(len(self.tokens)) if slot.needed else ()) for option in slot.options
        }
        if slot.needed:
            best = max(fits, key=lambda option: fits[option].score)
            self.case.values[where] = {_escaped(option): CHOSEN * fit.score for option, fit in fits.items()}
            self.claims.taken |= fits[best].tokens
            return NEEDED * bool(fits[best].tokens) + FITS * fits[best].score
        chosen: dict[int, str] = {}
        for option, fit in sorted(fits.items(), key=lambda item: -item[1].score):
            if fit.score >= 1.0 and not fit.tokens & self.claims.taken:
                self.claims.taken |= fit.tokens
                chosen[min(fit.tokens)] = option
        names = [chosen[at] for at in sorted(chosen)]
        self.case.items[where] = [CallPrior(values={where: {_escaped(name): CHOSEN}}) for name in names]
        return FITS if names else OPTIONAL

    def _conditions(self, slot: Slot, among: Conditions) -> float:
        where = self._under(slot.name)
        found = wanted(self.claims, among, slot.sayings)
        taken = self.claims.taken
        self.case.unused += sum(not set(range(v.first, v.last + 1)) & taken for v in self.claims.values)
        self.case.items[where] = [self._item(where, among, one) for one in found]
        return sum(SPOKEN + FITS * min(1.0, max(one.fits.values())) / 2 for one in found) if found else OPTIONAL

    def _item(self, where: str, among: Conditions, one: Wanted) -> CallPrior:
        values = {f"{where}.{among.subject}": {_escaped(option): CHOSEN * score for option, score in one.fits.items()}}
        if among.op:
            values[f"{where}.{among.op}"] = {_escaped(one.op): SPELLED}
        key = f"{where}.{among.value}"
        if not one.bare:
            values[key] = {_escaped(one.text): SPELLED}
        bare = {key: {one.text: SPELLED}} if one.bare or _is_number(one.text) else {}
        return CallPrior(values=values, bare=bare)

    def _under(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
