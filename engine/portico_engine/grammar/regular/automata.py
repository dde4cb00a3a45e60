"""Automata of regular IR nodes, by derivatives: emptiness, intersection, what may follow a string, and whole DFAs.

Brzozowski's derivatives (J. ACM 11(4), 1964) over intervals of code points: `transitions(node)` is what leads out of a state,
and a node is its own state. Nodes must be regular and free of `Ref` (see `inline`). It knows nothing of lexemes or printing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise
from typing import TypeAlias

from portico_engine.grammar import ir

Transitions: TypeAlias = tuple[tuple[int, int, ir.Node], ...]  # sorted, disjoint (low, high, state after); the rest is dead
_CACHE = 1 << 16


class TooManyStates(Exception):
    """A search met its bound. Callers turn it into their own answer; it never leaves the grammar package."""


@dataclass(frozen=True, slots=True)
class Dfa:
    """Trimmed: every state is reachable and reaches an accepting one. State 0 is the start; no state means no string."""

    transitions: tuple[tuple[tuple[ir.Ranges, int], ...], ...]  # of each state: characters, target
    accepting: tuple[bool, ...]

    def accepts(self, text: str) -> bool:
        """Does the automaton accept `text`?"""
        if not self.transitions:
            return False
        state = 0
        for c in text:
            for ranges, target in self.transitions[state]:
                if any(low <= ord(c) <= high for low, high in ranges):
                    state = target
                    break
            else:
                return False
        return self.accepting[state]


def inline(node: ir.Node, rules: Mapping[str, ir.Node], cache: dict[str, ir.Node] | None = None) -> ir.Node:
    """`node` with every reference replaced by its rule's body. The rules reached must not be recursive."""
    known: dict[str, ir.Node] = {} if cache is None else cache

    def walk(node: ir.Node) -> ir.Node:
        match node:
            case ir.Ref(name):
                if name not in known:
                    known[name] = walk(rules[name])
                return known[name]
            case ir.Seq(parts):
                return ir.seq(*map(walk, parts))
            case ir.Alt(options):
                return ir.alt(*map(walk, options))
            case ir.And(parts):
                return ir.And(tuple(map(walk, parts)))
            case ir.Repeat(item, low, high):
                return ir.repeat(walk(item), low, high)
            case ir.Not(item):
                return ir.Not(walk(item))
            case _:
                return node

    return walk(node)


@lru_cache(maxsize=_CACHE)
def nullable(node: ir.Node) -> bool:
    """Does the node match the empty string?"""
    match node:
        case ir.Empty():
            return True
        case ir.Seq(parts) | ir.And(parts):
            return all(map(nullable, parts))
        case ir.Alt(options):
            return any(map(nullable, options))
        case ir.Repeat(item, low):
            return low == 0 or nullable(item)
        case ir.Not(item):
            return not nullable(item)
        case _:
            return False


@lru_cache(maxsize=_CACHE)
def transitions(node: ir.Node) -> Transitions:
    """Where each character leads from `node`."""
    match node:
        case ir.Text(value):
            code = ord(value[0])
            return () if 0xD800 <= code <= 0xDFFF else ((code, code, ir.text(value[1:])),)
        case ir.Chars(ranges):
            return tuple((low, high, ir.EMPTY) for low, high in ranges)
        case ir.Seq(parts):
            rest = parts[1] if len(parts) == 2 else ir.Seq(parts[1:])
            first = _mapped(transitions(parts[0]), lambda state: _seq(state, rest))
            return union([*first, *transitions(rest)], _or) if nullable(parts[0]) else first
        case ir.Alt(options):
            return union(list(chain.from_iterable(map(transitions, options))), _or)
        case ir.Repeat(item, low, high):
            rest = ir.repeat(item, max(low - 1, 0), None if high is None else high - 1)
            return _mapped(transitions(item), lambda state: _seq(state, rest))
        case ir.And(parts):
            every = transitions(parts[0])
            for part in parts[1:]:
                every = _intersection(every, transitions(part))
            return every
        case ir.Not(item):
            return _complement(transitions(item))
        case _:
            return ()


