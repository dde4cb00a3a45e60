"""The words of one question, claimed one after the other: where phrases stand, and how well a name fits what is left.

A word counts once. Names are compared with words by their stems, and by static embeddings where no word is shared. It knows
neither tools nor what the names are for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple, Protocol

from portico_gateway.guidance.question import Token, Value, phrase_at
from portico_gateway.guidance.slots import Branch, Said
from portico_gateway.guidance.stemming import spaced, stems_of

OWNER = 0.5  # of a fit: for a name whose owner is said, "author" for author.name;
OTHER = 0.2  # less for its further names: what comes first is what it is called by
REFERENCE = 0.1  # for one that only refers to that owner, author_id
SENSE = 0.8  # of a fit by sense alone against one by words
OWNED = 0.7  # of a name that belongs to something else, where nothing says so
NEAR = 5  # tokens between a name and its value


class Likeness(Protocol):
    """How alike two words or names are, -1 to 1."""

    def __call__(self, first: str, second: str) -> float: ...


@dataclass(frozen=True, slots=True)
class Fit:
    """How well an option fits, the tokens that name it, and the one that is nearest in sense where none does."""

    score: float
    tokens: frozenset[int] = frozenset()
    sense: int | None = None
    owner: bool = False  # only what the name belongs to is said


class Cue(NamedTuple):
    """A phrase in the question: its tokens, and those in its last gap."""

    words: set[int]
    gap: list[int]


class Claims:
    """One question before one branch of a schema at a time: which of its tokens are taken."""

    def __init__(self, tokens: Sequence[Token], values: Sequence[Value], alike: Likeness) -> None:
        self.tokens = tokens
        self.values = values
        self.alike = alike
        self.taken: set[int] = set()
        self.chosen: set[int] = set()  # what the branch itself is chosen by
        self.kinds: Mapping[str, frozenset[str]] = {}  # what a name is compared with tells its kind
        self._owners: set[str] = set()  # stems of the names that others belong to
        self._called: dict[str, str] = {}  # by owner, its first name
        self._found: dict[Said, list[Cue]] = {}
        self.known: frozenset[str] = frozenset()  # stems of all names and phrases of the schema

    def begin(self, branch: Branch) -> None:
        """Another branch: nothing is taken yet."""
        self.taken, self.chosen = set(), set()
        options = [option for slot in sorted(branch.slots, key=lambda slot: -len(slot.options)) for option in slot.options]
        owners = {owner for option in options if (owner := option.rpartition(".")[0]) and owner not in options}
        self._owners = {stem for owner in owners for stem in stems_of(owner)}
        self._called = {}
        for option in options:
            self._called.setdefault(option.rpartition(".")[0], option)
        self.kinds = {o: c.kinds for s in branch.slots if s.conditions for o, c in s.conditions.of.items()}

    def free(self) -> list[int]:
        """The tokens that nothing has claimed."""
        return [i for i in range(len(self.tokens)) if i not in self.taken]

    def mentioned(self, branch: Branch) -> int:
        """How many free words name something of the branch."""
        stems = {stem for slot in branch.slots for option in slot.options for stem in stems_of(option)}
        return sum(self.tokens[i].stem in stems for i in self.free())

    def cue(self, said: Said, *, taken: bool = False) -> Cue | None:
        """Where the question has a phrase, and the tokens in its gap; `taken`: claimed words count too."""
        return next((cue for cue in self.cues(said) if taken or not cue.words & self.taken), None)

    def cues(self, said: Said) -> Sequence[Cue]:
        """Every place where the question has a phrase, claimed or not."""
        if said not in self._found:
            self._found[said] = list(self._find(said))
        return self._found[said]

    def _find(self, said: Said) -> Iterator[Cue]:
        first, *rest = said.parts
        for at in phrase_at(self.tokens, first) if first else (0,):
            start, end = at + len(first), at + len(first)
            words = set(range(at, end))
            for part in rest:
                start = end
                found = next(phrase_at(self.tokens, part, start), None) if part else min(start + NEAR, len(self.tokens))
                if found is None:
                    break
                words |= set(range(found, found + len(part)))
                gap, end = list(range(start if first else max(start, found - 2), found)), found + len(part)
            else:
                yield Cue(words, gap if rest else [])

    def named(self, gap: Sequence[int]) -> list[int]:
        """A gap up to its first value or function word: "by more than 60" names nothing."""
        ends = {value.first for value in self.values}
        return list(takewhile(lambda i: i not in ends and not self.tokens[i].function, gap))

    def window(self, span: set[int]) -> list[int]:
        """The free tokens near a span."""
        first, last = min(span) - NEAR, max(span) + NEAR
        return [i for i in range(max(0, first), min(len(self.tokens), last + 1)) if i not in span and i not in self.taken]

    def fit(
        self, option: str, window: Iterable[int], hints: Iterable[int] = (), kind: float = 0.0, *, taken: bool = False
    ) -> Fit:
        """How well a name fits the free words of a window: its own words, those of what it belongs to, or at least the sense.

        `hints` are tokens that count by their sense alone, claimed or not: "cheapest" for a price. `taken`: words that other
        slots claimed count too, but for those that chose the branch.
        """
        of, _, name = option.rpartition(".")
        own, owner = set(stems_of(name)) - self._owners, set(stems_of(of)) | (set(stems_of(name)) & self._owners)
        claimed = self.chosen if taken else self.taken
        free = [i for i in window if i not in claimed and self.tokens[i].stem is not None]
        hit = {i for i in free if self.tokens[i].stem in own}
        near = {i for i in free if self.tokens[i].stem in owner}
        said = math.sqrt(len({self.tokens[i].stem for i in hit}) / len(own)) if own else 0.0
        if said or near:
            owned = OWNER - OTHER * (not said and self._called[of] != option) if of else REFERENCE
            score = said + owned * bool(near) + min(kind, kind / 2)
            return Fit(score, frozenset(hit | near), owner=not said)
        senses = {*free, *(i for i in hints if (stem := self.tokens[i].stem) is not None and stem not in own | owner)}
        sense, at = max(((self.alike(spaced(name), self.tokens[i].low), i) for i in senses), default=(0.0, -1))
        score = max(0.0, sense) * (OWNED if of and of not in self.kinds else 1.0)
        return Fit(score * SENSE + kind * bool(score), sense=at if score else None)

    def between(self, at: int, value: Value) -> int:
        """The content words between a token and a value."""
        gap = range(at + 1, value.first) if at < value.first else range(value.last + 1, at)
        return sum(self.tokens[i].stem is not None for i in gap)
