"""Finds the places where a lexer that always reads on would change a grammar's language.

Positions are lexeme places, numbered; sets of them are bits of an int (Glushkov's first, last and follow, with rules as calls
that return to every caller). A *row* is the set of positions that may come next at some point of a text. A conflict is two
positions of one row where a match of the first, with the first byte of a character that may follow it, begins a match of the
second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from portico_engine.grammar.regular import automata
from portico_engine.grammar.regular.automata import TooManyStates

MAX_ROWS = 20_000
MAX_PAIR_STATES = 2_000


class _Ends(NamedTuple):
    """Of an expansion: may it be empty, and the positions that it can begin and end with."""

    nullable: bool
    first: int
    last: int


_NOTHING = _Ends(False, 0, 0)


@dataclass(frozen=True, slots=True)
class _Lexeme:
    """What the comparisons need of a lexeme; one object a distinct node."""

    literal: str | None  # where it is a plain text
    node: ir.Node  # free of references, and loose
    first: ir.Ranges
    nullable: bool


class Conflicts(NamedTuple):
    """`pairs` (a, b): where a's match ends, b could go on reading; none: greedy reading keeps the language."""

    pairs: list[tuple[Terminal, Terminal]]
    text_beside_tokens: bool  # somewhere text and a negated token reference may both come next; llguidance tries the text alone


def find_conflicts(
    expansions: Mapping[str, Expansion],
    start: str,
    terminals: Sequence[Terminal],
    inlined: Callable[[ir.Node], ir.Node],
    meter: Meter,
) -> Conflicts:
    """Every place where a match ends and a lexeme could go on reading. Raises GrammarTooLarge past the meter's time."""
    lexemes: dict[ir.Node, _Lexeme] = {}
    for terminal in terminals:
        if terminal.node not in lexemes:
            lexemes[terminal.node] = _lexeme(terminal.node, inlined)
    positions = [lexemes[terminal.node] for terminal in terminals]
    follow, entry = _follow(expansions, start, positions)
    rows = _Rows(positions, follow, meter)
    pairs = rows.explore(entry)
    return Conflicts([(terminals[a], terminals[b]) for a, b in pairs], rows.text_beside_tokens)


def _lexeme(node: ir.Node, inlined: Callable[[ir.Node], ir.Node]) -> _Lexeme:
    if isinstance(node, ir.TokenRef):
        return _Lexeme(None, node, ir.ANY_CHARACTER.ranges if node.negated else (), False)
    plain = inlined(node)
    if isinstance(plain, ir.Text):
        code = ord(plain.value[0])
        return _Lexeme(plain.value, plain, ((code, code),), False)
    return _loosened(plain)


@lru_cache(maxsize=4096)
def _loosened(node: ir.Node) -> _Lexeme:
    return _Lexeme(None, automata.loose(node), automata.first(node), automata.nullable(node))


def _follow(expansions: Mapping[str, Expansion], start: str, positions: Sequence[_Lexeme]) -> tuple[list[int], int]:
    """Each position's followers, and the positions that a text may begin with."""
    follower = _Follower(expansions, positions)
    follower.find_ends(start)
    for expansion in expansions.values():
        follower.walk(expansion, linking=True)
    return follower.follow, follower.ends[start].first


