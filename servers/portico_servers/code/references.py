"""Where a name is used: ripgrep finds the files, a syntax tree tells uses from comments and strings. Bounded in files, time
and hits, so that a common name costs no more than a rare one. It needs no index, so it's never stale.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event

from tree_sitter import Node, Tree

from portico_servers.code.languages import language_of
from portico_servers.code.snippets import Text, enclosing, read_text
from portico_servers.code.symbols import Symbol, definitions, parse
from portico_servers.common.jail import Jail, NotFound

MAX_FILES = 500
MAX_HITS = 300
SECONDS = 1.5
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


@dataclass(slots=True)
class References:
    """`complete` is False if a bound ended the search; `unread` files were not looked into."""

    found: list[Reference] = field(default_factory=list)
    complete: bool = True
    unread: int = 0
    in_text: int = 0


def references(jail: Jail, root: str, paths: Sequence[str], name: str, *, stop: Event, seconds: float = SECONDS) -> References:
    """Uses of `name` in `paths` (relative to `root`, in the order to look), until a bound is met or `stop` is set."""
    result = References()
    word = re.compile(rb"(?<![\w$])" + re.escape(name.encode()) + rb"(?![\w$])")
    deadline = time.monotonic() + seconds
    for number, path in enumerate(paths):
        if number >= MAX_FILES or len(result.found) >= MAX_HITS or time.monotonic() > deadline or stop.is_set():
            result.complete = False
            result.unread = len(paths) - number
            break
        try:
            text = read_text(jail, f"{root}/{path}")
        except NotFound:
            continue
        _in_file(result, path, text, word)
    return result


def _in_file(result: References, path: str, text: Text, word: re.Pattern[bytes]) -> None:
    language = language_of(path)
    tree = parse(language, text.data)
    facts = definitions(language, text.data) if tree is not None else None
    symbols = facts.symbols if facts else []
    seen: set[int] = set()
    for match in word.finditer(text.data):
        line = text.data.count(b"\n", 0, match.start()) + 1
        if line in seen or line > len(text.lines):
            continue
        node = _node(tree, match.start(), match.end())
        if node is not None and _is_text(node):
            result.in_text += 1
            continue
        seen.add(line)
        name = match.group().decode()
        if facts is not None and any(start <= line <= end for start, end in facts.imports):
            kind = "import"
        elif node is not None and _is_call(node):
            kind = "call"
        else:
            kind = "definition" if _defines(node, line, symbols, name) else "use"
        result.found.append(Reference(path, line, kind, text.lines[line - 1].strip()[:240], enclosing(symbols, line)))
        if len(result.found) >= MAX_HITS:
            return


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
