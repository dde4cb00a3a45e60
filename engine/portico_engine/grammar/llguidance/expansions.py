"""A grammar's rules in lexemes: what each expands to, as `lexing` cuts it and `lark` prints it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from portico_engine.grammar import ir


@dataclass(frozen=True, slots=True, eq=False)
class Terminal:
    """One place of a lexeme (or of a token reference). `path`: the regular nodes opened around it, outermost first."""

    node: ir.Node
    index: int
    path: tuple[ir.Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Concatenation:
    """The parts, one after another."""

    parts: tuple[Expansion, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Alternation:
    """Any one of the options."""

    options: tuple[Expansion, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Repetition:
    """`item` at least `low` and at most `high` times; None is unbounded."""

    item: Expansion
    low: int
    high: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Nonterminal:
    """A rule, by its name."""

    rule: str


Expansion: TypeAlias = Terminal | Concatenation | Alternation | Repetition | Nonterminal