class _Follower:
    """First, last and nullable of every rule, then the links between neighbouring positions."""

    def __init__(self, expansions: Mapping[str, Expansion], positions: Sequence[_Lexeme]) -> None:
        self.expansions = expansions
        self.positions = positions
        self.ends: dict[str, _Ends] = {}
        self.follow = [0] * len(positions)
        self.recursive = False
        self.unfinished: set[str] = set()

    def find_ends(self, start: str) -> None:
        """Bottom up in one pass; where rules recur, again until nothing changes."""
        self._call(start)
        while self.recursive:
            self.recursive = False
            for rule, expansion in self.expansions.items():
                new = self.walk(expansion, linking=False)
                if new != self.ends[rule]:
                    self.ends[rule] = new
                    self.recursive = True

    def _call(self, rule: str) -> _Ends:
        known = self.ends.get(rule)
        if known is None:
            self.ends[rule] = _NOTHING
            self.unfinished.add(rule)
            known = self.ends[rule] = self.walk(self.expansions[rule], linking=False)
            self.unfinished.discard(rule)
        elif rule in self.unfinished:
            self.recursive = True
        return known

    def walk(self, expansion: Expansion, linking: bool) -> _Ends:
        match expansion:
            case Terminal(index=index):
                bit = 1 << index
                return _Ends(self.positions[index].nullable, bit, bit)
            case Nonterminal(rule):
                return self._call(rule)
            case Alternation(options):
                each = [self.walk(option, linking) for option in options]
                return _Ends(any(e.nullable for e in each), _or(e.first for e in each), _or(e.last for e in each))
            case Concatenation(parts):
                nullable, first, last = True, 0, 0
                for part in parts:
                    end = self.walk(part, linking)
                    if linking:
                        self._link(last, end.first)
                    first |= end.first if nullable else 0
                    last = end.last | (last if end.nullable else 0)
                    nullable = nullable and end.nullable
                return _Ends(nullable, first, last)
            case Repetition(item, low, high):
                end = self.walk(item, linking)
                if linking and (high is None or high > 1):
                    self._link(end.last, end.first)
                return _Ends(end.nullable or low == 0, end.first, end.last)

    def _link(self, last: int, first: int) -> None:
        if first:
            for position in bits(last):
                self.follow[position] |= first


class _Rows:
    """Explores the rows that texts can lead to, and compares the positions of each."""

    def __init__(self, positions: Sequence[_Lexeme], follow: Sequence[int], meter: Meter) -> None:
        self.positions = positions
        self.follow = follow
        self.meter = meter
        self.compared: set[tuple[int, int]] = set()
        self.conflicts: dict[tuple[int, int], None] = {}
        self.after_memo: dict[int, ir.Ranges] = {}
        self.text_beside_tokens = False
        self.negated = _or(1 << at for at, lexeme in enumerate(positions) if _is_negated(lexeme.node))
        self.texts = _or(1 << at for at, lexeme in enumerate(positions) if not isinstance(lexeme.node, ir.TokenRef))

    def explore(self, entry: int) -> list[tuple[int, int]]:
        rows = [entry]
        seen = {entry, 0}
        while rows:
            self.meter.step()
            for following in self._compare(rows.pop()):
                if following not in seen:
                    seen.add(following)
                    rows.append(following)
            if len(seen) > MAX_ROWS:
                return self._everything()
        return list(self.conflicts)

    def _everything(self) -> list[tuple[int, int]]:
        """Too ambiguous to follow: treat every lexeme that has more than one character as one that could read on."""
        return [(i, i) for i, lexeme in enumerate(self.positions) if not _is_single(lexeme.node)]

    def _compare(self, row: int) -> Iterator[int]:
        """Note the row's conflicts; yields the rows after each of its positions, of those read together at once."""
        if row & self.negated and row & self.texts:
            self.text_beside_tokens = True
        groups = {position: {position} for position in bits(row)}
        for a, b in self._neighbours(list(groups)):
            self._check(a, b)
            self._check(b, a)
            if a != b and groups[a] is not groups[b] and _share(self.positions[a], self.positions[b]):
                merged = groups[a] | groups[b]
                for position in merged:
                    groups[position] = merged
        for group in {id(group): group for group in groups.values()}.values():
            yield _or(self.follow[position] for position in group)

    def _neighbours(self, row: list[int]) -> Iterator[tuple[int, int]]:
        """Pairs of positions (each with itself, too) that may begin with the same character."""
        literals: list[tuple[str, int]] = []
        others: list[int] = []
        for position in row:
            literal = self.positions[position].literal
            if literal is None:
                others.append(position)
                yield position, position
            else:
                literals.append((literal, position))
        literals.sort()
        for at, (literal, position) in enumerate(literals):
            for longer, other in literals[at + 1 :]:
                if not longer.startswith(literal):
                    break
                yield position, other
        for at, position in enumerate(others):
            ranges = self.positions[position].first
            for other in others[at + 1 :]:
                if _meet(ranges, self.positions[other].first):
                    yield position, other
            for _, other in literals:
                if _meet(ranges, self.positions[other].first):
                    yield position, other

    def _check(self, a: int, b: int) -> None:
        """Could b read on where a has ended?"""
        if (a, b) in self.compared:
            return
        self.compared.add((a, b))
        self.meter.step()
        taken = same_first_byte(_extension(self.positions[a], self.positions[b]))
        if taken and _meet(taken, self._after(a)):
            self.conflicts[a, b] = None

    def _after(self, position: int) -> ir.Ranges:
        """Characters that may follow the position."""
        followers = self.follow[position]
        known = self.after_memo.get(followers)
        if known is None:
            known = ir.merge_ranges(r for other in bits(followers) for r in self.positions[other].first)
            self.after_memo[followers] = known
        return known


