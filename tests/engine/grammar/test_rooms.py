"""The grammar's rooms import one way, and what only llguidance needs is behind one seam."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import portico_engine.grammar as package

ROOT = Path(package.__file__).parent
PREFIX = f"{package.__name__}."
# Each room or module of the root, and what it may import; what stands later is built on what stands before.
ALLOWED = {
    "ir": set(),
    "bounds": set(),
    "cache": set(),
    "notation": {"ir"},
    "rule_order": {"ir"},
    "shortest_length": {"ir", "bounds"},
    "compiled": {"ir"},
    "protocol": {"compiled"},
    "regular": {"ir"},
    "ecma": {"ir", "regular"},
    "gbnf": {"ir", "notation", "regular"},
    "schema": {"ir", "bounds", "cache", "shortest_length", "compiled", "regular", "ecma"},
    "closing": {"ir", "bounds", "rule_order", "protocol", "regular"},
    "llguidance": {"ir", "bounds", "cache", "notation", "rule_order", "compiled", "protocol", "regular", "closing"},
    "backend": {"ir", "bounds", "compiled", "protocol", "llguidance"},
    "compile": {"ir", "bounds", "shortest_length", "compiled", "backend", "schema", "gbnf"},
    "calls": {"ir", "bounds", "cache", "compiled", "compile", "regular", "schema"},
    "isolated": {"bounds", "cache", "compiled", "closing", "backend", "compile", "calls"},
    "check": {"ecma", "schema"},
    "sample": {"ir", "regular"},
}


def imported() -> Iterator[tuple[str, str]]:
    """Room and room that it imports, in functions and for types as well."""
    for file in ROOT.rglob("*.py"):
        room = file.relative_to(ROOT).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(PREFIX):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                targets = {name.removeprefix(PREFIX).split(".")[0] for name in names}
                yield from ((room, target) for target in targets if room not in (target, "__init__"))


def test_rooms_import_what_the_table_says_and_all_of_it() -> None:
    found: dict[str, set[str]] = {room: set() for room in ALLOWED}
    for room, target in imported():
        found[room].add(target)
    assert found == ALLOWED


def test_the_table_has_no_circle() -> None:
    before: set[str] = set()
    for room, targets in ALLOWED.items():
        assert targets <= before, room
        before.add(room)


def test_every_exported_name_is_there_and_in_the_map() -> None:
    assert package.__doc__ is not None
    for name in package._HOMES:
        assert getattr(package, name) is not None
        assert name in package.__doc__, name
