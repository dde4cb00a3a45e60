"""What the code of a training workspace defines, and how its names are used there: by its syntax trees, without running it."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_SHORT = 4  # letters of a name that may well be anything
_Use = tuple[str, str, int]  # a name, how it is used, the line


def symbols(code: Path) -> list[dict[str, Any]]:
    """Of all Python files that can be read: each name with its kind, place, docstring's first sentence, exceptions and uses."""
    found: list[dict[str, Any]] = []
    uses: dict[str, dict[str, tuple[str, int]]] = defaultdict(dict)
    for path in sorted(code.rglob("*.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        file = path.relative_to(code).as_posix()
        found += [one | {"file": file} for one in _defined(tree.body, "")]
        for name, use, line in _uses(tree):
            uses[name].setdefault(use, (file, line))
    kept = [one for one in found if len(one["name"]) >= _SHORT and not one["name"].startswith(("__", "test_"))]
    times = Counter(one["name"] for one in kept)
    for one in kept:
        alone = times[one["name"]] == 1 and len(one["name"]) > _SHORT
        one["uses"] = dict(sorted(uses[one["name"]].items())) if alone else {}
    return kept


def _defined(body: Sequence[ast.stmt], owner: str) -> Iterator[dict[str, Any]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield _told(node.name, "class", node, owner)
            yield from _defined(node.body, node.name)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield _told(node.name, "method" if owner else "function", node, owner)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and not owner:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and target.id.isupper():
                    yield _told(target.id, "constant", node, "")


def _told(name: str, kind: str, node: ast.stmt, owner: str) -> dict[str, Any]:
    about, raises, defaults = "", set[str](), list[str]()
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        about = _first_sentence(ast.get_docstring(node) or "")
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        raises = {_name(inner.exc) for inner in ast.walk(node) if isinstance(inner, ast.Raise)}
        defaults = _defaults(node.args)
    return {
        "name": name, "kind": kind, "line": node.lineno, "owner": owner, "about": about,
        "raises": sorted(one for one in raises if one[:1].isupper()), "defaults": defaults,
    }  # fmt: skip


def _defaults(arguments: ast.arguments) -> list[str]:
    """Parameters with a literal default that says something."""
    plain = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(plain[len(plain) - len(arguments.defaults) :], arguments.defaults, strict=True)]
    pairs += [(a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None]
    return [argument.arg for argument, default in pairs if isinstance(default, ast.Constant) and default.value is not None]


def _first_sentence(docstring: str) -> str:
    paragraph = " ".join(docstring.strip().split("\n\n")[0].split())
    return paragraph.split(". ")[0]


def _uses(tree: ast.Module) -> Iterator[_Use]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := _name(node.func)):
            yield name, "called", node.lineno
        elif isinstance(node, ast.Raise) and (name := _name(node.exc)):
            yield name, "raised", node.lineno
        elif isinstance(node, ast.ExceptHandler) and node.type is not None:
            types = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            yield from ((name, "caught", node.lineno) for one in types if (name := _name(one)))
        elif isinstance(node, ast.ClassDef):
            yield from ((name, "subclassed", node.lineno) for base in node.bases if (name := _name(base)))
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.name, "imported", node.lineno) for alias in node.names)


def _name(node: ast.expr | None) -> str:
    """Of `name`, `a.name` and `name(...)`; empty for what has none."""
    if isinstance(node, ast.Call):
        node = node.func
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