def union(every: Sequence[tuple[int, int, ir.Node]], join: Callable[[Iterable[ir.Node]], ir.Node]) -> Transitions:
    """Transitions of several nodes at once: where intervals meet, `join` of their states."""
    if len(every) < 2:
        return tuple(every)
    begin: dict[int, list[int]] = {}
    end: dict[int, list[int]] = {}
    for number, (low, high, _) in enumerate(every):
        begin.setdefault(low, []).append(number)
        end.setdefault(high + 1, []).append(number)
    active: dict[int, None] = {}
    out: list[tuple[int, int, ir.Node]] = []
    for low, following in pairwise(sorted({*begin, *end})):
        for number in end.get(low, ()):
            del active[number]
        active.update(dict.fromkeys(begin.get(low, ())))
        state = join(every[number][2] for number in sorted(active))
        if not isinstance(state, ir.Never):
            out.append((low, following - 1, state))
    return tuple(out)


def after(node: ir.Node, text: str) -> ir.Node:
    """The state after `text`: NEVER where no match begins so."""
    for c in text:
        code = ord(c)
        for low, high, state in transitions(node):
            if low <= code <= high:
                node = state
                break
        else:
            return ir.NEVER
    return node


def matches(node: ir.Node, text: str) -> bool:
    """Does the node match exactly `text`?"""
    return nullable(after(node, text))


def first(node: ir.Node) -> ir.Ranges:
    """Characters that a match may begin with (and perhaps, under And and Not, some that lead nowhere)."""
    return ir.merge_ranges((low, high) for low, high, _ in transitions(node))


@lru_cache(maxsize=_CACHE)
def loose(node: ir.Node) -> ir.Node:
    """A node that matches at least as much, and has few states: bounded repetitions lose their counts."""
    match node:
        case ir.Seq(parts):
            return ir.seq(*map(loose, parts))
        case ir.Alt(options):
            return ir.alt(*map(loose, options))
        case ir.And(parts):
            return ir.And(tuple(map(loose, parts)))
        case ir.Repeat(item, low, high):
            return ir.repeat(loose(item), min(low, 1), high if high == 1 else None)
        case _:
            return node  # inside Not a larger item would match less


def extension(a: ir.Node, b: ir.Node, limit: int = 2000) -> ir.Ranges:
    """Characters c for which some non-empty match of `a`, and then c, begins a match of `b`. Raises TooManyStates."""
    found: list[tuple[int, int]] = []
    for state_a, state_b in _pairs(a, b, limit):
        if nullable(state_a):
            found.extend((low, high) for low, high, _ in transitions(state_b))
    return ir.merge_ranges(found)


def overlap(a: ir.Node, b: ir.Node, limit: int = 2000) -> bool:
    """Do `a` and `b` both match some non-empty string? Raises TooManyStates."""
    return any(nullable(state_a) and nullable(state_b) for state_a, state_b in _pairs(a, b, limit))


def is_empty(node: ir.Node, limit: int = 20_000) -> bool:
    """Does nothing match? Raises TooManyStates."""
    seen = {node}
    queue = deque([node])
    while queue:
        state = queue.popleft()
        if nullable(state):
            return False
        for _, _, target in transitions(state):
            if target not in seen:
                seen.add(target)
                queue.append(target)
        if len(seen) > limit:
            raise TooManyStates
    return True


def determinize(node: ir.Node, limit: int) -> Dfa | None:
    """The node's trimmed automaton, or None where it has more than `limit` states before trimming."""
    numbers = {node: 0}
    order = [node]
    edges: list[list[tuple[int, int, int]]] = []
    at = 0
    while at < len(order):
        out: list[tuple[int, int, int]] = []
        for low, high, target in transitions(order[at]):
            number = numbers.get(target)
            if number is None:
                number = numbers[target] = len(order)
                order.append(target)
                if len(order) > limit:
                    return None
            out.append((low, high, number))
        edges.append(out)
        at += 1
    return _trim(edges, [nullable(state) for state in order])


def _pairs(a: ir.Node, b: ir.Node, limit: int) -> Iterable[tuple[ir.Node, ir.Node]]:
    """Pairs of states that one non-empty string leads to from (a, b)."""
    seen: set[tuple[ir.Node, ir.Node]] = set()
    queue = deque([(a, b)])
    while queue:
        state_a, state_b = queue.popleft()
        for pair in _common(transitions(state_a), transitions(state_b)):
            if pair not in seen:
                seen.add(pair)
                queue.append(pair)
                yield pair
        if len(seen) > limit:
            raise TooManyStates


