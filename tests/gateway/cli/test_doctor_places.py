"""`portico doctor` on hosts' files, the port, and permissions."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from portico_gateway.cli.doctor_places import host_checks, permission_checks, port_check
from portico_gateway.config.config_file import ConfigFile, find_config
from portico_gateway.config.portico_config import parse_config
from portico_gateway.errors import ConfigError


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


def _folder(file: Path) -> None:
    file.mkdir(parents=True)


def _link(goal: str) -> Callable[[Path], None]:
    def make(file: Path) -> None:
        file.parent.mkdir(parents=True)
        file.symlink_to(goal)

    return make


def _pipe(file: Path) -> None:
    file.parent.mkdir(parents=True)
    os.mkfifo(file)


def _big(file: Path) -> None:
    file.parent.mkdir(parents=True)
    with file.open("wb") as out:
        out.truncate(100 << 20)


def _named(program: str) -> Callable[[Path], None]:
    def make(file: Path) -> None:
        written(file, json.dumps({"mcpServers": {"portico": {"command": program}}}))

    return make


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_folder, "this is no file"),
        (_pipe, "this is no file"),
        (_link("nowhere"), "a link that leads nowhere"),
        (_link("mcp.json"), "Too many levels of symbolic links"),
        (_big, "at most 32 MiB"),
        (lambda file: written(file, "\ufeff[1]"), "no object"),
        (lambda file: written(file, "[" * 100_000), "nests too deeply"),
        (_named("/bin/tr\0ue"), "can't be started"),
        (_named("/bin/\ud800"), "can't be started"),
        (_named("/bin"), "can't be started"),
        (_named("/" + "x" * 100_000), "... (100001 characters), which can't be started"),
    ],
)
def test_a_hosts_file_of_any_kind_has_its_line(home: Path, make: Callable[[Path], None], said: str) -> None:
    make(home / ".cursor" / "mcp.json")
    (check,) = [each for each in host_checks(home / "elsewhere") if each.what == "host cursor"]
    assert check.state == "warn"
    assert said in check.found


def test_a_file_of_history_and_servers_is_read_whole(home: Path) -> None:
    history = {"history": "x" * (5 << 20), "mcpServers": {"portico": {"command": sys.executable}}}
    written(home / ".claude.json", json.dumps(history))
    (check,) = [each for each in host_checks(home / "elsewhere") if each.what == "host claude-code"]
    assert check.state == "ok"


@pytest.mark.parametrize("make", [_folder, _pipe, _link("nowhere"), _big])
@pytest.mark.parametrize("where", ["own", "workspace"])
def test_a_configuration_that_is_none_is_said_and_not_passed_over(
    home: Path, monkeypatch: pytest.MonkeyPatch, where: str, make: Callable[[Path], None]
) -> None:
    """Whoever goes on without the file goes on without its rules."""
    monkeypatch.chdir(home)
    make(home / ".config" / "portico" / "portico.toml" if where == "own" else home / "folder" / "portico.toml")
    with pytest.raises(ConfigError, match=r"portico\.toml: "):
        find_config(folder=home / "folder", environ={})


def test_a_home_that_can_t_be_looked_at_is_a_line(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("HOME", "/" + "x" * 300)
    with pytest.raises(ConfigError, match="File name too long"):
        find_config(folder=home, environ={})
    assert any("File name too long" in check.found for check in host_checks(home))


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
