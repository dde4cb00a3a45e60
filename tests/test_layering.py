"""The imports show the layers: the engine knows neither MCP nor HTTP, the servers know neither engine nor gateway."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WEB = {
    "mcp",
    "mcp_types",
    "httpx",
    "httpx2",
    "fastapi",
    "starlette",
    "uvicorn",
    "anyio",
    "pydantic",
    "sqlite_utils",
    "click",
    "rich",
}


def _imports(package: Path) -> Iterator[tuple[Path, str]]:
    for file in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                for name in node.names:
                    yield file, name.name
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                yield file, node.module


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("engine/portico_engine", WEB | {"portico_gateway", "portico_servers"}),
        ("servers/portico_servers", {"torch", "llama_cpp", "llguidance", "gguf", "portico_engine", "portico_gateway"}),
        ("gateway/portico_gateway", {"torch", "llama_cpp", "llguidance", "gguf"}),
    ],
)
def test_a_layer_imports_nothing_above_or_beside_it(package: str, forbidden: set[str]) -> None:
    found = [f"{file.relative_to(ROOT)}: {name}" for file, name in _imports(ROOT / package) if name.split(".")[0] in forbidden]
    assert not found


def test_the_gateway_uses_the_engine_through_its_root_and_its_grammar_package_only() -> None:
    allowed = {
        "portico_engine",
        "portico_engine.errors",
        "portico_engine.grammar",
        "portico_engine.grammar.ir",
        "portico_engine.request",
    }
    found = [
        f"{file.relative_to(ROOT)}: {name}"
        for file, name in _imports(ROOT / "gateway/portico_gateway")
        if name.split(".")[0] == "portico_engine" and name not in allowed
    ]
    assert not found


def test_the_gateway_knows_of_the_servers_their_shared_parts_only() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {name}"
        for file, name in _imports(ROOT / "gateway/portico_gateway")
        if name.startswith("portico_servers.") and not name.startswith("portico_servers.common")
    ]
    assert not found


@pytest.mark.parametrize(
    "module",
    [
        "portico_servers",
        "portico_servers.code.server",
        "portico_servers.docs.server",
        "portico_servers.db.server",
        "portico_gateway.cli.main",
    ],
)
def test_importing_servers_and_the_command_line_loads_no_model_library(module: str) -> None:
    probe = f"import sys, {module}; print([m for m in ('torch', 'llama_cpp', 'llguidance', 'gguf') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.strip() == "[]"
