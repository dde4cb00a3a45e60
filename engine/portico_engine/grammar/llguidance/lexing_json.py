"""Lexemes of grammars whose texts are JSON: its own tokens. Greedy lexing is then harmless, and nothing has to be searched.

A string is one lexeme from quote to quote, a bracket, comma or colon one each, and a bare run (a number, a word, an envelope's
marker) one. A string ends at its first unescaped quote whatever else could be read there; punctuation is one character; and a
bare run ends where punctuation or a quote comes, which is checked for every pair of neighbours, through rules. Grammars that
don't fit are left to `lexing`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from portico_engine.grammar import ir
from portico_engine.grammar.bounds import Meter
from portico_engine.grammar.llguidance.expansions import (
    Alternation,
    Concatenation,
    Expansion,
    Nonterminal,
    Repetition,
    Terminal,
)
from portico_engine.grammar.regular.automata import nullable
from portico_engine.grammar.rule_order import Descent, descend

_PUNCTUATION = frozenset("{}[],:")
_MARKS = tuple(map(ord, '{}[],:"'))
_MARK_TEXTS = {mark: ir.Text(mark) for mark in _PUNCTUATION}
_IN_STRING, _BETWEEN = re.compile(r'["\\]'), re.compile(r'["{}\[\],:]')

_RULES_KEPT = 1 << 10
_BARE, _OTHER = 1, 2  # what an expansion's text may begin or end with, as bits


class _Edges(NamedTuple):
    first: int
    last: int
    empty: bool


class _Unfit(Exception):
    """The grammar isn't JSON's; never leaves this module."""


def json_expansions(grammar: ir.Grammar, meter: Meter) -> Mapping[str, Expansion] | None:
    """Expansions of the rules that the start reaches, lexemes along JSON's tokens; None where the grammar isn't of that kind.
    Raises GrammarTooLarge where the meter's limit on time is met."""
    expansions: dict[str, Expansion] = {}
    calls: dict[str, Sequence[str]] = {}  # by each rule, of others
    todo = [grammar.start]
    while todo:
        name = todo.pop()
        if name in expansions:
            continue
        meter.step()
        cut = _cut(grammar.rules[name]) if name in grammar.rules else None  # the general way says what is missing
        if cut is None:
            return None
        expansions[name], calls[name] = cut
        todo += calls[name]
    return expansions if _check_neighbours(expansions, calls, descend(calls, [grammar.start])) else None


class _Cut(NamedTuple):
    """A rule's expansion, and the rules that it refers to."""

    expansion: Expansion
    calls: tuple[str, ...]


@lru_cache(maxsize=_RULES_KEPT)
def _cut(body: ir.Node) -> _Cut | None:
    """Of a rule; None where it isn't JSON's. A catalog's grammars differ in few of their rules."""
    cutter = _Cutter()
    try:
        return _Cut(cutter.expansion(body), tuple(cutter.called))
    except _Unfit:
        return None


class _Cutter:
    """Of one rule."""

    def __init__(self) -> None:
        self.terminals = 0
        self.called: list[str] = []

    def terminal(self, node: ir.Node) -> Terminal:
        self.terminals += 1
        return Terminal(node, self.terminals - 1, ())

    def expansion(self, node: ir.Node) -> Expansion:
        """A node that begins and ends between tokens."""
        if _bare(node) and not isinstance(node, ir.Empty):
            if nullable(node):
                raise _Unfit
            return self.terminal(node)
        match node:
            case ir.Ref(name):
                self.called.append(name)
                return Nonterminal(name)
            case ir.TokenRef(negated=False):
                return self.terminal(node)
            case ir.Empty():
                return Concatenation(())
            case ir.Repeat(item, low, high):
                return Repetition(self.expansion(item), low, high)
            case ir.Alt(options):
                return self._choice(options)
            case ir.Seq(parts):
                return self._sequence(parts)
            case ir.Text():
                return self._sequence((node,))
            case _:
                raise _Unfit

    def _choice(self, options: tuple[ir.Node, ...]) -> Expansion:
        """Options that are one token each become one lexeme."""
        strings: list[ir.Node] = []
        bare: list[ir.Node] = []
        out: list[Expansion] = []
        for option in options:
            expansion = self.expansion(option)
            if not isinstance(expansion, Terminal) or isinstance(expansion.node, ir.TokenRef):
                out.append(expansion)
            elif _bare(expansion.node):
                bare.append(expansion.node)
            elif isinstance(expansion.node, ir.Text) and expansion.node.value in _PUNCTUATION:
                out.append(expansion)
            else:
                strings.append(expansion.node)
        for nodes in (bare, strings):
            if nodes:
                out.append(self.terminal(ir.alt(*nodes)))
        return out[0] if len(out) == 1 else Alternation(tuple(out))

    def _sequence(self, parts: tuple[ir.Node, ...]) -> Expansion:
        run = _Run(self)
        for part in parts:
            run.add(part)
        out = run.finish()
        return out[0] if len(out) == 1 else Concatenation(tuple(out))


