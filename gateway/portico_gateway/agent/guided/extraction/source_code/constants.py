"""The constants that lines of code name, and where they are defined: in these files, or in none of them.

A constant is known by how it is written, and the file that it is imported from by its path. It prints nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from portico_gateway.agent.guided.extraction.source_code.statements import Role, SourceTree, Statement

SHORTEST = 3  # letters of a constant's name
_SHAPE = r"_*[A-Z][A-Z\d]*(?:_[A-Z\d]+)*_*|[Dd]efault[A-Z]\w*"
_CONSTANT = re.compile(rf"\b(?:{_SHAPE})\b")
_AS_VALUE = re.compile(  # what stands for a value, and is neither called nor the keyword of another
    rf"(?:[=:(,]|\breturn\b|\bor\b|\|\||\?\?)\s*(?:[A-Za-z_$][\w$]*\.)*(?P<name>{_SHAPE})\b(?!\s*(?:[(\[.:]|=(?!=)))"
)
_MODIFIER = "export|var|let|const|static|final|public|private|readonly|pub|constexpr"
_ASSIGNED = rf"^(?:(?:{_MODIFIER})\s+)*(?:(?!if\b|elif\b|while\b|return\b|assert\b)\w+\s+)?{{name}}\s*(?::[^=]*)?=(?!=)"
_IMPORTED = (  # the module in front of the names, or behind them
    r"\bfrom\s+(?P<module>[\w.]+)\s+import\b.*\b{name}\b",
    r"\bimport\b.*\b{name}\b.*\bfrom\s*[\"'](?P<module>[^\"']+)[\"']",
    r"\b{name}\b.*=\s*require\([\"'](?P<module>[^\"']+)[\"']",
)


class OpenConstant(NamedTuple):
    """A constant whose definition is in none of the files that were read."""

    name: str
    module: str  # that it is imported from, as a path without its ending; "" where nothing says so


class Constant(NamedTuple):
    """Where a constant is defined."""

    tree: SourceTree
    statement: Statement


def named(text: str) -> list[str]:
    """The constants that lines name and don't define, in order."""
    names = (name for name in dict.fromkeys(_CONSTANT.findall(text)) if len(name) >= SHORTEST)
    return [name for name in names if not any(defines(line, name) for line in text.splitlines())]


def values(text: str) -> list[str]:
    """Those of them that stand for a value: a default, an argument, what is returned."""
    there = {found["name"] for found in _AS_VALUE.finditer(text)}
    return [name for name in named(text) if name in there]


def defines(line: str, name: str) -> bool:
    """Does a line begin with the name's assignment?"""
    return re.match(_ASSIGNED.format(name=re.escape(name)), line.strip()) is not None


def definition(name: str, near: SourceTree, trees: Sequence[SourceTree]) -> Constant | None:
    """Where these files define it: in the file that names it, in the one that it is imported from, or in any."""
    module = module_of(name, near)
    others = sorted((tree for tree in trees if tree is not near), key=lambda tree: not is_module(tree.path, module))
    return next((Constant(tree, found) for tree in (near, *others) for found in _assignments(tree, name)), None)


def _assignments(tree: SourceTree, name: str) -> Iterator[Statement]:
    return (s for s in tree.statements if s.role is Role.CODE and defines(tree.lines[s.first - 1], name))


def module_of(name: str, tree: SourceTree) -> str:
    """The path, without its ending, of what a file imports the name from; "" where it doesn't say."""
    for statement in tree.statements:
        if statement.role is Role.CODE and name in (text := " ".join(tree.text(statement).split())):
            for pattern in _IMPORTED:
                if found := re.search(pattern.format(name=re.escape(name)), text):
                    return _path(found["module"])
    return ""


def _path(module: str) -> str:
    return module.strip("./") if "/" in module else module.strip(".").replace(".", "/")


def is_module(path: str, module: str) -> bool:
    """Is it the file, or the folder's first file, that a module of that path is kept in?"""
    stem = path.rpartition(".")[0].removesuffix("/__init__").removesuffix("/index")
    return bool(module) and f"/{stem}".endswith(f"/{module.rpartition('.')[0] if module.endswith(('.js', '.ts')) else module}")
