"""What is printed of a place in a source file: where it is, its lines with one around them, and what they lead to.

A signature is written in one line, the beginning of a body goes along with its head; a constant is followed to its value, a
class to the bases of its bases, a call to what it calls where the question's words name that, as far as the files have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from portico_gateway.agent.guided.extraction.source_code.constants import (
    OpenConstant,
    definition,
    module_of,
    named,
    values,
)
from portico_gateway.agent.guided.extraction.source_code.expected import KIND_WORDS, CodeKind, ExpectedCode
from portico_gateway.agent.guided.extraction.source_code.places import ScoredPlace
from portico_gateway.agent.guided.extraction.source_code.statements import Role, SourceTree, Statement
from portico_gateway.agent.guided.extraction.source_code.words import line_words, words_in

MOST_CHARACTERS = 640  # of one answer
LONGEST_LINE = 200
BODY_LINES = 6  # of a body, with its head
DOCUMENTATION_LINES = 2
SHOWN_LINES = 6  # of a short place with what follows it, where no definition is added
SHORT_LINES = 4  # of a place behind another
LONGEST_HEAD = 420  # characters of a definition's head that is shown whole
MOST_PARAMETERS = 4  # parameters, or decorators, of a longer one
MOST_FOLLOWED = 3  # definitions that are added to a place

_CLOSES = re.compile(r"[\])}]|(?:else|elif|except|catch|finally|end)\b")  # goes on with a block, though it stands further out
_HEAD = re.compile(r"(?:async\s+)?(?:def|class)\s|(?:export\s+)?(?:async\s+)?function\b")
_BASE = re.compile(r"[A-Z]\w+")
_NAME = re.compile(r"[A-Za-z_]\w{3,}")


@dataclass(frozen=True, slots=True)
class PlaceDisplay:
    """Prints places of some files, for one question."""

    expected: ExpectedCode
    asked: frozenset[str]  # the stems of the question's words
    trees: Sequence[SourceTree]

    def text(self, place: ScoredPlace) -> str:
        """The place as it is printed."""
        tree, statement, kinds = place.tree, place.statement, self.expected.kinds
        heading = place_heading(tree, statement, place.first)
        if _is_head(place):
            values = list(self._constants(place)) if CodeKind.VALUE in kinds[:2] else []  # of its defaults
            if statement.role is Role.FUNCTION and CodeKind.SIGNATURE in kinds[:2]:
                return cut("\n".join((heading, in_one_line(tree.text(statement)), *values)))
            if statement.role is Role.TYPE and CodeKind.BASES in (kinds[0], *(kinds[1:2] if self._asks_why else ())):
                head, *body = _definition(tree, statement)
                said = body[:DOCUMENTATION_LINES] if self._asks_why else ()
                return cut("\n".join((heading, head, *said, *self._bases(tree, statement))))
            head, *body = _definition(tree, statement)
            if len(head) > LONGEST_HEAD:
                return cut("\n".join((heading, self._asked_parameters(place), *values)))
            if not body:
                return cut("\n".join((f"{tree.path}:{place.first}: {head}", *values)))
            return cut("\n".join((heading, head, *values, *body, *self._called(place))))
        called = list(self._called(place))
        first, last = _with_context(tree, place.first, place.last, SHOWN_LINES if not called else 0)
        lines = [line[:LONGEST_LINE] for line in tree.lines[first - 1 : last]]
        if len(lines) == 1:
            heading += " " + lines.pop().strip()
        return cut("\n".join((heading, *dedented(lines), *self._constants(place), *called)))

    def short(self, place: ScoredPlace) -> str:
        """The place as it is printed behind another: its own lines alone, of a definition its head."""
        tree, statement = place.tree, place.statement
        heading = place_heading(tree, statement, place.first)
        if _is_head(place):
            head = in_one_line(tree.text(statement))
            return cut(f"{heading}\n{head if len(head) <= LONGEST_HEAD else self._asked_parameters(place)}")
        lines = dedented([line[:LONGEST_LINE] for line in tree.lines[place.first - 1 : place.last] if line.strip()])
        asks_value = CodeKind.VALUE in self.expected.kinds[:2]
        constants = list(self._constants(place, values(_lines(place)))) if asks_value else []
        if len(lines) == 1:
            return cut("\n".join((f"{heading} {lines[0].strip()}", *constants)))
        return cut("\n".join((heading, *lines[:SHORT_LINES], *constants)))

    @property
    def _asks_why(self) -> bool:
        return CodeKind.REASON in self.expected.kinds[:2]

    def _asked_parameters(self, place: ScoredPlace) -> str:
        """Of a head that is too long to be read, its beginning, and the parameters or decorators that have the question's
        words."""
        statement = place.statement
        groups = _parameters([line.strip() for line in place.tree.lines[statement.first - 1 : statement.last]])
        shares = [len((self.asked - KIND_WORDS).intersection(words_in(text))) for _, text in groups]
        most = max(shares)
        asked = [n for n, share in enumerate(shares) if share == most > 0]
        line = place.first - statement.first
        if place.first == place.last:
            asked.insert(0, max(n for n, (first, _) in enumerate(groups) if first <= line))
        name = next((n for n, (_, text) in enumerate(groups) if statement.name in text and not text.startswith("@")), 0)
        kept = sorted({name, *asked[:MOST_PARAMETERS]})
        return " … ".join(groups[n][1] for n in kept)[:MOST_CHARACTERS] + " …"

    def _bases(self, tree: SourceTree, statement: Statement) -> Iterator[str]:
        """The heads of a class's bases, and of theirs, where they are defined in these files."""
        told = {statement.name}
        heads = [in_one_line(tree.text(statement)).partition(statement.name)[2]]
        count = 0
        while heads and count < MOST_FOLLOWED:
            for base in _BASE.findall(heads.pop(0)):
                if base not in told and (found := self._defined(base, Role.TYPE, tree)) is not None:
                    head = in_one_line(found[0].text(found[1]))
                    yield f"{found[0].path}:{found[1].first}: {head}"
                    heads.append(head.partition(base)[2])
                    count += 1
                told.add(base)

    def _constants(self, place: ScoredPlace, names: Sequence[str] | None = None) -> Iterator[str]:
        """The definitions of the constants in a short place, or in a definition's head; of these `names` alone."""
        if place.last - place.first > 2 and not _is_head(place):
            return
        found = (definition(name, place.tree, self.trees) for name in (named(_lines(place)) if names is None else names))
        for tree, statement in list(filter(None, found))[:MOST_FOLLOWED]:
            yield f"{tree.path}:{statement.first}: {in_one_line(tree.text(statement))[:LONGEST_LINE]}"

    def open_constants(self, place: ScoredPlace) -> tuple[OpenConstant, ...]:
        """Where a value is asked for: those that a short place gives as values, and that none of these files defines."""
        if CodeKind.VALUE not in self.expected.kinds[:2] or place.last - place.first > 2:
            return ()
        return tuple(
            OpenConstant(name, module_of(name, place.tree))
            for name in values(_lines(place))
            if definition(name, place.tree, self.trees) is None
        )

    def _called(self, place: ScoredPlace) -> Iterator[str]:
        """The definition of a function that a place names, where the question's own words name it, too."""
        if place.last - place.first > BODY_LINES + 2:
            return
        for name in dict.fromkeys(_NAME.findall(_lines(place))):
            if name == place.statement.name or not self._is_asked(name):
                continue
            if (found := self._defined(name, Role.FUNCTION, place.tree)) is not None:
                tree, definition = found
                if tree is not place.tree or not place.first <= definition.first <= place.last:
                    yield f"{tree.path}:{definition.first}:"
                    yield from _definition(tree, definition)
                    return

    def _is_asked(self, name: str) -> bool:
        """Do the question's words make up most of a name of several parts?"""
        parts = line_words(name)[:-1]
        said = sum(part in self.asked for part in parts)
        return said >= 2 and said >= 0.6 * len(parts)

    def _defined(self, name: str, role: Role, near: SourceTree) -> tuple[SourceTree, Statement] | None:
        for tree in self._from(near):
            for statement in tree.statements:
                if statement.role is role and statement.name == name:
                    return tree, statement
        return None

    def _from(self, near: SourceTree) -> Iterator[SourceTree]:
        yield near
        yield from (tree for tree in self.trees if tree is not near)


