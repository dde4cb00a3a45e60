"""The grammar's intermediate representation: regular expressions with intersection and complement, plus rules.

It owns the node types and a few algebraic constructors, and knows neither JSON Schema, GBNF, Lark nor tokens. Characters are
Unicode code points. A node is *regular* when no `Ref` or `TokenRef` is in it; only regular nodes may be under `And` and `Not`.

    Node = Empty | Never | Text | Chars | Seq | Alt | Repeat | And | Not | Ref | TokenRef
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

MAX_CODE_POINT = 0x10FFFF
Ranges: TypeAlias = tuple[tuple[int, int], ...]  # inclusive, of code points


class _KeepsHash:
    """Nodes are hashed often and hold others: each works its hash out once, and it goes into no pickle, since another process
    hashes strings otherwise."""

    __slots__ = ("_hash",)
    __match_args__: ClassVar[tuple[str, ...]]
    _hash: int

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            value = hash((type(self).__name__, *(getattr(self, name) for name in self.__match_args__)))
            object.__setattr__(self, "_hash", value)
            return value


@dataclass(frozen=True, slots=True)
class Empty:
    """The empty string."""


@dataclass(frozen=True, slots=True)
class Never:
    """No string at all."""


@dataclass(frozen=True, slots=True)
class Text:
    """Exactly this non-empty string."""

    value: str


@dataclass(frozen=True, slots=True)
class Chars(_KeepsHash):
    """One character out of sorted, disjoint, non-adjacent inclusive ranges of code points (surrogates excluded)."""

    ranges: Ranges

    __hash__ = _KeepsHash.__hash__


@dataclass(frozen=True, slots=True)
class Seq(_KeepsHash):
    """The parts, one after another."""

    parts: tuple[Node, ...]

    __hash__ = _KeepsHash.__hash__


@dataclass(frozen=True, slots=True)
class Alt(_KeepsHash):
    """Any one of the options."""

    options: tuple[Node, ...]

    __hash__ = _KeepsHash.__hash__


@dataclass(frozen=True, slots=True)
class Repeat(_KeepsHash):
    """`item` at least `low` and at most `high` times; `high` None is unbounded."""

    item: Node
    low: int
    high: int | None

    __hash__ = _KeepsHash.__hash__


@dataclass(frozen=True, slots=True)
class And(_KeepsHash):
    """Strings that every part matches (regular parts only)."""

    parts: tuple[Node, ...]

    __hash__ = _KeepsHash.__hash__


@dataclass(frozen=True, slots=True)
class Not(_KeepsHash):
    """Strings that `item` does not match (regular only)."""

    item: Node

    __hash__ = _KeepsHash.__hash__


@dataclass(frozen=True, slots=True)
class Ref:
    """The rule of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class TokenRef:
    """One token by its text (`<think>`) or id (`<[151667]>`), or, negated, any one token but it. GBNF's token references."""

    token: str | int
    negated: bool = False


Node: TypeAlias = Empty | Never | Text | Chars | Seq | Alt | Repeat | And | Not | Ref | TokenRef

EMPTY = Empty()
NEVER = Never()
ANY_CHARACTER = Chars(((0, 0xD7FF), (0xE000, MAX_CODE_POINT)))
ANY_TEXT = Repeat(ANY_CHARACTER, 0, None)


@dataclass(frozen=True)
class Grammar:
    """Named rules and where to start. Rule names match `[a-zA-Z][a-zA-Z0-9-]*`, GBNF's alphabet."""

    rules: Mapping[str, Node]
    start: str = "root"
    notes: tuple[str, ...] = field(default=())  # what was loosened or bounded, for a reader; printers show them as comments


def chars(*ranges: tuple[int, int] | str) -> Node:
    """A class from ranges or from the characters of strings: `chars("ab", (0x30, 0x39))`. Empty gives NEVER."""
    flat: list[tuple[int, int]] = []
    for item in ranges:
        if isinstance(item, str):
            flat.extend((ord(c), ord(c)) for c in item)
        else:
            flat.append(item)
    merged = merge_ranges(flat)
    return Chars(merged) if merged else NEVER


