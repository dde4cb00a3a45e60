"""Which servers a command works with: ours over what was named, and the configuration's; the same when it is read anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from portico_gateway.config.portico_config import PorticoConfig, load_config
from portico_gateway.config.workspace import config_source, workspace_specs
from portico_gateway.errors import ConfigError

CONFIG = '[servers.files]\ncommand = "files-server"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "portico.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def names(config: PorticoConfig, *given: Any) -> list[str]:
    return [spec.name for spec in workspace_specs(config, *given)]


def test_configured_servers_stand_beside_ours(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert names(load_config(file)) == ["code", "docs", "files"]
    assert names(load_config(file), tmp_path) == ["code", "docs", "files"]


def test_ours_may_be_switched_off_and_are_there_again_for_a_folder_that_is_named(file: Path, tmp_path: Path) -> None:
    file.write_text(f"{CONFIG}[gateway]\nown_servers = []\n", encoding="utf-8")
    assert names(load_config(file)) == ["files"]
    assert names(load_config(file), tmp_path) == ["code", "docs", "files"]
    file.write_text(f'{CONFIG}[gateway]\nown_servers = ["docs"]\n', encoding="utf-8")
    assert names(load_config(file)) == ["docs", "files"]


def test_a_configured_server_takes_the_place_of_ours_of_its_name(file: Path, tmp_path: Path) -> None:
    file.write_text(CONFIG.replace("files]", "code]"), encoding="utf-8")
    specs = workspace_specs(load_config(file), tmp_path)
    assert [(spec.name, spec.command == "files-server") for spec in specs] == [("docs", False), ("code", True)]


def test_a_hosts_servers_are_taken_instead_of_ours(tmp_path: Path) -> None:
    host = tmp_path / "mcp.json"
    host.write_text('{"mcpServers": {"files": {"command": "files-server"}}}', encoding="utf-8")
    assert names(load_config(host)) == ["files"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"root": Path("/no/such")}, "--root /no/such is not there; give an existing folder"),
        ({"docs": [Path(__file__)]}, "is not a folder; give an existing folder"),
        ({"db": ["/no/such.db"]}, "--db /no/such.db is not there; give an existing database file or a DSN"),
    ],
)
def test_what_is_not_there_is_named(file: Path, given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        workspace_specs(load_config(file), **given)  # type: ignore[arg-type]


def test_a_source_reads_the_file_anew_with_the_same_flags(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = config_source(file, {"log.level": "debug"}, None, (), ())
    assert source is not None
    file.write_text(CONFIG + '[servers.mail]\nurl = "http://127.0.0.1:1/mcp"\n', encoding="utf-8")
    config, specs = source.read()
    assert (config.log.level, [spec.name for spec in specs]) == ("debug", ["code", "docs", "files", "mail"])


def test_without_a_file_there_is_nothing_to_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORTICO_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    assert config_source(None, {}, tmp_path, (), ()) is None