def _common(a: Transitions, b: Transitions) -> set[tuple[ir.Node, ir.Node]]:
    out: set[tuple[ir.Node, ir.Node]] = set()
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i][1] < b[j][0]:
            i += 1
        elif b[j][1] < a[i][0]:
            j += 1
        else:
            out.add((a[i][2], b[j][2]))
            if a[i][1] <= b[j][1]:
                i += 1
            else:
                j += 1
    return out


def _trim(edges: list[list[tuple[int, int, int]]], accepting: list[bool]) -> Dfa:
    sources: list[list[int]] = [[] for _ in edges]
    for state, out in enumerate(edges):
        for _, _, target in out:
            sources[target].append(state)
    alive = set()
    stack = [state for state, accepts in enumerate(accepting) if accepts]
    while stack:
        state = stack.pop()
        if state not in alive:
            alive.add(state)
            stack.extend(sources[state])
    if 0 not in alive:
        return Dfa((), ())
    numbers = {state: number for number, state in enumerate(sorted(alive))}
    transitions = []
    for state in sorted(alive):
        by_target: dict[int, list[tuple[int, int]]] = {}
        for low, high, target in edges[state]:
            if target in alive:
                by_target.setdefault(numbers[target], []).append((low, high))
        transitions.append(tuple((ir.merge_ranges(ranges), target) for target, ranges in by_target.items()))
    return Dfa(tuple(transitions), tuple(accepting[state] for state in sorted(alive)))


# states in a normal form, so that equal ones are found equal and their number stays finite


def _seq(head: ir.Node, rest: ir.Node) -> ir.Node:
    return rest if isinstance(head, ir.Empty) else ir.seq(head, rest)


def _or(states: Iterable[ir.Node]) -> ir.Node:
    options: dict[ir.Node, None] = {}
    for state in states:
        options.update(dict.fromkeys(state.options) if isinstance(state, ir.Alt) else {state: None})
    options.pop(ir.NEVER, None)
    if ir.ANY_TEXT in options:
        return ir.ANY_TEXT
    if len(options) < 2:
        return next(iter(options), ir.NEVER)
    return ir.Alt(tuple(sorted(options, key=hash)))


def _and(a: ir.Node, b: ir.Node) -> ir.Node:
    if a == b or b == ir.ANY_TEXT:
        return a
    if a == ir.ANY_TEXT:
        return b
    if isinstance(a, ir.Never) or isinstance(b, ir.Never):
        return ir.NEVER
    parts = dict.fromkeys((*(a.parts if isinstance(a, ir.And) else (a,)), *(b.parts if isinstance(b, ir.And) else (b,))))
    return ir.And(tuple(sorted(parts, key=hash)))


def _not(item: ir.Node) -> ir.Node:
    if isinstance(item, ir.Never):
        return ir.ANY_TEXT
    if item == ir.ANY_TEXT:
        return ir.NEVER
    return item.item if isinstance(item, ir.Not) else ir.Not(item)


def _mapped(of: Transitions, change: Callable[[ir.Node], ir.Node]) -> Transitions:
    return tuple((low, high, change(state)) for low, high, state in of)


def _intersection(a: Transitions, b: Transitions) -> Transitions:
    out: list[tuple[int, int, ir.Node]] = []
    i = j = 0
    while i < len(a) and j < len(b):
        low, high = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if low <= high and not isinstance(state := _and(a[i][2], b[j][2]), ir.Never):
            out.append((low, high, state))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return tuple(out)


def _complement(of: Transitions) -> Transitions:
    out: list[tuple[int, int, ir.Node]] = []
    at = 0
    for low, high, state in (*of, (ir.MAX_CODE_POINT + 1, ir.MAX_CODE_POINT + 1, ir.NEVER)):
        out.extend((a, b, ir.ANY_TEXT) for a, b in ir.merge_ranges([(at, low - 1)]))
        if low <= ir.MAX_CODE_POINT and not isinstance(rest := _not(state), ir.Never):
            out.append((low, high, rest))
        at = high + 1
    return tuple(out)