def _parameters(lines: Sequence[str]) -> list[tuple[int, str]]:
    """The lines of a definition's head, those of one decorator as one: the first one's index, and the text."""
    found: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        decorates = bool(found) and found[-1][1].startswith("@") and not _HEAD.match(line)
        if decorates and not line.startswith("@"):
            found[-1] = (found[-1][0], f"{found[-1][1]} {line}")
        else:
            found.append((number, line))
    return found


def _lines(place: ScoredPlace) -> str:
    return "\n".join(place.tree.lines[place.first - 1 : place.last])


def place_heading(tree: SourceTree, statement: Statement, line: int) -> str:
    """`path:line`, and the definition around it."""
    name = tree.qualified(statement)
    return f"{tree.path}:{line}:{f' {name}' if name else ''}"


def _is_head(place: ScoredPlace) -> bool:
    """Is it a definition's head, or a line of one? A parameter says nothing without its function."""
    return place.statement.role in (Role.TYPE, Role.FUNCTION)


def _with_context(tree: SourceTree, first: int, last: int, most: int) -> tuple[int, int]:
    """A line before a short place, the next one behind it and what follows in the same block, `most` lines in all; no blank
    ones at either end."""
    before = first - (last - first < 2 and first > 1 and bool(tree.lines[first - 2].strip()))
    after, indent = last, min((_indent(line) for line in tree.lines[before - 1 : last] if line.strip()), default=0)
    for line in range(last + 1, min(len(tree.lines), max(before + most - 1, last + (last - first < 2))) + 1):
        text = tree.lines[line - 1]
        if not text.strip() and indent:
            continue
        if not text.strip() or (_indent(text) < indent and not _CLOSES.match(text.strip())):
            break
        after = line
    return before, max(after, last)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _definition(tree: SourceTree, statement: Statement) -> list[str]:
    """A definition's head in one line, what its documentation begins with, and the first lines of its body."""
    index = next(i for i, s in enumerate(tree.statements) if s is statement)
    end, at = tree.body_end(index), index + 1
    shown = [in_one_line(tree.text(statement))]
    if at < len(tree.statements) and tree.statements[at].role is Role.TEXT and index not in tree.statements[at].parents[:-1]:
        documentation = tree.statements[at]
        if documentation.first <= end:
            said = [line.strip() for line in tree.lines[documentation.first - 1 : documentation.last] if line.strip(" \t\"'*/")]
            shown += ["    " + line for line in said[:DOCUMENTATION_LINES]]
            at += 1
    start = tree.statements[at].first if at < len(tree.statements) else end + 1
    body = tree.lines[start - 1 : min(end, start + BODY_LINES - 1)]
    return shown + ["    " + line[:LONGEST_LINE] for line in dedented([line for line in body if line.strip()])]


def in_one_line(text: str) -> str:
    """A statement's lines joined, without comments behind code."""
    lines = [re.sub(r"\s{2,}#.*|\s+//.*", "", line).strip() for line in text.splitlines()]
    joined = " ".join(line for line in lines if line)
    return re.sub(r",\s*([)\]])", r"\1", re.sub(r"([(\[])\s+", r"\1", joined))


def dedented(lines: Sequence[str]) -> list[str]:
    """Lines without their common margin."""
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[margin:].rstrip() for line in lines]


def cut(text: str) -> str:
    """At most MOST_CHARACTERS, cut between lines, and marked."""
    if len(text) <= MOST_CHARACTERS:
        return text
    kept = text[: MOST_CHARACTERS - 1]
    return (kept.rsplit("\n", 1)[0] if kept.count("\n") > 2 else kept) + "…"
