"""A pattern as a tree: ECMA-262's own parts, with what has no assertion in it already in the IR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from portico_engine.grammar.ir import Node, Ranges, merge_ranges

DIGITS: Ranges = ((0x30, 0x39),)
WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACE: Ranges = merge_ranges(
    (low, high)
    for low, high in (
        *((9, 13), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029)),
        *((0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
    )
)
LINE_ENDS: Ranges = ((10, 10), (13, 13), (0x2028, 0x2029))


AssertionKind: TypeAlias = Literal["start", "end", "edge", "not-edge", "ahead", "not-ahead", "behind", "not-behind"]


@dataclass(frozen=True, slots=True)
class Regular:
    """A part without assertions or backreferences: a regular expression of the IR."""

    node: Node


@dataclass(frozen=True, slots=True)
class Assertion:
    """What must hold at a place, and takes no character: the text's ends, a word's edge, lookaheads and lookbehinds."""

    kind: AssertionKind
    body: PatternNode | None = None


@dataclass(frozen=True, slots=True)
class Alternative:
    """Terms, one after another."""

    parts: tuple[PatternNode, ...]


@dataclass(frozen=True, slots=True)
class Disjunction:
    """Any one of the alternatives."""

    options: tuple[PatternNode, ...]


@dataclass(frozen=True, slots=True)
class Quantified:
    """`item` at least `low` and at most `high` times; None is unbounded."""

    item: PatternNode
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class CapturingGroup:
    """A capturing group; only where captures are asked for."""

    number: int
    item: PatternNode


@dataclass(frozen=True, slots=True)
class Backreference:
    """A backreference: not regular."""

    numbers: tuple[int, ...]  # of the groups that it may name (several where alternatives share a name)


PatternNode: TypeAlias = Regular | Assertion | Alternative | Disjunction | Quantified | CapturingGroup | Backreference


@dataclass(frozen=True, slots=True)
class PatternLanguage:
    """A regular language of whole strings; `loosened` says what it accepts beyond the pattern, if anything."""

    node: Node
    loosened: str = ""
