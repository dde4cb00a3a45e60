"""A model's digest: that of its file, or of the files of its folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from portico_engine import ModelError, model_digest


@pytest.fixture(autouse=True)
def _own_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_files_digest_is_its_sha256(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")
    assert model_digest(file) == hashlib.sha256(b"GGUF").hexdigest()


def test_a_folders_digest_changes_with_the_files_that_make_the_model_and_with_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"1")
    first = model_digest(folder)
    (folder / "README.md").write_text("words")
    assert model_digest(folder) == first
    (folder / "model.safetensors").write_bytes(b"22")
    assert model_digest(folder) != first


def test_a_model_that_is_not_there_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="can't be read"):
        model_digest(tmp_path / "gone.gguf")
