"""A colon too many in PATH means the working directory: what lies in a workspace is no program of ours, nor of our children."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from portico_engine.kernels.cpu.build import _compiler
from portico_servers.common.search_path import search_absolute_folders_only

pytestmark = pytest.mark.attack("1 a workspace is data, never code")
RELATIVE = ["", ".", "./", "bin", "node_modules/.bin"]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory full of programs, each of which leaves a mark."""
    folder = tmp_path / "workspace"
    for place in ("", "bin", "node_modules/.bin"):
        for name in ("c++", "g++", "clang++", "rg", "git", "ps", "node", "some-tool"):
            program = folder / place / name
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_text(f"#!/bin/sh\necho {name} >> {tmp_path}/mark\n")
            program.chmod(0o755)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("place", RELATIVE)
def test_no_compiler_is_taken_from_the_working_directory(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", os.pathsep.join([place, str(tmp_path)]))
    assert _compiler() is None
    monkeypatch.setenv("CXX", "g++")
    assert _compiler() is None


@pytest.mark.parametrize("place", RELATIVE)
def test_children_look_in_folders_alone_that_are_named_in_full(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "system").mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join(["/usr/bin", place, str(tmp_path / "system")]))
    search_absolute_folders_only()
    assert os.environ["PATH"] == os.pathsep.join(["/usr/bin", str(tmp_path / "system")])
    with pytest.raises(FileNotFoundError):
        subprocess.run(["some-tool"], check=False)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("portico_servers.code", ["."]),
        ("portico_servers.docs", ["."]),
        ("portico_servers.db", ["a.db"]),
        ("portico_gateway", ["--help"]),
    ],
)
def test_each_command_starts_so(workspace: Path, tmp_path: Path, package: str, arguments: list[str]) -> None:
    (workspace / "a.db").touch()
    code = (
        "import os, runpy, sys\n"
        f"sys.argv = ['x', *{arguments!r}]\n"
        "try:\n"
        f"    runpy.run_module({package!r}, run_name='__main__', alter_sys=False)\n"
        "except SystemExit:\n"
        "    pass\n"
        "sys.stderr.write('PATH is ' + os.environ['PATH'] + '\\n')\n"
    )
    environ = {**os.environ, "PATH": f".:/usr/bin::{tmp_path}:", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=True
    )
    assert f"PATH is /usr/bin:{tmp_path}\n".encode() in done.stderr
    assert not (tmp_path / "mark").exists()
