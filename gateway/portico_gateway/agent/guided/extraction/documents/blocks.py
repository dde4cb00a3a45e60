"""A passage's blocks: paragraphs, list items, table rows, names and code, each under the headings and names that it is about.

It reads Markdown, MyST, reST and plain text alike, by what a line looks like, and a passage that was cut anywhere. What a
directive holds is `directives.py`'s, what a row is `tables.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from portico_gateway.agent.guided.extraction.documents.directives import (
    Holds,
    fence_directive,
    holds,
    opening,
    rst_directive,
)
from portico_gateway.agent.guided.extraction.documents.markup import plain
from portico_gateway.agent.guided.extraction.documents.tables import (
    Row,
    bordered_table,
    is_border,
    is_pipe_row,
    pipe_table,
)

Kind = Literal["paragraph", "item", "row", "name", "code"]
_FENCE = re.compile(r"(`{3,}|~{3,}|:{3,})(.*)$")
_ITEM = re.compile(r"(?:[-*+•]|\d{1,3}[.)]|#\.)\s+(?=\S)")
_FIELD = re.compile(r":([A-Za-z][\w -]{0,60}):(?:\s+(.*))?$")
_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
_RULE = re.compile(r"([=\-`:.'\"~^_*+#<>])\1{2,}$")
_SILENT = re.compile(  # nothing that a reader of the page sees: labels, comments, where links lead, tags around pictures
    r"(?:\([\w-]+\)=|%\s.*|\.\.(?:\s.*)?|\[(?!\^)[^\]]{1,200}\]:\s+\S+(?:\s+[\"'(].*)?|"
    r"(?:</?(?:a|img|p|picture|source|div|center|br|hr|h[1-6])\b[^<>]{0,500}>\s*)+)$"
)
_OPTION_LINE = re.compile(r"--?[A-Za-z?][\w-]*(?:[ ,/=]+[^\s]+){0,4}\s{2,}\S")
_OPTION = re.compile(r"\s*(-{1,2}[A-Za-z?][^\s,]*(?:[ ,/=]+[^\s]+)*?)(?:\s{2,}(\S.*))?$")


@dataclass(frozen=True, slots=True)
class Block:
    """`text` is as rendered, code as it stands. `names` are what it is about, outermost first: headings, terms, signatures."""

    kind: Kind
    text: str
    names: tuple[str, ...] = ()
    header: str = ""  # of a row's table


def blocks(text: str) -> list[Block]:
    """The blocks of a passage, in order."""
    lines = text.expandtabs(4).split("\n")
    fences = [match for line in lines if (match := _FENCE.match(line.strip()))]
    if len(fences) % 2 and not fences[0][2].strip():  # it was cut inside of a fenced block
        lines.insert(0, fences[0][1])
    return list(_Reader(lines).read())


class _Reader:
    """A cursor over lines. `names` holds what is open: (indentation of its first line, name)."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        self.at = 0
        self.names: list[tuple[int, str]] = []
        self.fences: list[str] = []  # of directives whose text is being read

    def read(self) -> Iterator[Block]:
        while self.at < len(self.lines):
            line = self.lines[self.at]
            stripped = line.strip()
            if not stripped:
                self.at += 1
                continue
            indent = _indent(line)
            while self.names and indent <= self.names[-1][0]:
                self.names.pop()
            yield from self._block(stripped, indent)

    def _block(self, stripped: str, indent: int) -> Iterator[Block]:
        if (fence := _FENCE.match(stripped)) and not (fence[1][0] == ":" and fence[2][:1] == ":"):
            yield from self._fence(fence[1], fence[2], indent)
        elif directive := rst_directive(stripped):
            yield from self._directive(*directive, indent)
        elif self._heading(stripped, indent):
            pass
        elif _SILENT.match(stripped):
            self.at += 1
            if stripped.startswith("..") and not stripped.endswith(":"):
                self._below(indent)
        elif is_border(stripped):
            yield from self._table(*bordered_table(self._bordered()))
        elif is_pipe_row(stripped):
            yield from self._table(*pipe_table(self._while(is_pipe_row)))
        elif stripped.startswith(">>>") or _OPTION_LINE.match(stripped):  # a help text, cut from its beginning
            yield from self._code(self._while(lambda line: bool(line.strip())))
        elif match := _ITEM.match(stripped):
            yield from self._item(match.end(), indent)
        elif match := _FIELD.match(stripped):
            yield from self._field(match[1], match[2] or "", indent)
        else:
            yield from self._paragraph(indent)

    def _fence(self, mark: str, info: str, indent: int) -> Iterator[Block]:
        self.at += 1
        if not info.strip() and mark in self.fences:
            self.fences.remove(mark)
            return
        directive = fence_directive(info)
        what = holds(directive[0]) if directive else Holds.CODE
        if mark[0] == ":" and not directive:
            what = Holds.TEXT
        if what in (Holds.CODE, Holds.NOTHING):
            inside = self._until_fence(mark)
            yield from self._code(inside) if what is Holds.CODE else ()
            return
        self.fences.append(mark)
        yield from self._opened(*directive, indent - 1) if directive else ()

    def _directive(self, name: str, argument: str, indent: int) -> Iterator[Block]:
        self.at += 1
        what = holds(name)
        if what is Holds.CODE:
            yield from self._code(self._below(indent))
        elif what is Holds.NOTHING:
            self._below(indent)
        else:
            yield from self._opened(name, argument, indent)

    def _opened(self, name: str, argument: str, indent: int) -> Iterator[Block]:
        """The first line of a directive whose text is read on: what it says, and the name that the text is about."""
        said = opening(name, argument)
        if said != argument:  # a change: its words go on below
            while self._more() and _indent(self.lines[self.at]) > indent and self.lines[self.at].strip():
                said += (" " if ":" in said else ": ") + self.lines[self.at].strip()
                self.at += 1
        if not said:
            return
        what = holds(name)
        if what is not Holds.TAB:
            yield self._made("name" if what is Holds.NAMED else "paragraph", plain(said))
        if what in (Holds.NAMED, Holds.TAB):
            self.names.append((indent, plain(said)))

    def _heading(self, stripped: str, indent: int) -> bool:
        following = self.lines[self.at + 1].strip() if self._more(1) else ""
        if match := _HEADING.match(stripped):
            self.at += 1
        elif _RULE.match(stripped):  # an overline or a rule between sections
            self.at += 1
            return True
        elif indent == 0 and _RULE.match(following) and len(following) >= min(len(stripped), 4) and _bare(stripped):
            self.at += 2
        else:
            return False
        title = plain(match[2] if match else stripped)
        self.names = [(-1, title)]
        return True

    def _table(self, header: Row, rows: Sequence[Row]) -> Iterator[Block]:
        titles = [plain(cell) for cell in header]
        for row in rows:
            cells = [plain(cell) for cell in row]
            if len(cells) > 2 and len(titles) == len(cells):
                said = "; ".join(f"{t}: {c}" if t and i else c for i, (t, c) in enumerate(zip(titles, cells, strict=True)) if c)
            else:
                said = ": ".join(cell for cell in cells if cell)
            if said:
                yield self._made("row", said, " ".join(titles))

    def _item(self, begins: int, indent: int) -> Iterator[Block]:
        said = [self.lines[self.at].strip()[begins:]]
        self.at += 1
        said += self._joined_lines(indent + 1)
        literal = said[-1].endswith("::")
        text = plain(" ".join(said)).replace("::", ":") if literal else plain(" ".join(said))
        yield self._made("item", text)
        self.names.append((indent, text if len(text) <= 80 else ""))
        if literal:
            yield from self._code(self._below(indent))

    def _field(self, name: str, said: str, indent: int) -> Iterator[Block]:
        self.at += 1
        more = self._joined_lines(indent + 1)
        kind, _, of = name.partition(" ")
        if of or kind in ("returns", "return", "rtype", "raises"):
            yield self._made("item", plain(" ".join([f"`{of}`:" if of else f"{kind}:", said, *more])))

    def _paragraph(self, indent: int) -> Iterator[Block]:
        first = self.lines[self.at].strip()
        self.at += 1
        if self._more() and _indent(self.lines[self.at]) > indent and self.lines[self.at].strip() and len(first) < 100:
            term = plain(first)  # a definition: its text stands below it, further in
            yield self._made("name", term)
            self.names.append((indent, term))
            return
        said = [first, *self._joined_lines(indent, exact=True)]
        literal = said[-1].endswith("::")
        text = plain(" ".join(said))
        if literal:
            text = text.removesuffix("::")
            text = text.rstrip() if text.endswith(" ") else f"{text}:"
        if text.strip(":"):
            yield self._made("paragraph", text)
        if literal:
            yield from self._code(self._below(indent))

    def _code(self, lines: Sequence[str]) -> Iterator[Block]:
        while lines and _FIELD.match(lines[0].strip()):  # options of the directive
            lines = lines[1:]
        text = _dedented(lines)
        options = list(_options(lines))
        if len(options) > 1:
            yield from (self._made("row", option) for option in options)
        elif text:
            yield self._made("code", text)

    def _made(self, kind: Kind, text: str, header: str = "") -> Block:
        return Block(kind, text, tuple(name for _, name in self.names if name), header)

    def _more(self, ahead: int = 0) -> bool:
        return self.at + ahead < len(self.lines)

    def _below(self, indent: int) -> list[str]:
        """The lines that follow further in, blank ones inside them too."""
        found: list[str] = []
        while self._more() and (not self.lines[self.at].strip() or _indent(self.lines[self.at]) > indent):
            found.append(self.lines[self.at])
            self.at += 1
        return found

    def _joined_lines(self, indent: int, *, exact: bool = False) -> list[str]:
        """The lines that go on with what has begun: up to a blank line or to something else."""
        found: list[str] = []
        while self._more():
            line = self.lines[self.at]
            stripped = line.strip()
            begins = _ITEM.match(stripped) or _FENCE.match(stripped) or rst_directive(stripped) or is_pipe_row(stripped)
            if not stripped or begins or (_indent(line) != indent if exact else _indent(line) < indent):
                break
            found.append(stripped)
            self.at += 1
        return found

    def _while(self, test: Callable[[str], bool]) -> list[str]:
        found: list[str] = []
        while self._more() and test(self.lines[self.at]):
            found.append(self.lines[self.at])
            self.at += 1
        return found

    def _bordered(self) -> list[str]:
        """A reST table: up to a blank line after a border."""
        found: list[str] = []
        while self._more() and (self.lines[self.at].strip() or not (found and is_border(found[-1]) and len(found) > 2)):
            found.append(self.lines[self.at])
            self.at += 1
        return found

    def _until_fence(self, mark: str) -> list[str]:
        found: list[str] = []
        while self._more() and not self.lines[self.at].strip().startswith(mark):
            found.append(self.lines[self.at])
            self.at += 1
        self.at += 1
        return found


def _options(lines: Sequence[str]) -> Iterator[str]:
    """The options of a command's help text, each with what it does."""
    said: list[str] = []
    for line in lines:
        if match := _OPTION.match(line):
            if said:
                yield " ".join(said)
            said = [f"`{match[1]}`:", match[2] or ""] if match[2] else [f"`{match[1]}`:"]
        elif said and line.strip() and _indent(line) > 8:
            said.append(line.strip())
        else:
            if said:
                yield " ".join(said)
            said = []
    if said:
        yield " ".join(said)


def _bare(stripped: str) -> bool:
    return any(c.isalnum() for c in stripped) and not stripped.startswith(("|", "+-", "- ", "* "))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _dedented(lines: Sequence[str]) -> str:
    margin = min((_indent(line) for line in lines if line.strip()), default=0)
    return "\n".join(line[margin:].rstrip() for line in lines).strip("\n")
