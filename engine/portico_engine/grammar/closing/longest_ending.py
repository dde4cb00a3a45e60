"""How long an ending can get: a bound over all states of a grammar, so that most of a generation needs no looking.

It sums over the grammar's structure: inside a part, the rest of that part, then the shortest of all that must follow.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from portico_engine.grammar.ir import ANY_CHARACTER, Alt, And, Chars, Grammar, Node, Not, Ref, Repeat, Seq, Text
from portico_engine.grammar.regular import automata
from portico_engine.grammar.regular.strings import ANY_SPELLED

if TYPE_CHECKING:
    from portico_engine.grammar.closing.derivatives import DerivativeAutomaton

NO_BOUND = 1 << 40
_MAX_STATES = 1500  # of an intersection that are searched
_MAX_IN_ALL = 15_000  # of all intersections of a grammar


def longest_ending(grammar: Grammar, automaton: DerivativeAutomaton) -> int:
    """Bytes of the longest of all states' shortest endings; NO_BOUND for recursive rules or very large intersections."""
    longest = _LongestEndings(automaton)
    for name in automaton.bottom_up:
        longest.rules[name] = longest.node(grammar.rules[name])
    return longest.rules[grammar.start]


class _LongestEndings:
    def __init__(self, automaton: DerivativeAutomaton) -> None:
        self.automaton = automaton
        self.rules: dict[str, int] = {}
        self.searched: dict[Node, int] = {}
        self.states = 0

    def node(self, node: Node) -> int:
        match node:
            case Text(value):
                return len(value.encode("utf-8", errors="surrogatepass"))
            case Chars():
                return 4
            case Ref(name):
                return self.rules.get(name, NO_BOUND)  # not known yet: it recurs
            case Seq(parts):
                return self._sequence(parts)
            case Alt(options):
                return max(map(self.node, options))
            case Repeat(item, low):
                return min(self.node(item) + max(low - 1, 0) * self._least(item), NO_BOUND)
            case And() | Not():
                if node not in self.searched:
                    self.searched[node] = self._regular(node)
                return self.searched[node]
            case _:
                return 0

    def _regular(self, node: Node) -> int:
        if self.states > _MAX_IN_ALL:
            return NO_BOUND
        longest, states = _regular(node)
        self.states += states
        return longest

    def _sequence(self, parts: tuple[Node, ...]) -> int:
        after, longest = 0, 0
        for part in reversed(parts):
            longest = max(longest, self.node(part) + after)
            after += self._least(part)
        return min(longest, NO_BOUND)

    def _least(self, node: Node) -> int:
        text = self.automaton.shortest(node)
        return NO_BOUND if text is None else len(text)


def _regular(node: Node) -> tuple[int, int]:
    """Over the automaton's states, the longest of the shortest endings; and how many states were looked at.

    A part that only limits the length loses its maximum: from a state that can end at all, the shortest ending keeps within it.
    """
    if isinstance(node, And):
        node = And(tuple(_without_maximum(part) for part in node.parts))
    numbers = {node: 0}
    sources: list[list[tuple[int, int]]] = [[]]  # of each state: where one comes from, and by how many bytes
    todo = [node]
    while todo:
        state = todo.pop()
        for low, _, after in automata.transitions(state):
            if after not in numbers:
                if len(numbers) > _MAX_STATES:
                    return NO_BOUND, len(numbers)
                numbers[after] = len(numbers)
                sources.append([])
                todo.append(after)
            sources[numbers[after]].append((numbers[state], len(chr(low).encode())))
    ends = [number for state, number in numbers.items() if automata.nullable(state)]
    return _furthest(sources, ends), len(numbers)


def _furthest(sources: list[list[tuple[int, int]]], ends: list[int]) -> int:
    """The greatest distance to an end among states that reach one, and room for the rest of a begun character."""
    distance = dict.fromkeys(ends, 0)
    queue = [(0, end) for end in ends]
    while queue:
        cost, number = heapq.heappop(queue)
        if cost > distance[number]:
            continue
        for source, size in sources[number]:
            if cost + size < distance.get(source, NO_BOUND):
                distance[source] = cost + size
                heapq.heappush(queue, (cost + size, source))
    return max(distance.values(), default=0) + 3


def _without_maximum(part: Node) -> Node:
    if isinstance(part, Repeat) and part.item in (ANY_CHARACTER, ANY_SPELLED):
        return Repeat(part.item, part.low, None)
    return part
