from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from portico_engine.kv.disk import DiskStore
from portico_engine.kv.hashing import chain_key, root_key
from portico_engine.kv.tier import FullBlock

ROOT = root_key("model")
BYTES = 1000
FILE_BYTES = 8 + 32 + 32 + 4 * 4 + BYTES + 32


def chain(n: int, first: int = 0) -> list[FullBlock]:
    """A prefix of `n` blocks of four tokens."""
    out: list[FullBlock] = []
    for i in range(n):
        tokens = tuple(range(first + 4 * i, first + 4 * i + 4))
        parent = out[-1].key if out else ROOT
        out.append(FullBlock(chain_key(parent, tokens), parent, tokens))
    return out


def content(block: FullBlock) -> bytes:
    return block.key * (BYTES // 32) + bytes(BYTES % 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kv"


def store(folder: Path, max_bytes: int = 1 << 20, root: bytes = ROOT) -> DiskStore:
    return DiskStore(folder, root, block_bytes=BYTES, max_bytes=max_bytes)


def test_what_one_process_put_another_gets(folder: Path) -> None:
    (block,) = chain(1)
    store(folder).put(block, content(block))
    other = store(folder)
    found = other.get(block)
    assert found is not None
    assert bytes(found) == content(block)


def test_files_are_their_owners_alone_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        kept = store(folder)
        (block,) = chain(1)
        kept.put(block, content(block))
    finally:
        os.umask(before)
    modes = {path: path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_a_folder_that_is_open_to_others_is_closed(folder: Path) -> None:
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    store(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_behind_a_link_is_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="is not a folder of this user"):
        store(folder)


@pytest.mark.parametrize("at", [0, 8, 40, 72, 90, FILE_BYTES - 40, FILE_BYTES - 1])
def test_a_changed_byte_anywhere_is_never_served_and_the_file_goes(folder: Path, at: int) -> None:
    (block,) = chain(1)
    kept = store(folder)
    kept.put(block, content(block))
    (path,) = folder.rglob("*.kv")
    data = bytearray(path.read_bytes())
    assert len(data) == FILE_BYTES
    data[at] ^= 1
    path.write_bytes(data)
    assert kept.get(block) is None
    assert not path.exists()


@pytest.mark.parametrize("size", [0, 7, 100, FILE_BYTES - 1, FILE_BYTES + 1])
def test_a_file_of_another_size_is_never_served(folder: Path, size: int) -> None:
    (block,) = chain(1)
    kept = store(folder)
    kept.put(block, content(block))
    (path,) = folder.rglob("*.kv")
    path.write_bytes((path.read_bytes() + b"\0")[:size])
    assert kept.get(block) is None


@pytest.mark.parametrize("other", [{"tokens": (9, 9, 9, 9)}, {"parent": root_key("other")}])
def test_a_collision_of_keys_serves_nobody_elses_block(folder: Path, other: dict[str, object]) -> None:
    (block,) = chain(1)
    kept = store(folder)
    kept.put(block, content(block))
    assert kept.get(block._replace(**other)) is None  # type: ignore[arg-type]


def test_models_do_not_see_each_others_blocks(folder: Path) -> None:
    (block,) = chain(1)
    store(folder).put(block, content(block))
    assert store(folder, root=root_key("another")).get(block) is None


def test_the_bound_holds_over_all_models_and_the_least_recently_used_go_first(folder: Path) -> None:
    bound = 40 * FILE_BYTES
    first, second = store(folder, bound), store(folder, bound, root_key("another"))
    old, used, new = chain(10), chain(10, 1000), chain(60, 2000)
    for block in (*old, *used):
        first.put(block, content(block))
    for place, block in enumerate((*old, *used)):
        os.utime(folder / ROOT.hex() / f"{block.key.hex()}.kv", (place, place))
    first.touch([block.key for block in used])
    for block in new[:25]:
        second.put(block, content(block))
    assert sum(path.stat().st_size for path in folder.rglob("*.kv")) <= bound
    assert all(first.get(block) is None for block in old[:5])
    assert all(first.get(block) is not None for block in used)
    for block in new[25:]:
        second.put(block, content(block))
    assert sum(path.stat().st_size for path in folder.rglob("*.kv")) <= bound
    assert all(first.get(block) is None for block in used)


def test_the_beginning_of_a_used_prefix_outlives_its_end(folder: Path) -> None:
    kept = store(folder, 20 * FILE_BYTES)
    blocks = chain(18)
    for block in blocks:
        kept.put(block, content(block))
    kept.touch([block.key for block in blocks])
    for block in chain(6, 1000):
        kept.put(block, content(block))
    there = [kept.get(block) is not None for block in blocks]
    assert there == sorted(there, reverse=True)
    assert 0 < sum(there) < 18


def test_a_cache_that_is_emptied_meanwhile_is_made_anew(folder: Path) -> None:
    kept = store(folder)
    (block,) = chain(1)
    shutil.rmtree(folder)
    assert kept.get(block) is None
    kept.touch([block.key])
    kept.put(block, content(block))
    assert kept.get(block) is not None
    assert folder.stat().st_mode & 0o777 == 0o700


def test_other_things_in_the_folder_are_left_alone(folder: Path) -> None:
    kept = store(folder, 10 * FILE_BYTES)
    others = [folder / "README", folder / ROOT.hex() / "notes.txt"]
    for path in others:
        path.write_text("mine")
        os.utime(path, (0, 0))
    for block in chain(30):
        kept.put(block, content(block))
    assert all(path.exists() for path in others)


def test_unfinished_files_of_dead_processes_are_deleted_and_those_under_way_are_not(folder: Path) -> None:
    kept = store(folder)
    dead, alive = (folder / ROOT.hex() / f"{name}.tmp" for name in ("dead", "alive"))
    for path in (dead, alive):
        path.touch()
    os.utime(dead, (time.time() - 7200,) * 2)
    kept.trim()
    assert (dead.exists(), alive.exists()) == (False, True)


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.engine.kv.test_disk import chain, content, store
kept = store(Path(sys.argv[1]), 1 << 30)
print("ready", flush=True)
while True:
    for block in chain(50):
        kept.put(block, content(block))
        if block.tokens[0] % 3 == 0:
            kept._path(block.key).unlink(missing_ok=True)  # so that there is always something to write
"""


def test_a_writer_killed_at_any_moment_leaves_whole_blocks_for_the_readers_beside_it(folder: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(folder), str(Path(__file__).parents[3])]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
        reader, seen = store(folder), 0
        while seen < 500:
            for block in chain(50):
                found = reader.get(block)
                if found is not None:
                    seen += 1
                    assert bytes(found) == content(block)
            assert all(writer.poll() is None for writer in writers)
    finally:
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            assert writer.stdout is not None
            writer.stdout.close()
    left = [(block, found) for block in chain(50) if (found := reader.get(block)) is not None]
    assert left
    assert all(bytes(found) == content(block) for block, found in left)