class _Run:
    """A sequence being cut: what is finished, and the parts of the lexeme at hand."""

    def __init__(self, cutter: _Cutter) -> None:
        self.cutter = cutter
        self.out: list[Expansion] = []
        self.parts: list[ir.Node] = []
        self.in_string = False
        self.escaped = False  # a backslash was read, and what it escapes is in the next part

    def add(self, part: ir.Node) -> None:
        if isinstance(part, ir.Text):
            self._text(part.value)
        elif self.in_string:
            if self.escaped and not isinstance(part, ir.Chars):
                raise _Unfit
            if not self.escaped and not _stays_inside(part):
                raise _Unfit
            self.escaped = False
            self.parts.append(part)
        elif _bare(part):
            self.parts.append(part)
        else:
            self._end()
            self.out.append(self.cutter.expansion(part))

    def _text(self, value: str) -> None:
        at = index = 0
        while index < len(value):
            if self.escaped:
                self.escaped = False
                index += 1
                continue
            found = (_IN_STRING if self.in_string else _BETWEEN).search(value, index)
            if found is None:
                break
            character, start, index = found[0], found.start(), found.end()
            if character == "\\":
                self.escaped = True
            elif self.in_string:
                self.parts.append(ir.Text(value[at:index]))
                at = index
                self.in_string = False
                self._end()
            else:
                if start > at:
                    self.parts.append(ir.Text(value[at:start]))
                self._end()
                at = start
                if character == '"':
                    self.in_string = True
                else:
                    self.out.append(self.cutter.terminal(_MARK_TEXTS[character]))
                    at = index
        if at < len(value):
            self.parts.append(ir.Text(value[at:]))

    def _end(self) -> None:
        if self.parts:
            node = self.parts[0] if len(self.parts) == 1 else ir.seq(*self.parts)
            if type(node) is not ir.Text and nullable(node):
                raise _Unfit
            self.out.append(self.cutter.terminal(node))
            self.parts = []

    def finish(self) -> list[Expansion]:
        if self.in_string:
            raise _Unfit
        self._end()
        return self.out


@lru_cache(maxsize=1 << 14)
def _bare(node: ir.Node) -> bool:
    """Is there neither a quote nor punctuation in any text of the node? (A doubt says no.)"""
    match node:
        case ir.Text(value):
            return _BETWEEN.search(value) is None
        case ir.Chars(ranges):
            return not any(low <= mark <= high for low, high in ranges for mark in _MARKS)
        case ir.Seq(parts) | ir.Alt(parts):
            return all(map(_bare, parts))
        case ir.And(parts):
            return any(map(_bare, parts)) and not any(map(_has_reference, parts))
        case ir.Repeat(item):
            return _bare(item)
        case ir.Empty():
            return True
        case _:
            return False


