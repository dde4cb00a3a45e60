"""A folder for state, caches or configuration that is read-only, full or no folder costs what needs it, with a line."""

from __future__ import annotations

import json
import logging
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from portico_gateway.cli.main import run
from portico_gateway.config.logs import set_up_logging
from portico_gateway.config.sections import LogConfig

PORTICO = [sys.executable, "-P", "-m", "portico_gateway"]
PATIENCE = 120.0
pytestmark = pytest.mark.attack("17 disks that refuse")


def _no_folder(place: Path) -> None:
    """A file stands where the folder would be made: that refuses root too."""
    place.write_text("")


def _beneath_proc(place: Path) -> None:
    place.symlink_to("/proc/1/nothing")


def _dead_link(place: Path) -> None:
    place.symlink_to(place / "itself")


REFUSALS = [_no_folder, _beneath_proc, _dead_link]


def _environment(tmp_path: Path, refuse: Callable[[Path], None]) -> dict[str, str]:
    place = tmp_path / "refused"
    refuse(place)
    kinds = {f"XDG_{kind}_HOME": str(place) for kind in ("STATE", "CACHE", "CONFIG", "DATA")}
    given = {name: value for name, value in os.environ.items() if not name.startswith("PORTICO_")}
    return {**given, **kinds, "HOME": str(place), "NO_COLOR": "1"}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "guide.md").write_text("# Guide\n\n## Install\n\nTo install the pump, turn the blue valve first.\n")
    (folder / "pump.py").write_text("def pump() -> int:\n    return 1\n")
    return folder


@pytest.mark.parametrize("refuse", REFUSALS)
def test_stdio_serves_tools_without_any_folder_of_its_own(
    tmp_path: Path, workspace: Path, refuse: Callable[[Path], None]
) -> None:
    errors = (tmp_path / "stderr").open("w+")

    async def use() -> str:
        where: dict[str, Any] = {"env": _environment(tmp_path, refuse), "cwd": workspace}
        command = StdioServerParameters(command=PORTICO[0], args=[*PORTICO[1:], "stdio"], **where)
        with anyio.fail_after(PATIENCE):
            async with Client(stdio_client(command, errlog=errors), mode="legacy", cache=None) as client:
                names: set[str] = set()
                while "code__search" not in names:
                    names = {each.name for each in (await client.list_tools()).tools}
                return str((await client.call_tool("code__search", {"query": "pump"})).content)

    with errors:
        assert "pump.py" in anyio.run(use)
        errors.seek(0)
        said = errors.read()
    assert "Traceback" not in said
    assert "no log file" in said


@pytest.mark.parametrize("refuse", REFUSALS[:1])
def test_ask_answers_without_any_folder_of_its_own(tmp_path: Path, workspace: Path, refuse: Callable[[Path], None]) -> None:
    done = subprocess.run(
        [*PORTICO, "ask", "--json", "How do I install the pump?"],
        env=_environment(tmp_path, refuse),
        cwd=workspace,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
    )
    if done.returncode == 3:
        pytest.skip("the default model is not installed")
    assert done.returncode == 0, done.stderr
    assert "blue valve" in json.loads(done.stdout)["answer"]
    assert "Traceback" not in done.stderr
    assert "the conversation can't be kept" in done.stderr


def test_ask_ends_with_its_object_where_no_file_can_be_written_at_all(tmp_path: Path, workspace: Path) -> None:
    """RLIMIT_FSIZE refuses every byte that is written to a file anywhere, as if all disks were full: indexes need one."""

    def full() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    home = tmp_path / "home"
    home.mkdir()
    env = {**_environment(tmp_path, _no_folder), **{f"XDG_{kind}_HOME": str(home) for kind in ("STATE", "CACHE", "DATA")}}
    done = subprocess.run(
        [*PORTICO, "ask", "--json", "How do I install the pump?"],
        env={**env, "HOME": str(home), "XDG_CONFIG_HOME": str(home)},
        cwd=workspace,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
        preexec_fn=full,
    )
    if done.returncode == 3:
        pytest.skip("the default model is not installed")
    assert done.returncode in (0, 1), done.stderr
    assert json.loads(done.stdout)["question"] == "How do I install the pump?"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("refuse", REFUSALS)
@pytest.mark.parametrize(
    ("args", "codes"),
    [
        (["audit"], {0, 1}),
        (["doctor", "--quick"], {0}),
        (["config", "cursor"], {0}),
        (["trust", "--list"], {0}),
        (["trust"], {2}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_every_other_command_says_one_line_at_most(
    tmp_path: Path, workspace: Path, refuse: Callable[[Path], None], args: list[str], codes: set[int]
) -> None:
    (workspace / "portico.toml").write_text("")
    done = subprocess.run(
        [*PORTICO, *args], env=_environment(tmp_path, refuse), cwd=workspace, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode in codes, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full, by Linux")
def test_a_log_on_a_full_disk_is_one_line_and_no_stack_trace(
    tmp_path: Path, root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "portico-serve.log").symlink_to("/dev/full")
    set_up_logging("serve", LogConfig(dir=tmp_path))
    for _ in range(5):
        root_logger.info("x" * 100)
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "can't be written" in err
    assert "No space left" in err


def test_logs_are_their_owners_alone(tmp_path: Path, root_logger: logging.Logger) -> None:
    old = os.umask(0)
    try:
        path = set_up_logging("serve", LogConfig(dir=tmp_path / "logs"))
    finally:
        os.umask(old)
    assert path is not None
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_list_of_trust_that_cannot_be_written_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    (tmp_path / "portico.toml").write_text("")
    assert run(["trust", str(tmp_path)]) == 2
    assert "the list of trusted configurations can't be written" in capsys.readouterr().err
