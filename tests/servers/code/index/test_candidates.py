"""Searching few files finds what searching all of them would, whatever happened to the tree since it was indexed."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from portico_servers.code.external.ripgrep import WALK, ripgrep_program
from portico_servers.code.index import candidates, regex_search
from portico_servers.code.index.files import list_files
from portico_servers.code.index.regex_search import matching_lines
from portico_servers.code.index.regex_trigrams import trigram_query
from portico_servers.code.index.root_index import RootIndex
from portico_servers.code.index.store import IndexStore, StoredFile

LONG_AGO = 1_700_000_000
WORDS = ("alpha", "beta_gamma", "Delta", "εψιλον", "zeta(", "alphabet")
PATTERNS = (
    "alpha", "beta_gamma|Delta", "(?i)DELTA", r"\bzeta\(", "εψιλον", r"alpha\w+", r"al\w+t$", "nowhere", "^", r"Delta.*alpha",
)  # fmt: skip


def everything(_path: str) -> bool:
    return True


def settle(root: Path) -> None:
    """As if nothing had been touched for long."""
    for folder, _, names in os.walk(root):
        for name in names:
            os.utime(Path(folder) / name, (LONG_AGO, LONG_AGO), follow_symlinks=False)
        os.utime(folder, (LONG_AGO, LONG_AGO))


def some_text(draw: random.Random) -> str:
    return "".join(" ".join(draw.choices(WORDS, k=3)) + draw.choice(["\n", "\r\n"]) for _ in range(draw.randrange(6)))


def make_tree(root: Path, draw: random.Random) -> None:
    for folder in ("", "src", "src/deep", "ignored", "logs", "empty"):
        (root / folder).mkdir(parents=True)
    for number in range(30):
        folder = draw.choice(["", "src", "src/deep", "ignored"])
        (root / folder / f"f{number}.py").write_text(some_text(draw), encoding="utf-8", newline="")
    (root / "utf16.txt").write_text("alpha Delta\n", encoding="utf-16")
    (root / "marked.txt").write_text("alpha Delta\n", encoding="utf-8-sig")
    (root / "picture.bin").write_bytes(b"alpha\0Delta\n" * 10)
    (root / "logs" / "a.log").write_text("alpha\n")
    (root / ".gitignore").write_text("ignored/\n*.log\n")
    settle(root)


def indexed(root: Path, cache: Path) -> RootIndex:
    """An index that takes in nothing any more."""
    index = RootIndex(root, "r", cache)
    index.start()
    assert index.ready.wait(30)
    index.close()
    return index


def change(root: Path, outside: Path, draw: random.Random) -> None:
    """Something that an editor, a build or git does to a tree."""
    files = sorted(list_files(root))
    victim = root / draw.choice(files)
    what = draw.randrange(10)
    if what <= 2:
        victim.write_text(some_text(draw), encoding="utf-8", newline="")
    elif what == 3:  # as many bytes as before
        data = victim.read_bytes()
        victim.write_bytes(data.swapcase())
    elif what == 4:
        victim.unlink()
        victim.mkdir()
        (victim / "inside.py").write_text(some_text(draw), encoding="utf-8")
    elif what == 5:
        victim.unlink()
        victim.symlink_to(outside / "secret.py")
    elif what == 6:
        folder = root / draw.choice(["empty", "logs", "src/deep", "ignored", "empty/new"])
        folder.mkdir(exist_ok=True, parents=True)
        (folder / f"n{draw.random()}.py").write_text(some_text(draw), encoding="utf-8")
    elif what == 7:
        (root / draw.choice([".gitignore", "src/.ignore"])).write_text(
            draw.choice(["", "*.log\n", "f1*\n", "src/\n", "!f2.py\n"])
        )
    elif what == 8:
        os.replace(victim, victim.with_name(f"moved{draw.random()}.py"))
    elif (root / "src" / "deep").is_dir() and not (root / "src" / "deep").is_symlink():
        os.replace(root / "src" / "deep", root / f"gone{draw.random()}")
        (root / "src" / "deep").symlink_to(outside)


def by_ripgrep(root: Path, pattern: str) -> set[tuple[str, int]]:
    command = [ripgrep_program(), *WALK, "--crlf", "--line-number", "--null", "--no-heading", f"--regexp={pattern}", "--", "."]
    lines = subprocess.run(command, cwd=root, capture_output=True, check=False).stdout.split(b"\n")
    parts = (line.partition(b"\0") for line in lines if b"\0" in line)
    return {(path.decode().removeprefix("./"), int(rest.partition(b":")[0])) for path, _, rest in parts}


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(4))
async def test_whatever_changes_the_lines_are_those_of_a_search_of_all_files(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regex_search, "WALK_SHARE", 2.0)  # never the whole tree
    draw = random.Random(seed)
    root, outside = tmp_path / "r", tmp_path / "outside"
    outside.mkdir()
    for name in ("secret.py", "f3.py", "f5.py", "f8.py"):
        (outside / name).write_text("alpha SECRET\n")
    make_tree(root, draw)
    index = indexed(root, tmp_path / "index")
    for step in range(12):
        for pattern in draw.sample(PATTERNS, 3):
            found = await matching_lines(index, pattern, everything)
            assert found.complete
            assert {(match.path, match.line) for match in found.found} == by_ripgrep(root, pattern), (step, pattern)
            assert not any("SECRET" in match.text for match in found.found)
        change(root, outside, draw)


@pytest.mark.anyio
async def test_a_directory_that_became_a_link_to_outside_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regex_search, "WALK_SHARE", 2.0)
    root, outside = tmp_path / "r", tmp_path / "outside"
    make_tree(root, random.Random(4))
    (root / "src" / "deep" / "pool.py").write_text("alpha inside\n")
    outside.mkdir()
    (outside / "pool.py").write_text("alpha SECRET\n")
    settle(root)
    index = indexed(root, tmp_path / "index")
    assert "alpha inside" in [match.text for match in (await matching_lines(index, "alpha", everything)).found]
    os.replace(root / "src" / "deep", tmp_path / "elsewhere")
    (root / "src" / "deep").symlink_to(outside)
    assert index.regular_files(["src/deep/pool.py", "marked.txt"]) == ["marked.txt"]
    texts = [match.text for match in (await matching_lines(index, "alpha", everything)).found]
    assert texts
    assert not {"alpha inside", "alpha SECRET"} & set(texts)


@pytest.mark.anyio
async def test_an_edited_ignore_file_counts_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regex_search, "WALK_SHARE", 2.0)
    root = tmp_path / "r"
    make_tree(root, random.Random(5))
    (root / "ignored" / "x.py").write_text("needle\n")
    settle(root)
    index = indexed(root, tmp_path / "index")
    assert (await matching_lines(index, "needle", everything)).found == []
    with (root / ".gitignore").open("r+") as rules:  # in place: its directory's time does not change
        rules.truncate(0)
    assert [match.path for match in (await matching_lines(index, "needle", everything)).found] == ["ignored/x.py"]


@pytest.mark.anyio
async def test_an_untouched_tree_is_neither_walked_nor_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "r"
    make_tree(root, random.Random(1))
    (root / "only.py").write_text("needle = 1\n")
    settle(root)
    index = indexed(root, tmp_path / "index")
    monkeypatch.setattr(candidates, "list_files", None)
    plan = index.plan(trigram_query("needle = "), everything)
    assert plan is not None
    assert plan.candidates == ["only.py"]
    assert index.modified_since(plan) == []
    assert [match.path for match in (await matching_lines(index, "needle =", everything)).found] == ["only.py"]


def test_a_file_saved_in_the_same_tick_as_it_was_read_is_not_trusted(tmp_path: Path) -> None:
    root = tmp_path / "r"
    make_tree(root, random.Random(2))
    (root / "hot.py").write_text("first = 1\n")  # less than a tick before it is listed
    stats = list_files(root)
    assert not stats["hot.py"].settled
    assert stats["marked.txt"].settled


@pytest.mark.anyio
async def test_a_text_too_large_for_the_index_is_searched_and_a_binary_one_is_not(tmp_path: Path) -> None:
    root = tmp_path / "r"
    make_tree(root, random.Random(3))
    (root / "large.txt").write_text("filler of a line\n" * 80_000 + "needle at the end\n")
    (root / "late.bin").write_bytes(b"needle\n" * 3_000 + b"\0" + b"needle\n")
    settle(root)
    index = indexed(root, tmp_path / "index")
    skipped = {file.path: file.skipped for file in index.files()}
    assert (skipped["large.txt"], skipped["late.bin"], skipped["utf16.txt"]) == ("too large", "binary", None)
    found = await matching_lines(index, "needle", everything)
    assert [(match.path, match.line) for match in found.found] == [("large.txt", 80_001)]


def test_a_forgotten_file_is_no_candidate_and_its_place_is_used_again(tmp_path: Path) -> None:
    root = tmp_path / "r"
    root.mkdir()
    for number in range(600):
        (root / f"f{number}.txt").write_text(f"word{number}\n")
    (root / "wide.txt").write_text("".join(f"{number * 7919:x} " for number in range(40_000)))
    settle(root)
    index = indexed(root, tmp_path / "index")
    files = index._candidates
    assert len(files._mapped) == 2  # bitmaps of two widths

    def first(pattern: str) -> list[str]:
        plan = index.plan(trigram_query(pattern), everything)
        assert plan is not None
        assert len(plan.candidates) + len(plan.excluded) == len(files._slots)
        return plan.candidates

    assert "f123.txt" in first("word123")
    assert len(first("word123")) < 20
    assert first(f"{39_999 * 7919:x}") == ["wide.txt"]
    (table,) = {table for table, _ in files._slots.values() if len(table.files) > 1}
    ids = {table.files[slot].path: number for number, (_, slot) in files._slots.items() if slot < len(table.files)}
    before = len(table.files)
    files.replace([ids["f1.txt"], ids["f2.txt"]], [])
    assert "f1.txt" not in first("word1$")
    kept = next(file for file in started_files(root, tmp_path) if file.path == "f1.txt")
    files.replace([], [kept._replace(id=10_000)])
    assert "f1.txt" in first("word1$")
    assert len(table.files) == before


def started_files(root: Path, tmp_path: Path) -> list[StoredFile]:
    store = IndexStore(root, tmp_path / "index")
    try:
        return list(store.files())
    finally:
        store.close()
