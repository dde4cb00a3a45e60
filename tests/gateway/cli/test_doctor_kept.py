"""`portico doctor` on the files that Portico keeps."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from portico_gateway.cli.doctor_kept import kept_checks
from portico_gateway.config.config_file import ConfigFile
from portico_gateway.config.portico_config import PorticoConfig, parse_config


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PorticoConfig:
    """A user without any of them yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("PORTICO_CHOICES_FILE", str(tmp_path / "choices.json"))
    monkeypatch.setenv("PORTICO_PINS_FILE", str(tmp_path / "pins.json"))
    file = ConfigFile(tmp_path / "portico.toml", f"[audit]\nfile = {str(tmp_path / 'audit.db')!r}\n")
    (tmp_path / "portico").mkdir()
    return parse_config(file, environ={})


def test_what_is_not_there_yet_or_as_it_should_be_has_one_line(config: PorticoConfig, tmp_path: Path) -> None:
    (nothing,) = kept_checks(config)
    (tmp_path / "portico" / "trusted-configurations.json").write_text('{"trusted": []}')
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection:
        connection.execute("create table t (a)")
    (tmp_path / "choices.json").write_text("[]")
    (good,) = kept_checks(config)
    assert nothing.state == good.state == "ok"


@pytest.mark.parametrize("name", ["portico/trusted-configurations.json", "choices.json", "pins.json", "audit.db"])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda file: file.mkdir(), "is no file"),
        (os.mkfifo, "is no file"),
        (lambda file: file.symlink_to("nowhere"), "can't be read: No such file or directory"),
        (lambda file: file.write_text("{broken"), "is no "),
        (lambda file: file.write_bytes(b"\xff\xfe\0\0"), "is no "),
    ],
)
def test_what_is_not_as_it_should_be_is_said(
    config: PorticoConfig, tmp_path: Path, name: str, make: Callable[[Path], None], said: str
) -> None:
    make(tmp_path / name)
    (check,) = kept_checks(config)
    assert check.state == "warn"
    assert check.found.startswith(str(tmp_path / name))
    assert said in check.found
    assert "move it away" in check.mend
