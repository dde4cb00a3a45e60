"""Which servers a command works with: the configuration's, or ours over what was named; the same when it is read anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from portico_gateway.config.portico_config import load_config
from portico_gateway.config.workspace import config_source, workspace_specs
from portico_gateway.errors import ConfigError

CONFIG = '[servers.files]\ncommand = "files-server"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "portico.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_configured_servers_take_the_place_of_ours(file: Path) -> None:
    assert [spec.name for spec in workspace_specs(load_config(file))] == ["files"]


def test_a_folder_that_is_named_takes_ours_again(file: Path, tmp_path: Path) -> None:
    assert [spec.name for spec in workspace_specs(load_config(file), tmp_path)] == ["code", "docs"]


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


def test_a_source_reads_the_file_anew_with_the_same_flags(file: Path) -> None:
    source = config_source(file, {"log.level": "debug"}, None, (), ())
    assert source is not None
    file.write_text(CONFIG + '[servers.mail]\nurl = "http://127.0.0.1:1/mcp"\n', encoding="utf-8")
    config, specs = source.read()
    assert (config.log.level, [spec.name for spec in specs]) == ("debug", ["files", "mail"])


def test_without_a_file_there_is_nothing_to_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORTICO_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    assert config_source(None, {}, tmp_path, (), ()) is None
