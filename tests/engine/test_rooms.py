"""The engine's rooms and root modules stand above one another: whoever is imported knows nothing of who imports it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import portico_engine

ROOT = Path(portico_engine.__file__).parent

# From the top: each imports, at its head or lazily, only what stands below it. What stands on one line knows nothing of the
# others there.
LAYERS = (
    "process",
    "front",
    "loading",
    "engine",
    "client constraints request_checks scoring",
    "scheduler",
    "fair_queue",
    "sequence",
    "kv text",
    "executors",
    "models",
    "linear weights",
    "kernels",
    "quantization",
    "plan",
    "sampling",
    "request",
    "grammar priors",
    "tool",
    "errors faults",
)
LEVEL = {name: i for i, names in enumerate(LAYERS) for name in names.split()}


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_a_room_imports_only_what_stands_below_it() -> None:
    wrong: list[str] = []
    for file in sorted(ROOT.rglob("*.py")):
        if file == ROOT / "__init__.py":  # the root's API: it names everything
            continue
        own = file.relative_to(ROOT).parts[0].removesuffix(".py")
        for name in _imports(file):
            package, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if package == ROOT.name and other != own and LEVEL[other] <= LEVEL[own]:
                wrong.append(f"{file.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_every_room_and_root_module_has_its_place_in_the_layers() -> None:
    there = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert there - {"__init__"} == LEVEL.keys()
