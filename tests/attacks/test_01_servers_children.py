"""A workspace with modules in it that have the names of ours, of libraries and of Python's own: they are read, never run, by
whatever process the servers start in it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.attack("1 a workspace is data")

NAMES = (
    "sitecustomize usercustomize pathspec tree_sitter tree_sitter_python numpy duckdb anyio mcp pydantic portico_servers "
    "multiprocessing struct pickle selectors queue json threading encodings subprocess socket sqlite3 docutils selectolax"
).split()


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A workspace whose modules leave a mark, `owned`, when they're imported."""
    root = tmp_path / "workspace"
    root.mkdir()
    for name in NAMES:
        (root / f"{name}.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'a').write({name!r} + '\\n')\n")
    for number in range(80):
        (root / f"page{number}.md").write_text(f"# Page {number}\n\nWords of page {number}.\n")
        (root / f"part{number}.py").write_text(f"def function_{number}():\n    return {number}\n")
    return root


def served(command: list[str], root: Path, calls: list[tuple[str, dict[str, Any]]], environment: dict[str, str]) -> list[Any]:
    """Results of these calls, each asked for until it's complete."""
    start = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    env = {**os.environ, **environment}
    found = []
    with subprocess.Popen(command, cwd=root, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(method: str, params: dict[str, Any]) -> Any:
            assert process.stdin is not None
            assert process.stdout is not None
            line = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            process.stdin.write(json.dumps(line).encode() + b"\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())["result"]

        ask("initialize", start)
        process.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        for tool, arguments in calls:
            until = time.monotonic() + 60
            while True:
                result = ask("tools/call", {"name": tool, "arguments": arguments})
                if result.get("structuredContent", {}).get("complete", True) or time.monotonic() > until:
                    break
                time.sleep(0.2)
            found.append(result)
        process.stdin.close()
        process.wait(20)
    return found


SERVERS = {
    "code": ([".", "--cache-dir", "../index"], [("search", {"query": "function_7"}), ("changed_since", {"ref": "HEAD"})]),
    "docs": ([".", "--cache-dir", "../index"], [("search", {"query": "words of page 7"})]),
    "db": (["a.db"], [("query", {"sql": "select count(*) as n from t"})]),
}


@pytest.mark.parametrize("empty_place_on_the_path", [False, True])
@pytest.mark.parametrize("server", list(SERVERS))
def test_a_server_and_its_children_import_nothing_from_the_workspace(
    trap: Path, tmp_path: Path, server: str, empty_place_on_the_path: bool
) -> None:
    if server == "db":
        make = "import sqlite3; c = sqlite3.connect('a.db'); c.execute('create table t(a)')"
        subprocess.run([sys.executable, "-I", "-c", make], cwd=trap, check=True)
    script = tmp_path / "bin" / f"portico-{server}"  # as pip makes it
    script.parent.mkdir()
    script.write_text(f"from portico_servers.{server}.__main__ import main\nif __name__ == '__main__':\n    main()\n")
    arguments, calls = SERVERS[server]
    command, environment = [sys.executable, str(script), *arguments], {}
    if empty_place_on_the_path:  # a slip of shell scripts; it means the working directory. Of the children alone here
        command.insert(1, "-I")
        environment = {"PYTHONPATH": f"{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    results = served(command, trap, calls, environment)
    assert not (tmp_path / "owned").exists(), (tmp_path / "owned").read_text()
    assert results[0]["structuredContent"].get("complete", True)
    assert results[0]["content"][0]["text"]


@pytest.mark.parametrize("place", ["", ".", "{trap}"])
def test_a_process_that_compiles_imports_nothing_from_the_working_directory(trap: Path, tmp_path: Path, place: str) -> None:
    """Of whatever program uses the engine: its sys.path may name the folder that it is started in."""
    script = tmp_path / "bin" / "embedding.py"
    script.parent.mkdir()
    script.write_text(
        "import asyncio, sys\n"
        "from portico_engine.grammar import compile_schema_isolated\n"
        f"sys.path.append({place.format(trap=trap)!r})\n"
        'print(asyncio.run(compile_schema_isolated({"type": "string", "minLength": 2001})).text[:1])\n'
    )
    done = subprocess.run(
        [sys.executable, "-P", str(script)], cwd=trap, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "owned").exists(), (tmp_path / "owned").read_text()
