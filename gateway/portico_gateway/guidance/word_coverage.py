"""Which words of one question are accounted for: where phrases stand, and how well a name matches the words that are left.

A word counts once. Names are compared with words by their stems, and by static embeddings where no word is shared. It knows
neither tools nor what the names are for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple, Protocol

from portico_gateway.guidance.description_convention import Phrase
from portico_gateway.guidance.question import Token, Value, phrase_at
from portico_gateway.guidance.slots import Branch
from portico_gateway.guidance.stemming import spaced, stems_of
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS, Weights


class Similarity(Protocol):
    """How alike two words or names are, -1 to 1."""

    def __call__(self, first: str, second: str) -> float: ...


@dataclass(frozen=True, slots=True)
class NameMatch:
    """How well a name matches, the tokens that say it, and the one that is nearest in sense where none does."""

    score: float
    tokens: frozenset[int] = frozenset()
    nearest: int | None = None
    owner_only: bool = False  # only what the name belongs to is said


class PhraseMatch(NamedTuple):
    """A phrase in the question: its tokens, and those in its last gap."""

    words: set[int]
    gap: list[int]


class WordCoverage:
    """One question before one branch of a schema at a time: which of its tokens are covered."""

    def __init__(
        self,
        tokens: Sequence[Token],
        values: Sequence[Value],
        similarity: Similarity,
        known_stems: frozenset[str] = frozenset(),
        weights: Weights = DEFAULT_WEIGHTS,
    ) -> None:
        """`known_stems` are those of all names and phrases of the schema."""
        self.tokens = tokens
        self.values = values
        self.similarity = similarity
        self.known_stems = known_stems
        self.weights = weights
        self.covered: set[int] = set()
        self.choice_words: set[int] = set()  # what the branch itself is chosen by
        self.kinds: Mapping[str, frozenset[str]] = {}  # what a name is compared with tells its kind
        self._owners: set[str] = set()  # stems of the names that others belong to
        self._called: dict[str, str] = {}  # by owner, its first name
        self._matches: dict[Phrase, list[PhraseMatch]] = {}

    def begin(self, branch: Branch) -> None:
        """Another branch: nothing is covered yet."""
        self.covered, self.choice_words = set(), set()
        options = [option for slot in sorted(branch.slots, key=lambda slot: -len(slot.options)) for option in slot.options]
        owners = {owner for option in options if (owner := option.rpartition(".")[0]) and owner not in options}
        self._owners = {stem for owner in owners for stem in stems_of(owner)}
        self._called = {}
        for option in options:
            self._called.setdefault(option.rpartition(".")[0], option)
        self.kinds = {o: c.kinds for s in branch.slots if s.conditions for o, c in s.conditions.of.items()}

    def uncovered(self) -> list[int]:
        """The tokens that are not accounted for yet."""
        return [i for i in range(len(self.tokens)) if i not in self.covered]

    def uncovered_names(self, branch: Branch) -> int:
        """How many uncovered words name something of the branch."""
        stems = {stem for slot in branch.slots for option in slot.options for stem in stems_of(option)}
        return sum(self.tokens[i].stem in stems for i in self.uncovered())

    def match_phrase(self, phrase: Phrase, *, anywhere: bool = False) -> PhraseMatch | None:
        """Where the question has a phrase, and the tokens in its gap; `anywhere`: covered words count too."""
        return next((match for match in self.phrase_matches(phrase) if anywhere or not match.words & self.covered), None)

    def phrase_matches(self, phrase: Phrase) -> Sequence[PhraseMatch]:
        """Every place where the question has a phrase, covered or not."""
        if phrase not in self._matches:
            self._matches[phrase] = list(self._find(phrase))
        return self._matches[phrase]

    def _find(self, phrase: Phrase) -> Iterator[PhraseMatch]:
        first, *rest = phrase.parts
        reach = self.weights.names.reach
        for at in phrase_at(self.tokens, first) if first else (0,):
            start, end = at + len(first), at + len(first)
            words = set(range(at, end))
            for part in rest:
                start = end
                found = next(phrase_at(self.tokens, part, start), None) if part else min(start + reach, len(self.tokens))
                if found is None:
                    break
                words |= set(range(found, found + len(part)))
                gap, end = list(range(start if first else max(start, found - 2), found)), found + len(part)
            else:
                yield PhraseMatch(words, gap if rest else [])

    def noun_in(self, gap: Sequence[int]) -> list[int]:
        """A gap up to its first value or function word: "by more than 60" names nothing."""
        ends = {value.first for value in self.values}
        return list(takewhile(lambda i: i not in ends and not self.tokens[i].function, gap))

    def window(self, span: set[int]) -> list[int]:
        """The uncovered tokens near a span."""
        reach = self.weights.names.reach
        first, last = min(span) - reach, max(span) + reach
        return [i for i in range(max(0, first), min(len(self.tokens), last + 1)) if i not in span and i not in self.covered]

    def match_name(
        self,
        name: str,
        window: Iterable[int],
        by_sense: Iterable[int] = (),
        kind_bonus: float = 0.0,
        *,
        anywhere: bool = False,
    ) -> NameMatch:
        """How well a name matches the uncovered words of a window: its own words, its owner's, or at least the sense.

        `by_sense` are tokens that count by their sense alone, covered or not: "cheapest" for a price. `anywhere`: words that
        other slots cover count too, but for those that chose the branch.
        """
        weights = self.weights.names
        of, _, last = name.rpartition(".")
        own, owner = set(stems_of(last)) - self._owners, set(stems_of(of)) | (set(stems_of(last)) & self._owners)
        covered = self.choice_words if anywhere else self.covered
        free = [i for i in window if i not in covered and self.tokens[i].stem is not None]
        hit = {i for i in free if self.tokens[i].stem in own}
        near = {i for i in free if self.tokens[i].stem in owner}
        said = math.sqrt(len({self.tokens[i].stem for i in hit}) / len(own)) if own else 0.0
        if said or near:
            owned = weights.owner - weights.owner_further * (not said and self._called[of] != name) if of else weights.reference
            score = said + owned * bool(near) + min(kind_bonus, kind_bonus / 2)
            return NameMatch(score, frozenset(hit | near), owner_only=not said)
        senses = {*free, *(i for i in by_sense if (stem := self.tokens[i].stem) is not None and stem not in own | owner)}
        sense, at = max(((self.similarity(spaced(last), self.tokens[i].low), i) for i in senses), default=(0.0, -1))
        score = max(0.0, sense) * (weights.owned if of and of not in self.kinds else 1.0)
        return NameMatch(score * weights.sense + kind_bonus * bool(score), nearest=at if score else None)

    def words_between(self, at: int, value: Value) -> int:
        """The content words between a token and a value."""
        gap = range(at + 1, value.first) if at < value.first else range(value.last + 1, at)
        return sum(self.tokens[i].stem is not None for i in gap)