@lru_cache(maxsize=4096)
def _stays_inside(node: ir.Node) -> bool:
    """Is no text of the node, inside a string, the string's end or half of an escape? (A doubt says no.)"""
    match node:
        case ir.Text(value):
            return _after_text(value, False) is False
        case ir.Chars(ranges):
            return not any(low <= mark <= high for low, high in ranges for mark in (0x22, 0x5C))
        case ir.Seq(parts):
            return _sequence_stays_inside(parts)
        case ir.Alt(options):
            return all(map(_stays_inside, options))
        case ir.And(parts):
            return any(map(_stays_inside, parts)) and not any(map(_has_reference, parts))
        case ir.Repeat(item):
            return _stays_inside(item)
        case _:
            return isinstance(node, ir.Empty)


def _sequence_stays_inside(parts: tuple[ir.Node, ...]) -> bool:
    escaped = False
    for part in parts:
        if isinstance(part, ir.Text):
            after = _after_text(part.value, escaped)
            if after is None:
                return False
            escaped = after
        elif escaped and isinstance(part, ir.Chars):
            escaped = False
        elif escaped or not _stays_inside(part):
            return False
    return not escaped


def _after_text(value: str, escaped: bool) -> bool | None:
    """Is an escape open after this text? None where a quote in it ends the string."""
    for c in value:
        if escaped:
            escaped = False
        elif c == '"':
            return None
        else:
            escaped = c == "\\"
    return escaped


def _has_reference(node: ir.Node) -> bool:
    match node:
        case ir.Ref() | ir.TokenRef():
            return True
        case ir.Seq(parts) | ir.Alt(parts) | ir.And(parts):
            return any(map(_has_reference, parts))
        case ir.Repeat(item) | ir.Not(item):
            return _has_reference(item)
        case _:
            return False


def _check_neighbours(expansions: Mapping[str, Expansion], calls: Mapping[str, Sequence[str]], order: Descent) -> bool:
    """Does no bare run ever stand beside another? Edges of rules, by a fixed point where they recur, then every neighbour.

    Edges only grow, so that what the first pass finds is true, and without recursion it is all.
    """
    rules = dict.fromkeys(expansions, _Edges(0, 0, False))
    changed = True
    while changed:
        changed = False
        for name in order.finished:
            edges = _edges_of_rule(expansions[name], tuple((called, rules[called]) for called in calls[name]))
            if edges is None:
                return False
            changed = changed or (order.circular and edges != rules[name])
            rules[name] = edges
    return True


@lru_cache(maxsize=_RULES_KEPT)
def _edges_of_rule(expansion: Expansion, called: tuple[tuple[str, _Edges], ...]) -> _Edges | None:
    """`called`: the edges of the rules that it refers to. None where a bare run stands beside another."""
    try:
        return _EdgesOf(dict(called)).edges(expansion)
    except _Unfit:
        return None


class _EdgesOf:
    """Edges of expansions, from those of rules."""

    def __init__(self, rules: Mapping[str, _Edges]) -> None:
        self.rules = rules

    def edges(self, expansion: Expansion) -> _Edges:
        """Raises _Unfit."""
        match expansion:
            case Terminal(node=node):
                edge = _BARE if _bare(node) else _OTHER
                return _Edges(edge, edge, False)
            case Nonterminal(rule):
                return self.rules[rule]
            case Alternation(options):
                first = last = 0
                empty = False
                for option in options:
                    edges = self.edges(option)
                    first, last, empty = first | edges.first, last | edges.last, empty or edges.empty
                return _Edges(first, last, empty)
            case Repetition(item, low, high):
                edges = self.edges(item)
                if edges.last & edges.first & _BARE and (high is None or high > 1):
                    raise _Unfit
                return _Edges(edges.first, edges.last, edges.empty or low == 0)
            case Concatenation(parts):
                return self._sequence(parts)

    def _sequence(self, parts: tuple[Expansion, ...]) -> _Edges:
        first = last = 0
        empty = True
        for part in parts:
            edges = self.edges(part)
            if last & edges.first & _BARE:
                raise _Unfit
            if empty:
                first |= edges.first
            last = last | edges.last if edges.empty else edges.last
            empty = empty and edges.empty
        return _Edges(first, last, empty)
