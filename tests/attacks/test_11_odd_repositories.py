"""Repositories that are odd in places which git reads by itself: nothing outside is read, nothing waits, names are whole, and
nobody is told where they lie.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.attacks.test_11_git_and_links import kinds, repository, run

from portico_servers.code.errors import GitError
from portico_servers.code.external import git

pytestmark = [pytest.mark.anyio, pytest.mark.attack("11 git and links")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return repository(tmp_path / "work")


def replaced(path: Path, *, link: Path | None = None) -> None:
    """In its place there is a link, or a pipe."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if link is None:
        os.mkfifo(path)
    else:
        path.symlink_to(link)


def shared_index(root: Path, outside: Path) -> None:
    run(root, "update-index", "--split-index")
    (found,) = (root / ".git").glob("sharedindex.*")
    replaced(found, link=outside)


def chained_commit_graph(root: Path, outside: Path) -> None:
    replaced(root / ".git/objects/info/commit-graphs/commit-graph-chain", link=outside)


def chained_pack_index(root: Path, outside: Path) -> None:
    replaced(root / ".git/objects/pack/multi-pack-index.d/multi-pack-index-chain", link=outside)


@pytest.mark.parametrize("arrange", [shared_index, chained_commit_graph, chained_pack_index])
async def test_what_leads_outside_from_deep_within_is_refused(
    root: Path, tmp_path: Path, arrange: Callable[[Path, Path], None]
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("secret\n")
    arrange(root, outside)
    with pytest.raises(GitError, match="leads outside"):
        await git.changed_since(root, "HEAD")


@pytest.mark.parametrize("part", ["index", "packed-refs", "shallow", "info/exclude", "logs/HEAD"])
async def test_a_pipe_in_place_of_a_part_is_refused_at_once(root: Path, part: str) -> None:
    replaced(root / ".git" / part)
    began = time.monotonic()
    with pytest.raises(GitError, match=f".git/{part} is no file"):
        await git.changed_since(root, "HEAD")
    assert time.monotonic() - began < git.SECONDS, "git waited for it"


async def test_a_refusal_of_gits_does_not_say_where_the_repository_lies(root: Path, tmp_path: Path) -> None:
    (root / ".git/index").unlink()
    (root / ".git/index").mkdir()
    with pytest.raises(GitError) as caught:
        await git.changed_since(root, "HEAD")
    assert "work" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("revision", ["^HEAD", "^main", "main..main", "HEAD^@", "HEAD^!"])
async def test_what_names_no_single_commit_is_no_revision(root: Path, revision: str) -> None:
    with pytest.raises(GitError, match="no commit is called"):
        await git.changed_since(root, revision)


NAMES = ["a b/y.py", 'q".py', "tab\t.py", "back\\slash.py", "line\n+++ b/x.py", "é.py", 'end"', "bell\a.py", "x b/x"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("binary", [False, True])
async def test_an_odd_name_is_told_as_it_is(root: Path, name: str, binary: bool) -> None:
    path = root / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"a\0" if binary else b"a\n")
    run(root, "add", "-A")
    run(root, "commit", "-q", "-m", "second")
    path.write_bytes(b"b\0" if binary else b"b\n")
    assert kinds(await git.changed_since(root, "HEAD")) == {name: "modified"}
    run(root, "mv", name, "moved.py")
    path.with_name("untracked\t").write_text("")
    assert kinds(await git.changed_since(root, "HEAD")).keys() >= {
        "moved.py",
        str(path.with_name("untracked\t").relative_to(root)),
    }