def merge_ranges(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Sorted, disjoint, non-adjacent ranges, without the surrogates."""
    out: list[tuple[int, int]] = []
    for low, high in sorted(_without_surrogates(ranges)):
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(high, out[-1][1]))
        else:
            out.append((low, high))
    return tuple(out)


def complement(ranges: Ranges) -> Ranges:
    """Every code point but these (and but surrogates)."""
    out: list[tuple[int, int]] = []
    at = 0
    for low, high in ranges:
        if at < low:
            out.append((at, low - 1))
        at = high + 1
    if at <= MAX_CODE_POINT:
        out.append((at, MAX_CODE_POINT))
    return merge_ranges(out)


def _without_surrogates(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for low, high in ranges:
        if low > high:
            continue
        if high < 0xD800 or low > 0xDFFF:
            yield low, high
            continue
        if low < 0xD800:
            yield low, 0xD7FF
        if high > 0xDFFF:
            yield 0xE000, high


def text(value: str) -> Node:
    """Exactly `value`; EMPTY where it is empty."""
    return Text(value) if value else EMPTY


def seq(*parts: Node) -> Node:
    """Concatenation, flattened; NEVER if any part is, adjacent texts joined."""
    out: list[Node] = []
    for part in parts:
        for item in part.parts if type(part) is Seq else (part,):
            if type(item) is Never:
                return NEVER
            if type(item) is Text and out and type(last := out[-1]) is Text:
                out[-1] = Text(last.value + item.value)
            elif type(item) is not Empty:
                out.append(item)
    if not out:
        return EMPTY
    return out[0] if len(out) == 1 else Seq(tuple(out))


def alt(*options: Node) -> Node:
    """Alternation, flattened and without duplicates or NEVER; NEVER where nothing is left."""
    out: dict[Node, None] = {}
    for option in options:
        for item in option.options if isinstance(option, Alt) else (option,):
            if not isinstance(item, Never):
                out.setdefault(item)
    if not out:
        return NEVER
    kept = tuple(out)
    return kept[0] if len(kept) == 1 else Alt(kept)


def repeat(item: Node, low: int = 0, high: int | None = None) -> Node:
    """`item{low,high}` in simplest form."""
    assert low >= 0
    assert high is None or high >= low
    if high == 0 or isinstance(item, Empty):
        return EMPTY
    if isinstance(item, Never):
        return EMPTY if low == 0 else NEVER
    return item if (low, high) == (1, 1) else Repeat(item, low, high)


def optional(item: Node) -> Node:
    """`item` or nothing."""
    return repeat(item, 0, 1)


def references(node: Node) -> list[str]:
    """Names of the rules that `node` refers to, as they stand (an intersection or complement refers to none)."""
    found = []
    stack = [node]
    while stack:
        item = stack.pop()
        if type(item) is Ref:
            found.append(item.name)
        elif type(item) is Seq:
            stack.extend(reversed(item.parts))
        elif type(item) is Alt:
            stack.extend(reversed(item.options))
        elif type(item) is Repeat:
            stack.append(item.item)
    return found


def names_tokens(grammar: Grammar) -> bool:
    """Does it refer to tokens of a vocabulary?"""
    stack = list(grammar.rules.values())
    while stack:
        item = stack.pop()
        if type(item) is TokenRef:
            return True
        if type(item) is Seq:
            stack.extend(item.parts)
        elif type(item) is Alt:
            stack.extend(item.options)
        elif type(item) is Repeat:
            stack.append(item.item)
    return False


def reachable(rules: Mapping[str, Node], start: str) -> dict[str, Node]:
    """`start` and what it leads to."""
    kept = {start: rules[start]}
    todo = [start]
    while todo:
        for name in references(rules[todo.pop()]):
            if name not in kept:
                kept[name] = rules[name]
                todo.append(name)
    return kept
