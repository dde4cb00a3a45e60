"""The command line: help without imports, exit codes, one line for every error, no stack trace."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import click
import pytest

from portico_engine.errors import ModelError
from portico_gateway.cli import main as cli
from portico_gateway.cli.main import SUMMARIES, run
from portico_gateway.errors import ConfigError, GatewayError, UpstreamDied


def commands() -> list[str]:
    return cli.cli.list_commands(click.Context(cli.cli))


def test_help_shows_every_command_and_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    for name in commands():
        assert f"  {name} " in out
    assert {"serve", "stdio", "server", "config", "model", "doctor"} <= set(commands())


@pytest.mark.parametrize("name", commands())
def test_every_command_has_a_summary_that_is_its_own_first_line(name: str) -> None:
    command = cli.cli.get_command(click.Context(cli.cli), name)
    assert command is not None
    assert command.get_short_help_str(200) == SUMMARIES[name]


@pytest.mark.parametrize("name", commands())
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    assert "Usage: portico" in capsys.readouterr().out


def test_help_and_version_import_neither_mcp_nor_a_model_library() -> None:
    heavy = "('mcp', 'torch', 'fastapi', 'pydantic', 'rich', 'numpy')"
    loaded = f"print([m for m in {heavy} if m in sys.modules])"
    probe = f"import sys; from portico_gateway.cli.main import run; run(['--help']); {loaded}"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60).stdout
    assert out.splitlines()[-1] == "[]"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"portico, version {importlib.metadata.version('portico-mcp')}"


def test_an_unknown_command_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["srv"]) == 2
    assert "Commands: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("bad key"), 2),
        (UpstreamDied("db", "exited with code 1"), 4),
        (GatewayError("no"), 1),
        (ModelError("no model"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_become_exit_codes_and_one_line(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli.cli, "main", fail)
    assert run([]) == code
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert err == ("" if isinstance(error, KeyboardInterrupt) else f"portico: {error}\n")


def test_python_minus_m_works() -> None:
    out = subprocess.run(
        [sys.executable, "-m", "portico_gateway", "--version"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert out.startswith("portico, version ")
