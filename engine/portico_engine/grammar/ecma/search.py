"""Does a string hold a match of an ECMA-262 pattern? In time that has a bound, whatever the pattern.

A pattern whose language is exact is followed by its automaton, in one pass. What is not regular (backreferences), or was not
lowered exactly, is searched by the sets of places that each part can end at, which are polynomial without backreferences; a
bound on the steps ends the rest. Backtracking engines, `regress` among them, take exponential time or memory there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

from portico_engine.errors import PatternTooCostly
from portico_engine.grammar.ecma.language import pattern_language
from portico_engine.grammar.ecma.nodes import (
    WORD,
    Alternative,
    Assertion,
    Backreference,
    CapturingGroup,
    Disjunction,
    PatternNode,
    Quantified,
    Regular,
)
from portico_engine.grammar.ecma.parser import parse
from portico_engine.grammar.ir import Never, Node
from portico_engine.grammar.regular import automata

MOST_STEPS = 250_000  # about a second

Captures: TypeAlias = frozenset[tuple[int, str]]  # what each group holds
MatchState: TypeAlias = tuple[int, Captures]


def finds(pattern: str, text: str) -> bool:
    """Raises InvalidSchema where it is no pattern, PatternTooCostly where the search met its bound."""
    language = pattern_language(pattern)
    found = automata.matches(language.node, text)
    return found and (not language.loosened or PatternSearch(_captured(pattern), text).found())


@lru_cache(maxsize=256)
def _captured(pattern: str) -> PatternNode:
    return parse(pattern, captures=True)


class PatternSearch:
    """One pattern in one text, by sets of (offset, captures)."""

    def __init__(self, tree: PatternNode, text: str, most_steps: int = MOST_STEPS) -> None:
        self._ast = tree
        self._text = text
        self._left = most_steps
        self._known: dict[tuple[int, int, Captures], frozenset[MatchState]] = {}

    def found(self) -> bool:
        """Raises PatternTooCostly."""
        return any(self._ends(self._ast, start, frozenset()) for start in range(len(self._text) + 1))

    def _spend(self, steps: int = 1) -> None:
        self._left -= steps
        if self._left < 0:
            raise PatternTooCostly

    def _ends(self, tree: PatternNode, at: int, captures: Captures) -> frozenset[MatchState]:
        """Where a match of `tree` from `at` may end, and with which captures."""
        key = id(tree), at, captures
        if key not in self._known:
            self._spend()
            self._known[key] = self._make_ends(tree, at, captures)
        return self._known[key]

    def _make_ends(self, tree: PatternNode, at: int, captures: Captures) -> frozenset[MatchState]:
        match tree:
            case Regular(node):
                return frozenset((end, captures) for end in self._regular_ends(node, at))
            case Assertion():
                return self._assertion(tree, at, captures)
            case Disjunction(options):
                return frozenset[MatchState]().union(*(self._ends(option, at, captures) for option in options))
            case Alternative(parts):
                places = frozenset({(at, captures)})
                for part in parts:
                    places = frozenset[MatchState]().union(*(self._ends(part, *place) for place in places))
                return places
            case CapturingGroup(number, item):
                kept = frozenset(held for held in captures if held[0] != number)
                return frozenset((end, had | {(number, self._text[at:end])}) for end, had in self._ends(item, at, kept))
            case Backreference(numbers):
                held = next((text for number, text in captures if number in numbers), "")
                return frozenset({(at + len(held), captures)}) if self._text.startswith(held, at) else frozenset()
            case Quantified():
                return self._quantified_ends(tree, at, captures)

    def _regular_ends(self, node: Node, at: int) -> list[int]:
        ends = [at] if automata.nullable(node) else []
        for offset in range(at, len(self._text)):
            self._spend()
            node = automata.after(node, self._text[offset])
            if isinstance(node, Never):
                break
            if automata.nullable(node):
                ends.append(offset + 1)
        return ends

    def _quantified_ends(self, tree: Quantified, at: int, captures: Captures) -> frozenset[MatchState]:
        """Rounds of the item; each forgets what the one before captured, and beyond the least number none may be empty."""
        inside = _numbers(tree.item)
        places = frozenset({(at, captures)})
        reached = set(places) if tree.low == 0 else set[MatchState]()
        count = 0
        while places and (tree.high is None or count < tree.high):
            count += 1
            self._spend(len(places))
            further: set[MatchState] = set()
            for begin, had in places:
                kept = frozenset(held for held in had if held[0] not in inside)
                further |= {place for place in self._ends(tree.item, begin, kept) if place[0] > begin or count <= tree.low}
            if count >= tree.low:
                further -= reached
                reached |= further
            elif further == places:
                count = tree.low - 1  # nothing changes until then
            places = frozenset(further)
        return frozenset(reached)

    def _assertion(self, assertion: Assertion, at: int, captures: Captures) -> frozenset[MatchState]:
        here = frozenset({(at, captures)})
        nothing: frozenset[MatchState] = frozenset()
        body = assertion.body
        match assertion.kind:
            case "start":
                return here if at == 0 else nothing
            case "end":
                return here if at == len(self._text) else nothing
            case "edge" | "not-edge":
                return here if (self._word(at - 1) != self._word(at)) is (assertion.kind == "edge") else nothing
        assert body is not None
        if assertion.kind in ("ahead", "not-ahead"):
            seen = {had for _, had in self._ends(body, at, captures)}
        else:
            seen = {had for start in range(at + 1) for end, had in self._ends(body, start, captures) if end == at}
        if assertion.kind.startswith("not-"):
            return nothing if seen else here
        return frozenset((at, had) for had in seen)

    def _word(self, at: int) -> bool:
        return 0 <= at < len(self._text) and any(low <= ord(self._text[at]) <= high for low, high in WORD)


@lru_cache(maxsize=1024)
def _numbers(tree: PatternNode) -> frozenset[int]:
    """Of the groups inside."""
    match tree:
        case CapturingGroup(number, item):
            return _numbers(item) | {number}
        case Alternative(parts) | Disjunction(parts):
            return frozenset[int]().union(*map(_numbers, parts))
        case Quantified(item=item) | Assertion(body=item) if item is not None:
            return _numbers(item)
        case _:
            return frozenset()
