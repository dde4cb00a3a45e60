"""`portico config HOST --install` and `--remove`: the host's own file, with a copy of what was there."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path

import pytest

from portico_gateway.cli.main import run
from portico_gateway.config.hosts.registry import HOSTS

USER_FILES = {
    "claude-desktop": ".config/Claude/claude_desktop_config.json",
    "claude-code": ".claude.json",
    "vscode": ".config/Code/User/mcp.json",
    "cursor": ".cursor/mcp.json",
    "windsurf": ".codeium/windsurf/mcp_config.json",
    "zed": ".config/zed/settings.json",
    "codex": ".codex/config.toml",
    "gemini": ".gemini/settings.json",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of its own, and a project in it as the working directory."""
    for name in ("XDG_CONFIG_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path


def entry_of(host: str, file: Path) -> dict[str, object] | None:
    text = file.read_text(encoding="utf-8-sig")
    document = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    found = document.get(HOSTS[host].key, {}).get("portico")
    assert found is None or isinstance(found, dict)
    return found


@pytest.mark.parametrize("host", USER_FILES)
def test_every_host_gets_its_entry_once_and_loses_it(host: str, home: Path) -> None:
    file = home / USER_FILES[host]
    assert run(["config", host, "--install", "--scope", "user"]) == 0
    entry = entry_of(host, file)
    assert entry is not None
    assert entry["args"] == ["stdio", "--root", str(home / "project")]
    assert run(["config", host, "--install", "--scope", "user"]) == 0
    assert os.listdir(file.parent).count(file.name) == 1
    assert not list(file.parent.glob("*.bak")), "there was no file before, and the second time nothing changed"
    assert run(["config", host, "--remove", "--scope", "user"]) == 0
    assert entry_of(host, file) is None


def test_the_projects_file_is_the_default_where_the_host_has_one(home: Path) -> None:
    assert run(["config", "vscode", "--install"]) == 0
    assert entry_of("vscode", home / "project" / ".vscode" / "mcp.json") is not None
    assert run(["config", "codex", "--install", "--scope", "project"]) == 2


def test_the_other_keys_of_an_entry_stay_and_the_copy_is_what_was_there(home: Path) -> None:
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    before = '\ufeff{\n  // mine\n  "mcpServers": {\n    "portico": {"command": "/old", "env": {"A": "b"}}\n  }\n}\n'
    file.write_bytes(before.encode())
    file.chmod(0o640)
    assert run(["config", "cursor", "--install", "--scope", "user"]) == 0
    written = file.read_bytes().decode()
    assert written.startswith("\ufeff{\n  // mine\n")
    assert '"env": {' in written
    assert "/old" not in written
    (copy,) = file.parent.glob("mcp.json.*.bak")
    assert copy.read_bytes().decode() == before
    assert {stat.S_IMODE(each.stat().st_mode) for each in (file, copy)} == {0o640}


def test_codexs_comments_stay_and_the_entrys_own_settings_too(home: Path) -> None:
    file = home / ".codex" / "config.toml"
    file.parent.mkdir()
    before = (
        '# mine\nmodel = "x"  # this one\n\n[mcp_servers.portico]\ncommand = "/old"\nstartup_timeout_sec = 20\n'
        'enabled = false\n\n# others\n[mcp_servers.other]\nurl = "http://y"\n'
    )
    file.write_text(before)
    assert run(["config", "codex", "--install"]) == 0
    written = file.read_text()
    entry = entry_of("codex", file)
    assert entry is not None
    assert (entry["startup_timeout_sec"], entry["enabled"]) == (20, False)
    assert all(line in written for line in ("# mine", 'model = "x"  # this one', "# others", "[mcp_servers.other]"))
    assert run(["config", "codex", "--install"]) == 0
    assert file.read_text() == written
    assert run(["config", "codex", "--remove"]) == 0
    assert tomllib.loads(file.read_text()) == {"model": "x", "mcp_servers": {"other": {"url": "http://y"}}}


@pytest.mark.parametrize(
    ("host", "content", "said"),
    [
        ("cursor", b'{"mcpServers": {', "mcp.json:1: this is not valid JSON"),
        ("cursor", b'{"mcpServers": []}', "'mcpServers' must be an object"),
        ("cursor", b"\xff\xfe{}", "not UTF-8 text"),
        ("codex", b"model = \n", "not valid TOML"),
        ("codex", b"mcp_servers = 3\n", "can't be added"),
    ],
)
@pytest.mark.parametrize("option", ["--install", "--remove"])
def test_a_broken_file_is_left_as_it_is_and_named(
    host: str, content: bytes, said: str, option: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / USER_FILES[host]
    file.parent.mkdir()
    file.write_bytes(content)
    if content == b"mcp_servers = 3\n" and option == "--remove":
        assert run(["config", host, option]) == 0
    else:
        assert run(["config", host, option, "--scope", "user"]) == 2
        err = capsys.readouterr().err
        assert said in err
        assert str(file) in err
    assert file.read_bytes() == content
    assert os.listdir(file.parent) == [file.name]


def test_a_file_that_is_a_link_stays_one(home: Path) -> None:
    goal = home / "dotfiles.json"
    goal.write_text("{}")
    (home / ".cursor").mkdir()
    (home / ".cursor" / "mcp.json").symlink_to(goal)
    assert run(["config", "cursor", "--install", "--scope", "user"]) == 0
    assert (home / ".cursor" / "mcp.json").is_symlink()
    assert entry_of("cursor", goal) is not None


def test_removing_where_nothing_is_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "windsurf", "--remove"]) == 0
    assert "nothing was changed" in capsys.readouterr().err
    assert not (home / ".codeium").exists()


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("darwin", {"HOME": "/u"}, "/u/Library/Application Support/Claude/claude_desktop_config.json"),
        ("win32", {"APPDATA": "C:/r", "HOME": "/u"}, "C:/r/Claude/claude_desktop_config.json"),
        ("linux", {"HOME": "/u", "XDG_CONFIG_HOME": "/x"}, "/x/Claude/claude_desktop_config.json"),
    ],
)
def test_files_lie_where_the_system_keeps_them(platform: str, environ: dict[str, str], expected: str) -> None:
    assert HOSTS["claude-desktop"].file("user", Path(), environ, platform).as_posix() == expected
