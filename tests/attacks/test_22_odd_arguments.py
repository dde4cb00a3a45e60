"""Words, streams and terminals that nobody means: each command says what is wrong in a line, or does its work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from portico_gateway.cli import main as cli_main
from portico_gateway.cli.commands.ask import MAX_QUESTION, _question
from portico_gateway.cli.main import run

PORTICO = [sys.executable, "-P", "-m", "portico_gateway"]
PATIENCE = 60.0
LONG = "9" * 5000  # digits, of which Python reads 4,300
pytestmark = pytest.mark.attack("22 commands write, run and show what they say")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONFIG", "STATE", "CACHE", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / "home" / name.lower()))
    for name in ("PORTICO_CONFIG", "PORTICO_LOG_DIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "workspace").mkdir()
    monkeypatch.chdir(tmp_path / "workspace")
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["audit", "--limit", "9" * 30], "--limit"),
        (["audit", "--since", "999999d"], "a span such as"),
        (["audit", "--since", "0001-01-01T00:00:00+14:00"], "a span such as"),
        (["grammar", "a 'b"], "is no command"),
        (["grammar", "--timeout", "nan", "true"], "no number of seconds"),
        (["top", "--interval", "inf"], "no number of seconds"),
        (["grammar", "n.json"], "more than 4,300 digits"),
    ],
)
def test_an_odd_word_is_wrong_usage(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("n.json").write_text(f'{{"type": "integer", "minimum": {LONG}}}')
    assert run(words) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said


def test_a_question_of_any_bytes_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _question(os.fsdecode(b"how does the \xff pump start?")) == "how does the \ufffd pump start?"
    with pytest.raises(click.UsageError, match="at most"):
        _question("x" * (MAX_QUESTION + 1))


def _run(words: str, tmp_path: Path, **more: str) -> subprocess.CompletedProcess[str]:
    command = f'exec "$@" {words}'
    env = {**os.environ, "HOME": str(tmp_path), "NO_COLOR": "1", **more}
    return subprocess.run(
        ["bash", "-c", command, "bash", *PORTICO], capture_output=True, text=True, env=env, timeout=PATIENCE, check=False
    )


def test_what_is_printed_to_a_closed_stream_is_written_into_no_file(tmp_path: Path, home: Path) -> None:
    """The first file that is opened would have got its number: here the log of calls, or its folder's list."""
    (tmp_path / "workspace" / "portico.toml").write_text("[servers.x]\ncommand = 'true'\n")
    for closed in (">&-", "2>&-", "<&-", "<&- >&- 2>&-"):
        done = _run(f"trust . {closed}", tmp_path)
        assert done.returncode == 0, (closed, done.stderr)
        kept = (home / "state" / "portico" / "trusted-configurations.json").read_text()
        assert [entry["path"] for entry in json.loads(kept)["trusted"]], closed
        assert "Traceback" not in done.stderr


def test_an_answer_that_cannot_be_written_is_a_line_and_an_exit_code(tmp_path: Path) -> None:
    done = _run("config cursor >/dev/full", tmp_path)
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_terminals_size_that_is_none_is_passed_over(tmp_path: Path) -> None:
    done = _run("trust --list", tmp_path, COLUMNS="²", LINES="9" * 5000)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_mistake_of_ours_is_a_line_and_its_trace_is_in_the_log(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], root_logger: None
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise TypeError("password=hunter2hunter2 of nothing")

    monkeypatch.setattr(cli_main.cli, "main", fails)
    assert run(["doctor"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("portico: this is a mistake in Portico (TypeError: password=[redacted]")
    assert len(said.splitlines()) == 1
    (log,) = (home / "state" / "portico").rglob("portico-errors.log")
    assert "in fails" in log.read_text()
    assert "hunter2" not in log.read_text()
