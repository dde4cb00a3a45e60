"""`portico add`, `remove` and `tools`, on a real file and a real server."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest

from portico_gateway.cli.main import run
from portico_gateway.config.config_file import find_config, user_file
from portico_gateway.config.portico_config import load_config
from portico_gateway.config.trust import WorkspaceConfig, is_trusted, trust

SAMPLE = Path(__file__).parents[1] / "sample_server.py"


@pytest.fixture(autouse=True)
def _logs(root_logger: logging.Logger) -> None:
    """Commands set up logging."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PORTICO_CONFIG", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def is_workspace_trusted(folder: Path) -> bool:
    path = folder / "portico.toml"
    return is_trusted(WorkspaceConfig(path, path.read_bytes()))


def test_a_server_is_added_to_the_users_file_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["add", "files", "--env", "TOKEN=a=b", "--", "npx", "-y", "server", "--flag"]) == 0
    assert "portico tools files" in capsys.readouterr().err
    (spec,) = load_config().specs()
    assert (spec.command, spec.args, spec.env) == ("npx", ("-y", "server", "--flag"), {"TOKEN": "a=b"})
    assert run(["remove", "files"]) == 0
    assert load_config().specs() == ()
    assert run(["remove", "files"]) == 1


@pytest.mark.parametrize(
    ("program", "said"),
    [("/nowhere/server", True), ("no-such-program", True), (sys.executable, False), ("${HOME}/server", False)],
)
def test_a_program_that_is_not_there_is_added_and_named(program: str, said: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["add", "files", "--", program]) == 0
    assert (f"{program} is no program on this machine" in capsys.readouterr().err) is said


def test_a_server_that_runs_is_added_by_its_url() -> None:
    assert run(["add", "web", "--url", "https://h.example/mcp", "--header", "Authorization=Bearer ${TOKEN:-none}"]) == 0
    (spec,) = load_config().specs()
    assert (spec.transport, spec.url, spec.headers) == ("http", "https://h.example/mcp", {"Authorization": "Bearer none"})


@pytest.mark.parametrize(
    "args",
    [
        ["x"],
        ["x", "--url", "http://h", "--", "npx"],
        ["x", "--env", "TOKEN", "--", "npx"],
        ["x", "--url", "ftp://h"],
        ["x", "--header", "A=b", "--", "npx"],
        ["x", "--workspace", "--config", "f.toml", "--", "npx"],
        ["a b", "--", "npx"],
        ["x", "--config", "mcp.json", "--", "npx"],
    ],
)
def test_what_can_not_be_added_is_said_and_nothing_is_written(args: list[str]) -> None:
    assert run(["add", *args]) == 2
    assert not user_file().exists()


def test_a_workspace_that_had_no_file_trusts_the_one_that_was_written(folder: Path) -> None:
    assert run(["add", "files", "--workspace", "--", "npx"]) == 0
    assert is_workspace_trusted(folder)
    assert find_config() is not None


def test_trust_goes_on_for_what_was_written_here(folder: Path) -> None:
    path = folder / "portico.toml"
    path.write_text("# mine\n")
    trust(WorkspaceConfig(path, path.read_bytes()))
    assert run(["add", "files", "--workspace", "--", "npx"]) == 0
    assert path.read_text().startswith("# mine\n")
    assert is_workspace_trusted(folder)


def test_a_file_that_was_not_trusted_does_not_become_so_by_an_addition(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "portico.toml"
    path.write_text('[servers.evil]\ncommand = "rm"\n')
    assert run(["add", "files", "--workspace", "--", "npx"]) == 2
    assert "portico trust" in capsys.readouterr().err
    assert path.read_text() == '[servers.evil]\ncommand = "rm"\n'
    assert not is_workspace_trusted(folder)


def test_where_another_file_counts_that_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "portico.toml").write_text("")
    assert run(["add", "files", "--", "npx"]) == 0
    assert "counts instead" in capsys.readouterr().err


def test_tools_are_listed_with_what_becomes_of_a_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["add", "sample", "--", sys.executable, str(SAMPLE), "sample"]) == 0
    assert run(["tools", "sample", "--json"]) == 0
    tools = {each["tool"]: each for each in json.loads(capsys.readouterr().out)}
    assert tools
    assert all(name.startswith("sample__") for name in tools)
    assert {each["call"] for each in tools.values()} <= {"runs", "asks"}
    assert all(each["read_only"] == (each["call"] == "runs") for each in tools.values())
    capsys.readouterr()
    name = min(tools)
    assert run(["tools", name, "--json"]) == 0
    assert [each["tool"] for each in json.loads(capsys.readouterr().out)] == [name]


def test_a_name_that_is_not_there_is_answered_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["add", "sample", "--", sys.executable, str(SAMPLE), "sample"]) == 0
    capsys.readouterr()
    assert run(["tools", "nope"]) == 1
    assert "no server is named 'nope'; there are: code, docs, sample" in capsys.readouterr().err
    assert run(["tools", "sample__nope"]) == 1
    said = capsys.readouterr().err
    assert "no tool is named 'sample__nope'; there are: sample__" in said
    assert run(["remove", "samples"]) == 1
    assert "no server is named 'samples'; there are: sample" in capsys.readouterr().err
    assert run(["remove", "sample"]) == 0
    assert run(["remove", "sample"]) == 1
    assert "no server is named 'sample'; there are none" in capsys.readouterr().err


def test_a_server_that_can_not_be_started_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["add", "gone", "--", "/nowhere/at/all"]) == 0
    assert run(["tools", "gone"]) == 4
    assert "server gone is not available" in capsys.readouterr().err