@lru_cache(maxsize=1 << 16)
def _extension(a: _Lexeme, b: _Lexeme) -> ir.Ranges:
    """Characters that go on, in b, after a match of a."""
    if isinstance(a.node, ir.TokenRef) or isinstance(b.node, ir.TokenRef):
        return ()
    if a.literal is not None:
        if b.literal is not None:
            code = (
                ord(b.literal[len(a.literal)]) if len(b.literal) > len(a.literal) and b.literal.startswith(a.literal) else None
            )
            return () if code is None else ((code, code),)
        return automata.first(automata.after(b.node, a.literal))
    if b.literal is not None and len(b.literal) == 1:
        return ()
    try:
        return automata.extension(a.node, b.node, MAX_PAIR_STATES)
    except TooManyStates:
        return ir.ANY_CHARACTER.ranges


@lru_cache(maxsize=1 << 16)
def _share(a: _Lexeme, b: _Lexeme) -> bool:
    """Is some text a match of both, so that both are read at once?"""
    if a is b:
        return True
    if isinstance(a.node, ir.TokenRef) or isinstance(b.node, ir.TokenRef):
        return a.node == b.node or (isinstance(a.node, ir.TokenRef) and isinstance(b.node, ir.TokenRef))
    if a.literal is not None and b.literal is not None:
        return a.literal == b.literal
    if a.literal is not None:
        return automata.matches(b.node, a.literal)
    if b.literal is not None:
        return automata.matches(a.node, b.literal)
    try:
        return automata.overlap(a.node, b.node, MAX_PAIR_STATES)
    except TooManyStates:
        return True


def same_first_byte(ranges: ir.Ranges) -> ir.Ranges:
    """All characters that begin, in UTF-8, with a byte that one of these begins with: a lexer goes on byte by byte."""
    if not ranges or ranges[-1][1] < 0x80:
        return ranges
    wide = []
    for low, high in ranges:
        for block_low, block_high, size in _FIRST_BYTES:
            if low <= block_high and high >= block_low:
                start, end = max(low, block_low), min(high, block_high)
                wide.append((start - start % size, end - end % size + size - 1))
    return ir.merge_ranges((low, min(high, ir.MAX_CODE_POINT)) for low, high in wide)


# code points of one, two, three and four bytes, and how many of each share a first byte (RFC 3629)
_FIRST_BYTES = ((0, 0x7F, 1), (0x80, 0x7FF, 0x40), (0x800, 0xFFFF, 0x1000), (0x10000, ir.MAX_CODE_POINT, 0x40000))


def _is_negated(node: ir.Node) -> bool:
    return isinstance(node, ir.TokenRef) and node.negated


def _is_single(node: ir.Node) -> bool:
    return isinstance(node, ir.Chars | ir.TokenRef) or (isinstance(node, ir.Text) and len(node.value) == 1)


def _meet(a: ir.Ranges, b: ir.Ranges) -> bool:
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i][1] < b[j][0]:
            i += 1
        elif b[j][1] < a[i][0]:
            j += 1
        else:
            return True
    return False


def _or(masks: Iterator[int]) -> int:
    out = 0
    for mask in masks:
        out |= mask
    return out


def bits(mask: int) -> Iterator[int]:
    """Numbers of the bits that are set."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
