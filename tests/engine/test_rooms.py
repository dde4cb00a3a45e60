"""The engine's rooms and root modules stand above one another: whoever is imported knows nothing of who imports it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import portico_engine

ROOT = Path(portico_engine.__file__).parent

# From the top: each imports, at its head or lazily, only what stands below it. What stands on one line knows nothing of the
# others there; COMPUTE are all rooms that are not named: executors, decoders, weights and kernels.
COMPUTE = "compute"
LAYERS = (
    "process",
    "front",
    "loading",
    "engine",
    "client constraints request_checks scoring",
    "scheduler",
    "sequence",
    "kv text",
    COMPUTE,
    "plan",
    "sampling",
    "request",
    "grammar priors",
    "tool",
    "errors",
)
LEVEL = {name: i for i, names in enumerate(LAYERS) for name in names.split()}


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _place(name: str) -> str:
    return name if name in LEVEL else COMPUTE


def test_a_room_imports_only_what_stands_below_it() -> None:
    wrong: list[str] = []
    for file in sorted(ROOT.rglob("*.py")):
        if file == ROOT / "__init__.py":  # the root's API: it names everything
            continue
        own = _place(file.relative_to(ROOT).parts[0].removesuffix(".py"))
        for name in _imports(file):
            package, _, rest = name.partition(".")
            other = _place(rest.partition(".")[0])
            if package == ROOT.name and other != own and LEVEL[other] <= LEVEL[own]:
                wrong.append(f"{file.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_every_root_module_has_its_place_in_the_layers() -> None:
    assert {path.stem for path in ROOT.glob("*.py")} - {"__init__"} <= LEVEL.keys()
    assert all((ROOT / name).is_dir() or (ROOT / f"{name}.py").is_file() for name in LEVEL.keys() - {COMPUTE})
