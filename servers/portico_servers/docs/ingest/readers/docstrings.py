"""A Python module's docstrings -> Page: signatures and docstrings under dotted names, read from the source, never imported.

Anchors are the qualified names, as Sphinx's autodoc writes them. Names that begin with one underscore are private.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import PurePosixPath

from portico_servers.docs.errors import ReadError
from portico_servers.docs.ingest.pages import Heading, Page, make_page

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_MAX_SIGNATURE = 400


def module_name(path: str) -> str:
    """`pkg/sub/__init__.py` -> `pkg.sub`"""
    parts = list(PurePosixPath(path).with_suffix("").parts)
    if parts and parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def read_docstrings(path: str, text: str) -> Page:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ReadError(f"{path}: not Python source: {error}") from None
    module = module_name(path)
    writer = _Writer(path)
    writer.add(1, module, f"module-{module}", module, ast.get_docstring(tree), 1)
    exported = _exported(tree)
    for node in _definitions(tree.body):
        if _public(node.name) or node.name in exported:
            _describe(writer, node, module, 2)
    page_text = "\n".join(writer.lines)
    return make_page(module, page_text, "docstrings", writer.headings)


class _Writer:
    def __init__(self, path: str) -> None:
        self.path = path
        self.lines: list[str] = []
        self.headings: list[Heading] = []

    def add(self, level: int, title: str, anchor: str, shown: str, docstring: str | None, source_line: int) -> None:
        self.lines += [f"{'#' * min(level, 6)} {shown}", f"(defined in {self.path}, line {source_line})", ""]
        self.headings.append(Heading(level, title, anchor, len(self.lines) - 2))
        if docstring:
            self.lines += [*inspect.cleandoc(docstring).split("\n"), ""]


def _describe(writer: _Writer, node: _Definition, scope: str, level: int) -> None:
    name = f"{scope}.{node.name}"
    docstring = ast.get_docstring(node)
    if isinstance(node, ast.ClassDef):
        members = list(_definitions(node.body))
        made = next((m for m in members if m.name in ("__init__", "__new__") and not isinstance(m, ast.ClassDef)), None)
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        arguments = _arguments(made, bound=True) if made is not None else ""
        shown = f"class {name}{arguments}" + (f", a {bases}" if bases and bases != "object" else "")
        more = ast.get_docstring(made) if made is not None else None
        both = "\n\n".join(part for part in (docstring, more) if part)
        writer.add(level, f"{name}{arguments}", name, shown, both, node.lineno)
        for member in members:
            if _public(member.name) or (_dunder(member.name) and member is not made and ast.get_docstring(member)):
                _describe(writer, member, name, level + 1)
        return
    kinds = {ast.unparse(d) for d in node.decorator_list}
    arguments = "" if "property" in kinds else _arguments(node, bound=level > 2 and "staticmethod" not in kinds)
    prefix = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    writer.add(level, f"{name}{arguments}", name, f"{prefix}{name}{arguments}", docstring, node.lineno)


def _definitions(body: list[ast.stmt]) -> list[_Definition]:
    """The definitions of a body, those under `if` and `try` among them; of several with one name (overloads) the last."""
    found: dict[str, _Definition] = {}
    pending = list(reversed(body))
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found[node.name] = node
        elif isinstance(node, (ast.If, ast.Try)):
            handlers = [s for h in node.handlers for s in h.body] if isinstance(node, ast.Try) else []
            pending.extend(reversed([*node.body, *handlers, *node.orelse]))
    return list(found.values())


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, *, bound: bool) -> str:
    if isinstance(node, ast.ClassDef):
        return "()"
    args = node.args
    if bound:
        first = args.posonlyargs or args.args
        args = ast.arguments(
            posonlyargs=args.posonlyargs[1:],
            args=args.args if args.posonlyargs else args.args[1:],
            vararg=args.vararg,
            kwonlyargs=args.kwonlyargs,
            kw_defaults=args.kw_defaults,
            kwarg=args.kwarg,
            # A default of the dropped argument (rare) must not move to another.
            defaults=args.defaults[-(len(args.posonlyargs) + len(args.args) - 1) :] if first and args.defaults else [],
        )
    text = ast.unparse(args)
    returns = (
        f" -> {ast.unparse(node.returns)}" if node.returns is not None and node.name not in ("__init__", "__new__") else ""
    )
    shown = f"({text}){returns}"
    return shown if len(shown) <= _MAX_SIGNATURE else shown[:_MAX_SIGNATURE] + "…"


def _exported(tree: ast.Module) -> set[str]:
    """What `__all__` lists, if it's a plain list of strings."""
    for node in tree.body:
        named = isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
        if named and isinstance(node, ast.Assign) and isinstance(node.value, (ast.List, ast.Tuple)):
            return {e.value for e in node.value.elts if isinstance(e, ast.Constant) and isinstance(e.value, str)}
    return set()


def _public(name: str) -> bool:
    return not name.startswith("_")


def _dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
