"""A grammar's rules as lexemes and what stands between them: the value types that `lexing` makes and `lark` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from portico_engine.grammar import ir


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """One place of a lexeme (or of a token reference). `path`: the regular nodes opened around it, outermost first."""

    node: ir.Node
    index: int
    path: tuple[ir.Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    parts: tuple[Shape, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    options: tuple[Shape, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Repetition:
    item: Shape
    low: int
    high: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    rule: str


Shape: TypeAlias = Leaf | Sequence | Choice | Repetition | Call
