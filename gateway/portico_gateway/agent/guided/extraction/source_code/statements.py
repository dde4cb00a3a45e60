"""A file's text as statements, each below those that enclose it: read from brackets and indentation, whatever the language.

It parses nothing: a formatted file of any language shows its structure by how far its lines stand in. It knows no question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

LONGEST_STATEMENT = 40  # lines; more is a body in brackets
LONGEST_LINE = 1_000  # characters of one that are read
TAB = 4

_DEFINITION = re.compile(
    r"""^(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|pub(?:\(\w+\))?|const|unsafe|inline
        |virtual|override|data|sealed)\s+)*
    (?:(?P<kind>class|def|function\*?|interface|struct|fn|func|impl|trait|enum|module|namespace|type|object|record|protocol)\s+
        (?:\([^)]*\)\s*)?(?P<name>[A-Za-z_$][\w$]*)
    | (?:(?:var|let|const)\s+)?(?P<assigned>[A-Za-z_$][\w$.]*)\s*[:=]\s*(?:async\s+)?(?:function\b|\([^()]*\)\s*=>)
    | (?P<method>[A-Za-z_$][\w$]*)\s*\([^()]*\)\s*\{\s*$
    | [\w:<>*&,\s]*?\b(?P<typed>[A-Za-z_]\w*)\s*\([^;]*\)\s*(?:const\s*)?\{\s*$
    )""",
    re.VERBOSE,
)
_NOT_NAMES = frozenset("if for while switch catch return with else elif except match foreach until when".split())
_TYPES = frozenset("class interface struct trait enum impl module namespace type object record protocol".split())
_COMMENT = re.compile(r"^(#(?!\[|include|define)|//|/\*|\*|--|<!--|;)")
_STRING = re.compile(r'"""|\'\'\'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|`(?:\\.|[^`\\\n])*`|(?:(?<=\s)|^)#.*|//.*')
_PROSE = re.compile(r"\.(?:md|rst|txt|adoc|html)$|(?:^|/)[A-Z][A-Z-]{3,}$", re.ASCII)
_LINK_TARGET = re.compile(r"\s{0,3}(?:\[[^\]]{1,300}\]:\s|\.\. _[^:]{1,300}:\s)")  # Markdown's and reST's, which no reader sees
_DOCSTRING = re.compile(r"^[rRuU]?(\"\"\"|''')")


class Role(Enum):
    """What a statement is."""

    TYPE = "type"  # the head of a class and its like
    FUNCTION = "function"  # the head of a function
    TEXT = "text"  # a comment, a documentation string, prose
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Statement:
    """Lines `first` to `last` (from 1). `parents`: the indexes of the statements around it, outermost first."""

    first: int
    last: int
    indent: int
    role: Role
    name: str  # of a definition, else ""
    parents: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SourceTree:
    """The statements of a text, in order. Blank lines, and where the links of a document lead, belong to none."""

    path: str
    lines: Sequence[str]
    statements: Sequence[Statement]

    def text(self, statement: Statement) -> str:
        """Its lines as they stand."""
        return "\n".join(self.lines[statement.first - 1 : statement.last])

    def qualified(self, statement: Statement, *, itself: bool = True) -> str:
        """The dotted name of the definitions around it, and of itself."""
        around = [self.statements[i] for i in statement.parents]
        return ".".join(s.name for s in (*around, *((statement,) if itself else ())) if s.name)

    def body_end(self, index: int) -> int:
        """The last line below that statement: its own where nothing is."""
        end = self.statements[index].last
        for later in self.statements[index + 1 :]:
            if index not in later.parents:
                break
            end = max(end, later.last)
        return end


def is_prose(path: str) -> bool:
    """Is a file of that path written for people: a document, or one like LICENSE and PKG-INFO?"""
    return _PROSE.search(path) is not None


def is_comment(line: str) -> bool:
    """Is the line one of a comment, with nothing before it?"""
    return _COMMENT.match(line.strip()) is not None


def source_tree(path: str, text: str) -> SourceTree:
    """The statements of a file."""
    lines = [line[:LONGEST_LINE] for line in text.splitlines()]
    prose = is_prose(path)
    statements: list[Statement] = []
    around: list[int] = []
    at = 0
    while at < len(lines):
        if not lines[at].strip() or (prose and _LINK_TARGET.match(lines[at])):
            at += 1
            continue
        last = at if prose else _last_line(lines, at)
        indent = _indent(lines[at])
        while around and statements[around[-1]].indent >= indent:
            around.pop()
        role, name = (Role.TEXT, "") if prose else _role(lines[at : last + 1])
        statements.append(Statement(at + 1, last + 1, indent, role, name, tuple(around)))
        if role is not Role.TEXT:
            around.append(len(statements) - 1)
        at = last + 1
    return SourceTree(path, lines, statements)


def _role(lines: Sequence[str]) -> tuple[Role, str]:
    first = lines[0].strip()
    if is_comment(first) or _DOCSTRING.match(first):
        return Role.TEXT, ""
    head = 0
    if first.startswith("@"):
        head = next((n for n, line in enumerate(lines) if n and _DEFINITION.match(line.strip())), 0)
    found = _DEFINITION.match(" ".join(line.strip() for line in lines[head:]))
    name = next((found[g] for g in ("name", "assigned", "method", "typed") if found[g]), "") if found else ""
    if found is None or name in _NOT_NAMES:
        return Role.CODE, ""
    return Role.TYPE if found["kind"] in _TYPES else Role.FUNCTION, name.rsplit(".", 1)[-1]


def _last_line(lines: Sequence[str], at: int) -> int:
    """The last line of the statement that begins at `at`: brackets are closed, a documentation string or comment is ended."""
    first = lines[at].strip()
    if mark := _DOCSTRING.match(first):
        return _closing(lines, at, mark[1], first.count(mark[1]) >= 2)
    if first.startswith("/*"):
        return _closing(lines, at, "*/", "*/" in first)
    if first.startswith("@"):  # a decorator goes with what it decorates
        end = _brackets_close(lines, at)
        return _last_line(lines, end + 1) if end + 1 < len(lines) and lines[end + 1].strip() else end
    return _brackets_close(lines, at)


def _closing(lines: Sequence[str], at: int, mark: str, done: bool) -> int:
    if done:
        return at
    return next((end for end in range(at + 1, min(len(lines), at + 400)) if mark in lines[end]), at)


def _brackets_close(lines: Sequence[str], at: int) -> int:
    depth = 0
    for end in range(at, min(len(lines), at + LONGEST_STATEMENT)):
        bare = _STRING.sub(lambda m: " " if m[0][:1] in "#/" else '""', lines[end])
        depth += sum(map(bare.count, "([")) - sum(map(bare.count, ")]"))
        if re.search(r"[=(,:\[]\s*\{\s*$", bare) or _opens_another(bare, depth):
            depth += 1
        elif depth > 0 and bare.strip().startswith("}"):
            depth -= 1
        if depth <= 0:
            return end
    return at


def _opens_another(bare: str, depth: int) -> bool:
    """Does the line open one more brace within what is open already?"""
    return depth > 0 and bare.count("{") > bare.count("}")


def _indent(line: str) -> int:
    expanded = line.expandtabs(TAB)
    return len(expanded) - len(expanded.lstrip())
