"""Definitions and imports of one file, by tree-sitter. It knows one file's bytes, nothing of paths or of an index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tree_sitter import Node, Parser, QueryCursor, Tree

from portico_servers.code.syntax.languages import BY_NAME, grammar
from portico_servers.common.text_budget import one_line

CONTAINERS = frozenset({"class", "interface", "struct", "enum", "trait", "impl", "module"})
_SIGNATURE_CHARS = 160
_NAME_CHARS = 120
_DECLARATORS = (
    "pointer_declarator",
    "reference_declarator",
    "parenthesized_declarator",
    "function_declarator",
    "array_declarator",
)


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition. Lines start at 1, both ends included. `parent` is the dotted path of what encloses it, or ""."""

    name: str
    kind: str
    start: int
    end: int
    parent: str
    signature: str

    @property
    def qualified(self) -> str:
        return f"{self.parent}.{self.name}" if self.parent else self.name


class Definitions(NamedTuple):
    symbols: list[Symbol]
    imports: list[tuple[int, int]]


class _Capture(NamedTuple):
    start_byte: int
    end_byte: int
    node: Node
    name: str
    kind: str
    owner: str


def parse(language: str, source: bytes) -> Tree | None:
    """The syntax tree, or None for a language without a grammar. A parser is made for each call: threads share none."""
    if language not in BY_NAME:
        return None
    return Parser(grammar(language)[0]).parse(source)


def definitions(language: str, source: bytes, tree: Tree | None = None) -> Definitions:
    """Everything that `source` defines, in order of place, and the line ranges of its imports. `tree` is its syntax tree, if
    that's there already."""
    tree = parse(language, source) if tree is None else tree
    if tree is None:
        return Definitions([], [])
    found: dict[tuple[int, int], _Capture] = {}
    imports: list[tuple[int, int]] = []
    for _, captures in QueryCursor(grammar(language)[1]).matches(tree.root_node):
        for kind, nodes in captures.items():
            node = nodes[0]
            if kind == "import":
                imports.append((node.start_point[0] + 1, node.end_point[0] + 1))
            elif kind not in ("name", "declarator") and not kind.startswith("_"):
                name, owner = _name(captures, node)
                key = (node.start_byte, node.end_byte)
                # A variable that holds a function matches as both: it's a function.
                if name and (key not in found or found[key].kind == "variable"):
                    found[key] = _Capture(node.start_byte, node.end_byte, node, name, kind, owner)
    return Definitions(_nest(sorted(found.values(), key=lambda f: (f.start_byte, -f.end_byte)), source), sorted(imports))


def _name(captures: dict[str, list[Node]], node: Node) -> tuple[str, str]:
    """The defined name and the owner that its spelling gives (`Owner::name` in C++, the receiver in Go)."""
    if "declarator" in captures:
        inner: Node | None = captures["declarator"][0]
        while inner is not None and inner.type in _DECLARATORS:
            deeper = inner.child_by_field_name("declarator")
            inner = deeper if deeper is not None else (inner.named_child(0) if inner.named_child_count else None)
        text = _text(inner)
        owner, _, name = text.rpartition("::")
        return name, owner.replace("::", ".")
    name = _text(captures["name"][0]) if "name" in captures else ""
    receiver = node.child_by_field_name("receiver")
    if receiver is not None:
        kind = _text(receiver).strip("()").split()
        return name, kind[-1].lstrip("*").split("[")[0] if kind else ""
    return name.strip("\"'"), ""


def _text(node: Node | None) -> str:
    if node is None or node.text is None:
        return ""
    return one_line(node.text.decode("utf-8", "replace"), _NAME_CHARS)


def _nest(found: list[_Capture], source: bytes) -> list[Symbol]:
    symbols: list[Symbol] = []
    enclosing: list[tuple[int, str, str]] = []  # (end byte, dotted path, kind), outermost first
    for item in found:
        while enclosing and enclosing[-1][0] <= item.start_byte:
            enclosing.pop()
        parent, parent_kind = (enclosing[-1][1], enclosing[-1][2]) if enclosing else ("", "")
        if item.owner:
            parent = f"{parent}.{item.owner}" if parent else item.owner
        kind = item.kind
        if kind == "function" and (parent_kind in CONTAINERS - {"module"} or item.owner):
            kind = "method"
        if kind == "variable" and item.name.isupper():
            kind = "constant"
        node = item.node
        last = node.end_point[0] + (1 if node.end_point[1] else 0)  # a node that ends at column 0 ends on the line before
        start = node.start_point[0] + 1
        symbols.append(Symbol(item.name, kind, start, max(last, start), parent, _signature(item, source)))
        enclosing.append((item.end_byte, f"{parent}.{item.name}" if parent else item.name, kind))
    return symbols


def _signature(item: _Capture, source: bytes) -> str:
    """The definition up to its body, on one line."""
    body = item.node.child_by_field_name("body")
    end = body.start_byte if body is not None and body.start_byte > item.start_byte else item.end_byte
    head = source[item.start_byte : min(end, item.start_byte + 4 * _SIGNATURE_CHARS)]
    if body is None:
        head = head.split(b"\n", 1)[0]
    return one_line(head.decode("utf-8", "replace"), _SIGNATURE_CHARS)
