"""Sockets lie where their owner alone can go, and a key has one process."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from portico_gateway.background.key import BackgroundKey
from portico_gateway.background.socket_place import BackgroundUnavailable, only_one, runtime_folder, socket_place

KEY = BackgroundKey(Path("/work"), "0123456789abcdef")


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="p") as folder:  # whose path is short enough for a socket
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def test_the_folder_is_in_the_users_runtime_folder_and_private(runtime: Path) -> None:
    assert runtime_folder() == runtime / "portico"
    assert stat.S_IMODE(runtime_folder().stat().st_mode) == 0o700


@pytest.mark.parametrize("given", ["", "relative", "/nowhere/at/all"])
def test_without_a_runtime_folder_it_is_in_the_state_folder(given: str, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", given)
    monkeypatch.setenv("XDG_STATE_HOME", str(runtime))
    assert runtime_folder() == runtime / "portico" / "run"


def test_a_runtime_folder_that_others_can_read_is_not_used(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime.chmod(0o755)
    monkeypatch.setenv("XDG_STATE_HOME", str(runtime))
    assert runtime_folder() == runtime / "portico" / "run"


def test_a_folder_that_others_can_write_to_is_refused(runtime: Path) -> None:
    (runtime / "portico").mkdir()
    (runtime / "portico").chmod(0o777)
    with pytest.raises(BackgroundUnavailable, match="not this user's alone"):
        runtime_folder()


def test_a_link_in_its_place_is_refused(runtime: Path, tmp_path: Path) -> None:
    (runtime / "portico").symlink_to(tmp_path)
    with pytest.raises(BackgroundUnavailable):
        runtime_folder()


def test_where_paths_are_too_long_for_a_socket_it_is_a_folder_of_the_users_among_temporary_files(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = runtime / ("x" * 90)
    deep.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    monkeypatch.setenv("XDG_STATE_HOME", str(deep))
    assert runtime_folder() == Path(f"/tmp/portico-{os.geteuid()}")


def test_one_process_holds_a_key_and_the_next_gets_it_when_it_ends() -> None:
    place = socket_place(KEY)
    with only_one(place) as first, only_one(place) as second:
        assert (first, second) == (True, False)
    with only_one(place) as third:
        assert third


def test_its_files_go_with_it() -> None:
    place = socket_place(KEY)
    with only_one(place):
        place.path.touch()
        place.last_words.touch()
    assert list(runtime_folder().iterdir()) == []
