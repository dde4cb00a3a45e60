"""`portico stdio` as a host runs it: a real process, its pipes, its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from portico_gateway.cli.main import run

SAMPLE = Path(__file__).parents[1] / "sample_server.py"
ENVELOPE = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


class Host:
    """A host that writes and reads lines."""

    def __init__(self, *args: str, cwd: Path, env: dict[str, str]) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "portico_gateway", "stdio", *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env={**os.environ, **env},
        )
        self.others: list[dict[str, Any]] = []
        self._ids = 0

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and read to its answer; everything read must be JSON-RPC."""
        self._ids += 1
        self.tell({"jsonrpc": "2.0", "id": self._ids, "method": method, "params": params})
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            message = json.loads(line)
            assert message["jsonrpc"] == "2.0"
            if message.get("id") == self._ids:
                return message
            self.others.append(message)
        raise AssertionError(f"no answer to {method}")

    def tell(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def close(self) -> None:
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        self.process.wait(60)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "mcp.json"
    command = {"command": sys.executable, "args": [str(SAMPLE), "one", "--pid-file", str(tmp_path / "pid")]}
    path.write_text(json.dumps({"mcpServers": {"one": command}}))
    return path


@pytest.fixture
def host(config: Path, tmp_path: Path) -> Iterator[Host]:
    running = Host("--config", str(config), cwd=tmp_path, env={"PORTICO_LOG_DIR": str(tmp_path / "logs")})
    yield running
    running.close()


def pid_of_the_server(tmp_path: Path) -> int:
    return int((tmp_path / "pid").read_text())


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_discover_then_initialize_then_both_eras_on_one_pipe(host: Host) -> None:
    discovered = host.ask("server/discover", _meta=ENVELOPE)
    assert discovered["result"]["supportedVersions"] == ["2026-07-28"]
    assert host.ask("initialize", **INITIALIZE)["result"]["protocolVersion"] == "2025-11-25"
    host.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})
    old = [tool["name"] for tool in host.ask("tools/list")["result"]["tools"]]
    new = [tool["name"] for tool in host.ask("tools/list", _meta=ENVELOPE)["result"]["tools"]]
    assert old == new
    assert "one__add" in old
    called = host.ask("tools/call", name="one__add", arguments={"a": 1, "b": 2}, _meta=ENVELOPE)
    assert called["result"]["structuredContent"] == {"result": 3}
    # What a careless server writes to its stdout reaches nobody's protocol stream.
    assert host.ask("tools/call", name="one__print_to_stdout", arguments={})["result"]["isError"] is False


def test_the_handshake_is_answered_while_the_servers_are_still_starting(config: Path, tmp_path: Path) -> None:
    entries = {"slow": {"command": "sleep", "args": ["60"]}}
    config.write_text(json.dumps({"mcpServers": entries}))
    host = Host("--config", str(config), cwd=tmp_path, env={"PORTICO_GATEWAY_LIST_TIMEOUT": "0.2"})
    try:
        assert "result" in host.ask("initialize", **INITIALIZE)
        assert [tool["name"] for tool in host.ask("tools/list")["result"]["tools"]] == ["ask"], "the gateway's own alone"
        # Generous for a busy machine; `portico doctor` shows the real figure.
        assert time.monotonic() - host.started < 30
    finally:
        host.close()


def test_when_the_host_hangs_up_the_gateway_and_its_servers_end(host: Host, tmp_path: Path) -> None:
    host.ask("initialize", **INITIALIZE)
    host.ask("tools/list")
    pid = pid_of_the_server(tmp_path)
    assert host.process.stdin is not None
    host.process.stdin.close()
    assert host.process.wait(60) == 0
    assert is_gone(pid)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_gateway_and_its_servers_though_stdin_stays_open(
    host: Host, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    host.ask("initialize", **INITIALIZE)
    host.ask("tools/list")
    pid = pid_of_the_server(tmp_path)
    host.process.send_signal(number)
    assert host.process.wait(60) == code
    assert is_gone(pid)


def test_a_gateway_that_its_own_configuration_starts_ends_instead_of_multiplying(config: Path, tmp_path: Path) -> None:
    own = {"command": sys.executable, "args": ["-m", "portico_gateway", "stdio", "--config", str(config)]}
    config.write_text(json.dumps({"mcpServers": {"portico": own}}))
    patient = {"PORTICO_GATEWAY_LIST_TIMEOUT": "60", "PORTICO_LOG_DIR": str(tmp_path)}
    host = Host("--config", str(config), cwd=tmp_path, env={"PORTICO_NESTING": "2", **patient})
    try:
        host.ask("initialize", **INITIALIZE)
        assert [tool["name"] for tool in host.ask("tools/list")["result"]["tools"]] == ["ask"], "the gateway's own alone"
        log = tmp_path / "server-portico.log"
        assert "does its configuration name portico itself?" in log.read_text()
    finally:
        host.close()


def test_logs_go_to_a_file(host: Host, tmp_path: Path) -> None:
    host.ask("initialize", **INITIALIZE)
    assert (tmp_path / "logs" / "portico-stdio.log").is_file()


@pytest.mark.parametrize(
    ("toml", "args", "said"),
    [
        ("[gatway]\n", [], "portico.toml:1: unknown key 'gatway'; did you mean 'gateway'?"),
        ("", ["--root", "nowhere"], "--root nowhere is not there"),
        ("", ["--db", "nope.db"], "--db nope.db is not there"),
        ("", ["--config", "nope.toml"], "there is no such configuration file"),
    ],
)
def test_bad_configuration_is_one_line_and_exit_code_2(
    tmp_path: Path, toml: str, args: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "portico.toml").write_text(toml)
    assert run(["trust"]) == 0
    capfd.readouterr()
    assert run(["stdio", *args]) == 2
    out, err = capfd.readouterr()
    assert said in err
    assert err.count("\n") == 1
    assert out == ""
