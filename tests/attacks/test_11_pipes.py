"""Whoever may write into a workspace can put a pipe in a file's place: nobody waits for what is never written."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.engine.tiny_folder import write_folder
from tests.engine.tiny_model import random_tensors

from portico_engine import EngineError, load_engine
from portico_gateway.config.config_file import read_bytes
from portico_gateway.config.variables import VariableError, Variables
from portico_gateway.errors import ConfigError
from portico_gateway.model.options import chat_template
from portico_servers.code.external import ripgrep
from portico_servers.code.external.ignore_pipes import IGNORE_FILES
from portico_servers.db import config as db_config
from portico_servers.db.engines.sqlite import check_file
from portico_servers.db.errors import DatabaseConfigError, DatabaseSourceError
from portico_servers.db.sources import detect_engine
from portico_servers.docs.config import DocsConfig
from portico_servers.docs.ingest.sources import sphinx_project
from portico_servers.docs.service import Service

pytestmark = pytest.mark.attack("11 git and links")
PATIENCE = 20.0


def in_time(fn: Callable[[], Any]) -> Any:
    """What it returns or raises; a thread that waits for a pipe is left behind."""
    found: list[Any] = []

    def work() -> None:
        try:
            found.extend((fn(), None))
        except Exception as error:  # noqa: BLE001 - raised again below
            found.extend((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert found, "it waits for the pipe"
    if found[1] is not None:
        raise found[1]
    return found[0]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root" / "deep" / "er").mkdir(parents=True)
    (tmp_path / "root" / "a.py").write_text("needle = 1\n")
    (tmp_path / "root" / "deep" / "er" / "b.py").write_text("needle = 2\n")
    return tmp_path / "root"


def listed(root: Path) -> set[bytes]:
    return set(in_time(lambda: list(ripgrep.list_names(root))))


def matching(root: Path) -> set[str]:
    async def search() -> set[str]:
        return {line.path async for line in ripgrep.grep(root, "needle")}

    return set(in_time(lambda: anyio.run(search)))


@pytest.mark.parametrize("name", IGNORE_FILES)
@pytest.mark.parametrize("place", ["", "deep", "deep/er", ".."])
def test_a_pipe_in_the_place_of_an_ignore_file_is_an_empty_one(root: Path, name: str, place: str) -> None:
    """Also beside a parent of the root: that may be anybody's folder."""
    os.mkfifo(root / place / name)
    assert {b"a.py", b"deep/er/b.py"} <= listed(root)
    assert matching(root) == {"a.py", "deep/er/b.py"}


def test_many_pipes_hold_nobody_up(root: Path) -> None:
    for number in range(40):
        (root / f"d{number}").mkdir()
        (root / f"d{number}" / "c.py").write_text("needle = 3\n")
        for name in IGNORE_FILES:
            os.mkfifo(root / f"d{number}" / name)
    assert len(listed(root)) == 42
    assert len(matching(root)) == 42


@pytest.mark.parametrize("name", ["objects.inv", ".gitignore", "deep/.gitignore", "page.md"])
def test_a_pipe_among_documents(root: Path, tmp_path: Path, name: str) -> None:
    (root / "ok.md").write_text("# Title\n\nneedle\n")
    os.mkfifo(root / name)
    assert in_time(lambda: sphinx_project(root)) == ("", "")

    def index() -> set[str]:
        with closing(Service(DocsConfig((root,), tmp_path / "cache", watch=False))) as service:
            service.indexer.update(service.library.library_versions())
            return {hit.path for hit in service.library.search("needle").hits}

    assert "ok.md" in in_time(index)


def test_a_pipe_that_is_named_as_a_database_or_its_configuration(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for opening in (lambda: detect_engine(str(tmp_path / "pipe")), lambda: check_file(tmp_path / "pipe")):
        with pytest.raises(DatabaseSourceError, match="no regular file"):
            in_time(opening)
    with pytest.raises(DatabaseConfigError, match="no regular file"):
        in_time(lambda: db_config.load(tmp_path / "pipe"))


def test_a_pipe_that_a_configuration_is_or_names(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError):
        in_time(lambda: read_bytes(tmp_path / "pipe"))
    with pytest.raises(ConfigError, match="can't be read"):
        in_time(lambda: chat_template(str(tmp_path / "pipe")))
    with pytest.raises(VariableError):
        in_time(lambda: Variables({}, tmp_path, tmp_path).with_file(str(tmp_path / "pipe")))
    with pytest.raises(VariableError):
        in_time(lambda: Variables({}, tmp_path, tmp_path).expand(f"${{file:{tmp_path / 'pipe'}}}"))


MODEL_FILES = ["config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "model.safetensors"]


@pytest.mark.parametrize("name", [*MODEL_FILES, "generation_config.json", "model.safetensors.index.json"])
def test_a_pipe_among_the_files_of_a_model(tmp_path: Path, name: str) -> None:
    folder = write_folder(tmp_path / "model", random_tensors(), {})
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with suppress(EngineError):
        in_time(lambda: load_engine(folder, executor="torch-cpu", context=64).close())
