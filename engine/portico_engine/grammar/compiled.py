"""What compiling a grammar yields: the text that the matcher enforces, its digest, and an honest report.

It owns these value types only; the compilers make them, the matcher consumes them, the gateway shows the report.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from portico_engine.grammar.ir import Grammar, Node


@dataclass(frozen=True, slots=True)
class Loosened:
    """A keyword that the grammar does not enforce exactly. The call is checked against it afterwards."""

    tool: str  # "" where a lone schema was compiled
    pointer: str  # JSON pointer of the keyword inside the tool's schema, e.g. "/properties/tags/uniqueItems"
    keyword: str
    what: str  # what is accepted instead, in one sentence


@dataclass(frozen=True, slots=True)
class DefaultBound:
    """An open end that got a bound of ours, for generation only."""

    tool: str
    pointer: str
    bound: Literal["string", "integer", "number", "array", "object", "depth"]
    value: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A tool whose schema is invalid or unsatisfiable: degraded to "any JSON object", or left out."""

    tool: str
    pointer: str
    reason: str
    degraded: bool  # True: still callable with any JSON object; False: left out of the grammar


@dataclass(frozen=True, slots=True)
class CompileReport:
    """Everything about a compilation that is not exact."""

    loosened: tuple[Loosened, ...] = ()
    bounds: tuple[DefaultBound, ...] = ()
    failed: tuple[Failed, ...] = ()
    compile_seconds: float = 0.0
    notes: tuple[str, ...] = ()  # about a user's own grammar: what is slower, or what its author may not have meant

    @property
    def exact(self) -> bool:
        return not self.loosened and not self.failed

    def joined(self, *others: CompileReport) -> CompileReport:
        """This report and the others, as one."""
        every = (self, *others)
        return CompileReport(
            loosened=tuple(entry for report in every for entry in report.loosened),
            bounds=tuple(entry for report in every for entry in report.bounds),
            failed=tuple(entry for report in every for entry in report.failed),
            compile_seconds=sum(report.compile_seconds for report in every),
            notes=tuple(note for report in every for note in report.notes),
        )


class OpenStrings(NamedTuple):
    """A grammar's text without the counts of long strings. It means the same while no string is `length` characters long.

    Counting makes every character of a string a state of its own; without it masks are quicker.
    """

    text: str
    length: int


class ClosingKnowledge(NamedTuple):
    """What has been found out about how a grammar's texts end, where finding out may be dear: the engine need not again."""

    longest: int  # bytes of the longest of all states' shortest endings
    searched: Mapping[Node, bytes | None]  # of the rules' intersections and complements, the shortest strings


class EnforcedText(NamedTuple):
    """A grammar in the matcher's language, what a reader of a report should know of its making, and the text with open
    strings. Nobody but the matcher reads the texts."""

    text: str
    notes: tuple[str, ...] = ()
    open_strings: OpenStrings | None = None


@dataclass(frozen=True)
class CompiledGrammar:
    """A grammar ready for a matcher. `text` is enforced, in the matcher's own language; `report` says where it is not exact.

    `ir` is what `text` was printed from. With it a matcher can guarantee to close within a budget of tokens; every compiler
    here sets it. `open_strings` is what a matcher may go by until a string is long, `closing` what is known of endings already.
    `schema` is a JSON Schema of the whole text, for who enforces it elsewhere and takes no grammar; nothing here reads it.
    """

    text: str
    report: CompileReport = field(default_factory=CompileReport)
    ir: Grammar | None = field(default=None, compare=False, repr=False)
    open_strings: OpenStrings | None = field(default=None, compare=False, repr=False)
    closing: ClosingKnowledge | None = field(default=None, compare=False, repr=False)
    schema: Mapping[str, Any] | bool | None = field(default=None, compare=False, repr=False)

    @cached_property
    def digest(self) -> str:
        """sha256 of the enforced text, hex: the key of every cache."""
        return hashlib.sha256(self.text.encode()).hexdigest()
