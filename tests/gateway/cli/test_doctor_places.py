"""`portico doctor` on hosts' files, the port, and permissions."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest

from portico_gateway.cli.doctor_places import host_checks, permission_checks, port_check
from portico_gateway.config.config_file import ConfigFile
from portico_gateway.config.portico_config import parse_config


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_CONFIG_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def written(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_hosts_files_that_name_portico_are_listed_and_what_is_wrong_is_said(home: Path) -> None:
    (nothing,) = host_checks(home)
    assert "none has Portico" in nothing.found
    command = {"mcpServers": {"portico": {"command": sys.executable}}}
    written(home / ".cursor" / "mcp.json", json.dumps(command))
    written(home / ".codeium" / "windsurf" / "mcp_config.json", '{"mcpServers": {"portico": {"command": "/gone/portico"}}}')
    written(home / ".gemini" / "settings.json", "{broken")
    written(home / ".codex" / "config.toml", '[mcp_servers.portico]\nurl = "http://127.0.0.1:8630/mcp"\n')
    found = {check.what: check for check in host_checks(home / "elsewhere")}
    assert (found["host cursor"].state, found["host codex"].state) == ("ok", "ok")
    assert "can't be started" in found["host windsurf"].found
    assert found["host windsurf"].mend == "portico config windsurf --install --scope user"
    assert "not valid JSON" in found["host gemini"].found


def test_the_port_is_free_or_somebody_elses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert port_check(parse_config(None, flags={"serve.port": port}, environ={})).state == "warn"
    assert "is free" in port_check(parse_config(None, flags={"serve.port": port}, environ={})).found


def test_what_others_may_change_fails_and_what_they_may_read_is_a_warning(home: Path, tmp_path: Path) -> None:
    file = written(
        tmp_path / "portico.toml", '[servers.x]\nurl = "http://x"\nheaders = { Authorization = "Bearer abcdef123" }\n'
    )
    file.chmod(0o666)
    audit = written(tmp_path / "audit.db", "")
    audit.chmod(0o644)
    config = parse_config(ConfigFile(file, file.read_text()), environ={"PORTICO_AUDIT_FILE": str(audit)})
    found = [(check.state, check.mend) for check in permission_checks(ConfigFile(file, file.read_text()), config)]
    assert ("fail", f"chmod go-w {file}") in found
    assert ("warn", f"chmod go-rwx {audit}") in found
    assert ("warn", f"chmod go-rwx {file}") in found
    file.chmod(0o600)
    audit.chmod(0o600)
    (good,) = permission_checks(ConfigFile(file, file.read_text()), config)
    assert good.state == "ok"
