"""`portico config`: an entry that a host can start without a shell."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path

import pytest

from portico_gateway.cli.main import run

JSON_HOSTS = {
    "claude-desktop": ("mcpServers", {}),
    "claude-code": ("mcpServers", {"type": "stdio"}),
    "vscode": ("servers", {"type": "stdio"}),
    "cursor": ("mcpServers", {}),
    "windsurf": ("mcpServers", {}),
    "zed": ("context_servers", {"source": "custom"}),
    "gemini": ("mcpServers", {}),
}
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


@pytest.mark.parametrize("host", JSON_HOSTS)
def test_an_entry_is_json_in_the_hosts_own_shape_with_absolute_paths(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "shop.db").touch()
    assert run(["config", host, "--root", ".", "--docs", "docs", "--db", "shop.db"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    key, beside = JSON_HOSTS[host]
    assert list(document) == [key]
    entry = document[key]["portico"]
    assert {name: value for name, value in entry.items() if name not in ("command", "args")} == beside
    assert Path(entry["command"]).is_absolute()
    assert Path(entry["command"]).exists()
    where = ["--root", str(tmp_path), "--docs", str(tmp_path / "docs"), "--db", str(tmp_path / "shop.db")]
    assert entry["args"][-7:] == ["stdio", *where]
    assert "Add it to" in err


def test_the_entry_starts_as_a_host_starts_it_with_an_empty_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["config", "claude-desktop", "--root", str(tmp_path)])
    entry = json.loads(capsys.readouterr().out)["mcpServers"]["portico"]
    process = subprocess.Popen(
        [entry["command"], *entry["args"]],
        cwd="/",
        env={"HOME": str(tmp_path), "PATH": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    out, _ = process.communicate(json.dumps(HELLO) + "\n", timeout=60)
    assert json.loads(out.splitlines()[0])["result"]["serverInfo"]["name"] == "portico"


def test_a_portico_toml_of_the_folder_is_named_in_the_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "portico.toml").write_text('[servers.x]\ncommand = "x"\n')
    assert run(["trust"]) == 0
    capsys.readouterr()
    assert run(["config", "cursor"]) == 0
    entry = json.loads(capsys.readouterr().out)["mcpServers"]["portico"]
    assert entry["args"][-2:] == ["--config", str(tmp_path / "portico.toml")]


def test_a_running_server_is_named_by_its_url(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_SERVE_PORT", "9000")
    assert run(["config", "vscode", "--http"]) == 0
    entry = json.loads(capsys.readouterr().out)["servers"]["portico"]
    assert entry == {"type": "http", "url": "http://127.0.0.1:9000/mcp"}
    assert run(["config", "claude-desktop", "--http"]) == 2
    assert "takes no URL" in capsys.readouterr().err


def test_each_host_names_a_running_server_by_its_own_key(capsys: pytest.CaptureFixture[str]) -> None:
    for host, key in (("cursor", "url"), ("windsurf", "serverUrl"), ("zed", "url"), ("gemini", "httpUrl")):
        assert run(["config", host, "--http"]) == 0
        entry = next(iter(json.loads(capsys.readouterr().out).values()))["portico"]
        assert entry == {key: "http://127.0.0.1:8630/mcp"}


def test_codexs_entry_is_toml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "codex", "--root", str(tmp_path)]) == 0
    entry = tomllib.loads(capsys.readouterr().out)["mcp_servers"]["portico"]
    assert Path(entry["command"]).exists()
    assert entry["args"][-3:] == ["stdio", "--root", str(tmp_path)]


@pytest.mark.parametrize(
    ("args", "said"), [(["--root", "/no/such/folder"], "is not there"), (["--db", "/no/such.db"], "is not there")]
)
def test_what_is_not_there_is_said_now_and_not_in_the_hosts_log(
    args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "cursor", *args]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
