"""How the CPU's kernels come to be, and what is said where they don't."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from portico_engine.fallbacks import Fallbacks
from portico_engine.kernels.cpu import build as building
from portico_engine.kernels.cpu.build import FOLDER, KernelsUnavailable, build, build_beside, find_library
from portico_engine.kernels.cpu.check import differences
from portico_engine.kernels.cpu.library import KernelLibrary, load_kernels


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without libraries."""
    made = tmp_path / "kernels"
    monkeypatch.setenv(FOLDER, str(made))
    return made


def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """What CXX names: a shell script."""
    path = tmp_path / "c++"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    monkeypatch.setenv("CXX", str(path))


def test_this_machines_library_does_what_plain_torch_does(native: KernelLibrary) -> None:
    assert differences(native) == []


# The x86-64 psABI's levels, and the newest instructions of each that the kernels may use.
LEVELS = {
    "x86-64": set[str](),
    "x86-64-v3": {"avx2", "fma", "f16c"},
    "x86-64-v4": {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="other processors have other names")
def test_machines_with_fewer_instructions_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, native: KernelLibrary, level: str
) -> None:
    if missing := LEVELS[level] - set(building._cpu_features().split()):
        pytest.skip(f"this CPU has no {', '.join(sorted(missing))}")
    monkeypatch.setattr(building, "_machine_flag", lambda: f"-march={level}")
    monkeypatch.setattr(building, "_FLAGS", (*building._FLAGS, "-O1"))  # quicker to compile
    made = tmp_path / "library.so"
    building._compile(made)
    building._check(made)  # raises where they differ


def test_the_folder_is_its_owners_alone_and_a_second_look_finds_the_library(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler(tmp_path, monkeypatch, 'for last; do :; done; echo library > "$last"')
    monkeypatch.setattr(building, "_check", lambda made: None)
    with pytest.raises(KernelsUnavailable, match="the next start has them"):
        find_library()
    path = build()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert find_library() == path
    assert [entry.name for entry in folder.iterdir() if not entry.name.startswith(".")] == [path.name]


def test_several_that_build_at_once_compile_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler(tmp_path, monkeypatch, f'echo run >> {tmp_path}/runs; for last; do :; done; echo library > "$last"')
    monkeypatch.setattr(building, "_check", lambda made: None)
    threads = [threading.Thread(target=build) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sources = len(list(building.SOURCES.glob("*.cpp")))
    assert (tmp_path / "runs").read_text().count("run") == sources + 1, "each source, and the linker"


def test_a_compiler_that_fails_is_tried_once_and_told_of_until_it_is_asked_for_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler(tmp_path, monkeypatch, f"echo run >> {tmp_path}/runs; echo 'x.cpp:1: error: no such thing' >&2; exit 1")
    for _ in range(2):
        with pytest.raises(KernelsUnavailable, match=r"the C\+\+ compiler failed: x.cpp:1: error: no such thing") as failed:
            build()
    assert not failed.value.building
    assert (tmp_path / "runs").read_text() == "run\n"
    with pytest.raises(KernelsUnavailable, match="no such thing"):
        load_kernels()
    with pytest.raises(KernelsUnavailable, match="no such thing"):
        build(again=True)
    assert (tmp_path / "runs").read_text() == "run\nrun\n"


def test_what_does_not_do_its_work_never_takes_the_librarys_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler(tmp_path, monkeypatch, 'for last; do :; done; echo "no library" > "$last"')
    with pytest.raises(KernelsUnavailable, match="the check of what was compiled failed: "):
        build()
    assert not list(folder.glob("*.so"))


def test_without_a_compiler_and_switched_off_that_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/no/such/compiler")
    with pytest.raises(KernelsUnavailable, match=r"there is no C\+\+ compiler"):
        load_kernels()
    monkeypatch.setenv(FOLDER, "off")
    for what in (load_kernels, build):
        with pytest.raises(KernelsUnavailable, match="PORTICO_KERNELS is off"):
            what()


def test_a_folder_that_others_can_write_to_is_not_used(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(KernelsUnavailable, match=r"can be written by others; make it yours alone \(chmod 700\)"):
        load_kernels()


@pytest.mark.parametrize("kind", ["file", "dead link", "loop"])
def test_a_folder_that_is_none_is_told_of_and_nothing_is_built(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "file":
        folder.parent.joinpath("file").write_text("")
        monkeypatch.setenv(FOLDER, str(folder.parent / "file" / "kernels"))
    elif kind == "loop":
        folder.symlink_to(folder)
    else:
        folder.symlink_to(folder.parent / "gone" / "kernels")
    for ask in (find_library, build):
        if kind == "dead link" and ask is find_library:
            continue  # a link to what is not there yet could be made
        with pytest.raises(KernelsUnavailable, match=r"can't be used: (Not a directory|Too many levels|File exists)") as told:
            ask()
        assert not told.value.building


def test_a_file_that_is_no_library_is_told_of(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / f"{building.library_name()}.so").write_text("no library")
    with pytest.raises(KernelsUnavailable, match="the compiled library can't be loaded"):
        load_kernels()


def test_who_loads_a_model_does_not_wait(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_building", [])
    compiler(tmp_path, monkeypatch, f"read line < {tmp_path}/gate; echo 'error: after all' >&2; exit 1")
    os.mkfifo(tmp_path / "gate")
    for _ in range(2):  # two models: one build
        with pytest.raises(KernelsUnavailable, match="the next start has them") as missing:
            load_kernels()
        assert missing.value.building
    (process,) = building._building
    assert process.poll() is None
    (tmp_path / "gate").write_text("go on\n")
    assert process.wait(60) == 1
    with pytest.raises(KernelsUnavailable, match="after all"):
        find_library()
    build_beside()
    for later in building._building:
        later.kill()
        later.wait()


def test_the_command_says_what_it_did(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler(tmp_path, monkeypatch, "exit 3")
    command = [sys.executable, "-P", "-m", "portico_engine.kernels.cpu.build"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "no kernels for this CPU: the C++ compiler failed: exit status 3\n"


def test_that_they_are_being_built_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    Fallbacks().record("kernels", "they are being compiled", expected=True)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
