"""`portico serve` and what can be wrong before its first request: one clear line and an exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from portico_gateway.cli.main import run
from portico_servers.common.transport import bind


def exit_code(args: list[str]) -> int | str | None:
    """Of a command line that ends by itself, however it ends."""
    try:
        return run(args)
    except SystemExit as ended:
        return ended.code


def test_a_port_in_use_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert exit_code(["serve", "--no-model", "--port", str(port)]) == 1
    err = capsys.readouterr().err
    assert f"can't listen on 127.0.0.1:{port}: Address already in use; choose another port" in err
    assert err.count("\n") == 1


def test_a_missing_model_is_one_line_and_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["serve", "--port", "0", "--model", "/no/such/model.gguf"]) == 3
    err = capsys.readouterr().err
    assert "portico: no model file at /no/such/model.gguf" in err
    assert err.count("\n") == 1


def test_a_corrupt_model_ends_the_server_with_its_name_and_exit_code_3(tmp_path: Path) -> None:
    model = tmp_path / "broken.gguf"
    model.write_bytes(b"this is not a model")
    ended = subprocess.run(
        [sys.executable, "-m", "portico_gateway", "serve", "--port", "0", "--root", str(tmp_path), "--model", str(model)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert ended.returncode == 3
    assert "the model can't be loaded" in ended.stderr
    assert "broken.gguf is not a GGUF file" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--port", "70000"], "option --port: serve.port"),
        (["--context", "0"], "option --context: model.context"),
        (["--root", "/no/such/folder"], "is not there"),
    ],
)
def test_wrong_options_are_exit_code_2(args: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["serve", *args]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_server_without_a_model_serves_health_and_ends_on_a_signal(tmp_path: Path, number: int, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "portico_gateway", "serve", "--port", "0", "--no-model", "--root", str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PORTICO_LOG_DIR": str(tmp_path)},
    )
    assert process.stderr is not None
    with process, process.stderr:
        line = process.stderr.readline()
        assert "without a model" in line
        base = line.split("OpenAI API on ")[1].split("/v1")[0]
        health = httpx2.get(f"{base}/healthz", timeout=30).json()
        assert [server["name"] for server in health["servers"]] == ["code", "docs"]
        process.send_signal(number)
        assert process.wait(30) == code
        assert process.stderr.read().strip() == ""
