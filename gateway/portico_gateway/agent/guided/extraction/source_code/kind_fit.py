"""Whether a place is the kind of code that a question is after, and the very definition that it names.

It looks at one place at a time, at its lines and its statement; how well the words agree, `places.py` says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from portico_gateway.agent.guided.extraction.source_code.expected import CodeKind, ExpectedCode, assigned_names, fits
from portico_gateway.agent.guided.extraction.source_code.statements import Role, SourceTree, Statement
from portico_gateway.agent.guided.extraction.source_code.words import Term, words_in

ASSIGNED = 0.5  # of the weight of a named definition, for a value whose name the question says whole
ONE_OF_SEVERAL = 0.7  # of the fit, for one value where a list is asked for
_SEVERAL = re.compile(r"[\[{(][^\])}]*,|[\[{(]\s*$")
_OWN_VALUE = re.compile(  # no keyword of a call, no other thing's attribute
    r"""\s*(?:(?:export|var|let|const|static|final|public|private|readonly)\s+)*(?:self\.|this\.)?
    ["']?(?P<name>[A-Za-z_$][\w$-]*)["']?\s*[:=]""",
    re.VERBOSE,
)
_CONSTRUCTORS = frozenset(("__init__", "constructor", "new", "initialize", "__new__"))
_HAS_BASES = re.compile(r"class\s+\w+\s*(?:\(\s*[\w\"']|extends\b|:\s*\w|<\s*\w)")
_OF_A_NAME = frozenset((CodeKind.BASES, CodeKind.SIGNATURE, CodeKind.PLACE, CodeKind.RETURNS))
_IMPORT = re.compile(r"(?:from\s+\S+\s+)?import\b|#include|use\s|(?:var|let|const)\s.*\brequire\(|package\s")


def is_import(line: str) -> bool:
    """Does a statement that begins with that line only bring in names?"""
    return _IMPORT.match(line.strip()) is not None


@dataclass(frozen=True, slots=True)
class KindFit:
    """Judges the places of one file for one question."""

    tree: SourceTree
    terms: Sequence[Term]
    asked: frozenset[str]  # the question's stems, and what stands for them
    expected: ExpectedCode

    def of(self, statement: Statement, first: int, last: int) -> tuple[float, float]:
        """How much it is the kind of code that is asked for, the first kind said counting whole, the next one a part; and
        whether it is the very definition that is asked about."""
        if last > statement.last:
            return 1.0, 0.0  # a body that is taken whole, since a list is asked for
        text = "\n".join(self.tree.lines[first - 1 : last])
        head = first == statement.first and bool(statement.name)
        named = self._named(statement) if head else 0.0
        share, best, about = 1.0, 0.0, 0.0
        for kind in self.expected.kinds[:2]:
            fit = self._fits(kind, statement, text, head, named)
            best = max(best, share * fit)
            if kind in _OF_A_NAME and fit:
                about = max(about, share * named)
            if kind is CodeKind.VALUE and self._is_value_of(text):
                about = max(about, share * ASSIGNED)
            share = 0.6
        return best, about

    def _fits(self, kind: CodeKind, statement: Statement, text: str, head: bool, named: float) -> float:
        match kind:
            case CodeKind.BASES:
                derived = _HAS_BASES.search(text) is not None
                if not (head and statement.role is Role.TYPE):
                    return 0.0
                return 0.4 + 0.3 * derived + 0.3 * named if any(term.name for term in self.terms) else 1.0
            case CodeKind.SIGNATURE:
                whole = text.count("\n") == statement.last - statement.first
                return (0.3 + 0.7 * named) if head and statement.role is Role.FUNCTION and whole else 0.0
            case CodeKind.CLASS | CodeKind.FUNCTION:
                if head and statement.role is (Role.TYPE if kind is CodeKind.CLASS else Role.FUNCTION):
                    return 1.0 - named
                return 0.8 if self._calls(statement, text) else 0.25
            case CodeKind.PLACE:
                return 1.0 if head and statement.role in (Role.TYPE, Role.FUNCTION) else 0.2
            case CodeKind.REASON:
                return float(statement.role is Role.TEXT)
            case CodeKind.CALLS:
                return float(self._calls(statement, text))
            case _:
                share = 0.6 if (statement.role is Role.TEXT and kind is not CodeKind.SINCE) or (head and "\n" in text) else 1.0
                if kind is CodeKind.VALUE:
                    share *= 0.8 + 0.4 * self._assigns(text)
                    share *= ONE_OF_SEVERAL if self.expected.several and not _SEVERAL.search(text) else 1.0
                return share * fits(kind, text, number=self.expected.number)

    def _assigns(self, text: str) -> float:
        """Of the names that are given a value there: how many of the parts of the best one the question says."""
        best = 0.0
        for name in assigned_names(text):
            whole = re.sub(r"[\W_]", "", name).lower()
            parts = {word for word in words_in(name) if word != whole} or {whole}
            best = max(best, 1.0 if whole in self.asked else len(parts & self.asked) / len(parts))
        return best

    def _is_value_of(self, text: str) -> bool:
        """Is it all about one value, whose name of several words the question says whole?"""
        found = _OWN_VALUE.match(text)
        if found is None or found["name"] not in assigned_names(text)[:1]:
            return False
        whole = re.sub(r"[\W_]", "", found["name"]).lower()
        parts = set(words_in(found["name"])) - {whole}
        return len(parts) > 1 and (whole in self.asked or parts <= self.asked)

    def _named(self, statement: Statement) -> float:
        """Does the question name this definition, or the class that it constructs? Less where upper case differs."""
        parents = [self.tree.statements[i].name for i in statement.parents if self.tree.statements[i].name]
        construct = statement.name in _CONSTRUCTORS and bool(parents)
        name = parents[-1] if construct else statement.name
        for term in self.terms:
            if term.whole and not term.kind and term.text == name:
                return 1.0
        folded = name.replace("_", "").lower()
        terms = [term for term in self.terms if term.whole and not term.kind]
        return 0.25 if any(folded in (term.stem, term.text.lower()) for term in terms) else 0.0

    def _calls(self, statement: Statement, text: str) -> bool:
        first = self.tree.lines[statement.first - 1].strip()
        if statement.role is Role.TEXT or is_import(first) or first.startswith(("from ", "export ")):
            return False
        names = [term.text for term in self.terms if term.name and term.text != statement.name]
        return any(re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", text) for name in names)
