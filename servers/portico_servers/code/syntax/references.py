"""Where a name is used in a file: a syntax tree tells uses from comments and strings. It reads the text, not the index."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tree_sitter import Node, Tree

from portico_servers.code.syntax.languages import language_of
from portico_servers.code.syntax.snippets import enclosing
from portico_servers.code.syntax.source_text import SourceText
from portico_servers.code.syntax.symbols import Symbol, definitions, parse

MAX_PER_FILE = 300
_MAX_MENTIONS = 3_000  # of one file, comments and strings among them
_NOT_CODE = re.compile(r"comment|string|heredoc|char_literal|regex|^text$|raw_text|jsx_text")
_CODE_IN_STRING = re.compile(r"interpolation|template_substitution|substitution|expansion")
_CALLS = (
    "call",
    "call_expression",
    "method_invocation",
    "invocation_expression",
    "function_call_expression",
    "member_call_expression",
    "macro_invocation",
    "command",
)
_NAMING_FIELDS = ("name", "declarator", "left", "property", "key", "column")
_NAME_LINES = 8  # how far a name may be below its definition's first line
_CALLEE_FIELDS = ("function", "name", "method", "macro")


@dataclass(frozen=True, slots=True)
class Reference:
    """`kind` is definition, import, call or use."""

    path: str
    line: int
    kind: str
    text: str
    symbol: Symbol | None


class FileReferences(NamedTuple):
    """`in_text` counts mentions in comments and strings; `complete` is False if a bound on them ended the search. Of a text
    that is cut the rest is not looked into: `SourceText.cut` says so."""

    references: list[Reference]
    in_text: int
    complete: bool


def references(path: str, text: SourceText, name: str) -> FileReferences:
    """The uses of `name` in a file, a line each, in their order."""
    word = re.compile(rb"(?<![\w$])" + re.escape(name.encode()) + rb"(?![\w$])")
    mentions = list(word.finditer(text.data))
    if not mentions:
        return FileReferences([], 0, True)
    language = language_of(path)
    tree = parse(language, text.data)
    defined = definitions(language, text.data, tree) if tree is not None else None
    symbols = defined.symbols if defined else []
    found: list[Reference] = []
    in_text, line, counted = 0, 1, 0
    for match in mentions[:_MAX_MENTIONS]:
        line += text.data.count(b"\n", counted, match.start())
        counted = match.start()
        if found and found[-1].line == line:
            continue
        node = _node(tree, match.start(), match.end())
        if node is not None and _is_text(node):
            in_text += 1
            continue
        if defined is not None and any(start <= line <= end for start, end in defined.imports):
            kind = "import"
        elif node is not None and _is_call(node):
            kind = "call"
        else:
            kind = "definition" if _defines(node, line, symbols, name) else "use"
        if len(found) == MAX_PER_FILE:
            return FileReferences(found, in_text, False)
        found.append(Reference(path, line, kind, text.line(line).strip()[:240], enclosing(symbols, line)))
    return FileReferences(found, in_text, len(mentions) <= _MAX_MENTIONS)


def _node(tree: Tree | None, start: int, end: int) -> Node | None:
    return None if tree is None else tree.root_node.descendant_for_byte_range(start, end)


def _is_text(node: Node) -> bool:
    """In a comment or a string, and not in code interpolated into one."""
    at: Node | None = node
    for _ in range(6):
        if at is None or _CODE_IN_STRING.search(at.type):
            return False
        if _NOT_CODE.search(at.type):
            return True
        at = at.parent
    return False


def _defines(node: Node | None, line: int, symbols: Sequence[Symbol], name: str) -> bool:
    """Whether this mention is a definition's own name. Its line may come after the definition's first: decorators,
    annotations and return types can stand above."""
    if not any(symbol.name == name and symbol.start <= line <= symbol.start + _NAME_LINES for symbol in symbols):
        return False
    parent = node.parent if node is not None else None
    if node is None or parent is None:
        return True
    named = (parent.child_by_field_name(field) for field in _NAMING_FIELDS)
    return any(child is not None and (child.start_byte, child.end_byte) == (node.start_byte, node.end_byte) for child in named)


def _is_call(node: Node) -> bool:
    """Whether the node is what a call calls: `f(...)`, or the last name of `a.b.f(...)`."""
    at = node
    for _ in range(3):
        parent = at.parent
        if parent is None:
            return False
        if parent.type in _CALLS:
            return any(
                (callee := parent.child_by_field_name(name)) is not None
                and callee.start_byte <= at.start_byte
                and callee.end_byte == at.end_byte
                for name in _CALLEE_FIELDS
            )
        if parent.end_byte != at.end_byte:
            return False
        at = parent
    return False
