"""Two commands share a process if all that could change an answer is the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from portico_gateway.background.key import background_key
from portico_gateway.config.config_file import ConfigFile

ENVIRON = {"HOME": "/home/u", "PATH": "/bin", "PORTICO_MODEL": "a", "TERM": "xterm", "SSH_TTY": "1"}


@pytest.fixture
def key(tmp_path: Path) -> Any:
    def make(config: ConfigFile | None = None, environ: dict[str, str] | None = None, **options: Any) -> str:
        return background_key(config, environ=ENVIRON | (environ or {}), **{"root": tmp_path, **options}).digest

    return make


def config(text: str) -> ConfigFile:
    return ConfigFile(Path("/somewhere/portico.toml"), text)


def test_the_working_directory_and_a_root_that_names_it_are_one(
    key: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert key(root=None) == key(root=tmp_path) == key(root=Path(".")) == key(docs=[tmp_path])


def test_a_link_to_a_folder_is_the_folder(key: Any, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    os.symlink(tmp_path / "real", tmp_path / "link")
    assert key(root=tmp_path / "real") == key(root=tmp_path / "link")


@pytest.mark.parametrize(
    "other",
    [
        {"root": Path("/")},
        {"docs": [Path("/")]},
        {"db": ["postgresql://host/db"]},
        {"model": "other"},
        {"adapter": "default"},
        {"config": config("")},
        {"environ": {"PORTICO_MODEL": "b"}},
        {"environ": {"HOME": "/home/v"}},
    ],
    ids=str,
)
def test_another_workspace_option_configuration_or_setting_is_another_key(key: Any, other: dict[str, Any]) -> None:
    assert key() != key(**other)


def test_another_content_of_the_configuration_is_another_key(key: Any) -> None:
    assert key(config("[model]\n")) != key(config("[serve]\n"))


def test_a_terminal_is_no_part_of_it(key: Any) -> None:
    assert key() == key(environ={"TERM": "dumb", "SSH_TTY": "2", "COLUMNS": "40"})


def test_variables_that_the_configuration_mentions_are_a_part_of_it(key: Any) -> None:
    text = '[servers.x]\ncommand = "${TOOL}"\n'
    assert key(config(text), {"TOOL": "a"}) != key(config(text), {"TOOL": "b"})
    assert key(config(""), {"TOOL": "a"}) == key(config(""), {"TOOL": "b"})


def test_the_path_counts_where_a_configuration_may_start_programs_by_it(key: Any) -> None:
    assert key(None, {"PATH": "/other"}) == key(None)
    assert key(config("x"), {"PATH": "/other"}) != key(config("x"))


def test_another_version_is_another_key(key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    monkeypatch.setattr("portico_gateway.background.key.package_version", lambda: "9.9.9")
    assert key() != before


def test_code_that_was_worked_on_is_another_key(key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    monkeypatch.setattr("portico_gateway.background.key._newest", lambda folder: 1)
    assert key() != before
