"""The path jail: nothing outside is read, and a refusal looks like a missing file."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portico_servers.common.path_jail import Jail, NotFound

SECRET = b"SECRET outside the root"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """root/ with files and links beside outside/, whose content must never be read."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_bytes(SECRET)
    root = tmp_path / "root"
    (root / "src" / "deep").mkdir(parents=True)
    (root / "a.py").write_text("inside\n")
    (root / "src" / "b.py").write_text("inside\n")
    (root / "src" / "deep" / "ü ﬁle.py").write_text("inside\n")
    (root / "link_in").symlink_to("src/b.py")
    (root / "dir_in").symlink_to("src")
    (root / "link_out").symlink_to(outside / "secret.txt")
    (root / "link_rel_out").symlink_to("../outside/secret.txt")
    (root / "dir_out").symlink_to(outside)
    (root / "dir_up").symlink_to("..")
    (root / "src" / "chain").symlink_to("../link_out")
    (root / "loop").symlink_to("loop")
    (root / "passwd").symlink_to("/etc/passwd")
    (root / "proc").symlink_to("/proc/self/root")
    os.mkfifo(root / "pipe")
    return root


@pytest.mark.parametrize(
    "path", ["a.py", "./a.py", "src/b.py", "src//b.py", "link_in", "dir_in/b.py", "src/deep/ü ﬁle.py", "root/a.py"]
)
def test_a_file_inside_is_read_also_through_an_inside_link(tree: Path, path: str) -> None:
    assert Jail([tree]).read_bytes(path) == b"inside\n"


def test_an_absolute_path_that_begins_with_a_root_is_inside(tree: Path) -> None:
    jail = Jail([tree])
    assert jail.resolve(str(tree / "a.py")) == tree / "a.py"
    assert jail.resolve(str(tree)) == tree
    assert jail.locate(f"{tree}/src/b.py").relative.as_posix() == "src/b.py"


ATTACKS = [
    "",
    "missing.py",
    "..",
    "../outside/secret.txt",
    "src/../../outside/secret.txt",
    "src/../a.py",
    "/etc/passwd",
    "//etc/passwd",
    "/",
    "link_out",
    "link_rel_out",
    "dir_out/secret.txt",
    "dir_up/outside/secret.txt",
    "src/chain",
    "loop",
    "passwd",
    "proc/etc/passwd",
    "a.py\0",
    "a.py\0.txt",
    "\0",
    "link_out/",
    "a.py/..",
    "a.py/../../outside/secret.txt",
    "./../outside/secret.txt",
    "..\\outside\\secret.txt",
    "src\\b.py",
    "C:\\Windows\\win.ini",
    "C:/Windows/win.ini",
    "\\\\server\\share\\x",
    "//server/share/x",
    "\\\\?\\C:\\x",
    "a.py::$DATA",
    "CON",
    "file:///etc/passwd",
    "~/.bashrc",
    "$HOME/.bashrc",
    "%2e%2e/outside/secret.txt",
    "..%2foutside%2fsecret.txt",
    "．．/outside/secret.txt",
    "..∕outside∕secret.txt",
    "‥/outside/secret.txt",
    "․․/outside/secret.txt",
    "..／outside／secret.txt",
    "\ud800",
    "\udcff/x",
    "a" * 300,
    "a/" * 3000,
    " ../outside/secret.txt",
    ".. /outside/secret.txt",
    "root/../outside/secret.txt",
    "root/link_out",
    "..;/outside/secret.txt",
    "....//outside/secret.txt",
    "-",
    "*",
    "src/deep/ü file.py",
]


@pytest.mark.parametrize("path", ATTACKS, ids=range(len(ATTACKS)))
def test_an_attack_looks_like_a_missing_file(tree: Path, path: str) -> None:
    jail = Jail([tree])
    with pytest.raises(NotFound) as refusal:
        jail.read_bytes(path)
    missing = str(NotFound(path))
    assert str(refusal.value) == missing
    assert missing.startswith("not found: ")
    assert "\n" not in missing


def test_special_files_and_directories_are_no_files_and_never_hang(tree: Path) -> None:
    jail = Jail([tree])
    for path in ("pipe", "src", ".", "root"):
        with pytest.raises(NotFound):
            jail.open(path)


@pytest.mark.parametrize(
    "path", [".git/config", "src/.git/config", ".GIT/config", "to_git", "root/.git/config", ".git", ".git/."]
)
def test_what_lies_under_a_hidden_name_looks_like_a_missing_file(tree: Path, path: str) -> None:
    for directory in (tree / ".git", tree / "src" / ".git", tree / ".GIT"):
        directory.mkdir(exist_ok=True)
        (directory / "config").write_bytes(SECRET)
    (tree / "to_git").symlink_to(".git/config")
    (tree / ".gitignore").write_text("inside\n")
    jail = Jail([tree], hidden=(".git",))
    for ask in (jail.read_bytes, jail.locate):
        with pytest.raises(NotFound) as refusal:
            ask(path)
        assert str(refusal.value) == f"not found: {path}"
    assert jail.read_bytes(".gitignore") == b"inside\n"
    assert Jail([tree]).read_bytes(".git/config") == SECRET


def test_a_sibling_whose_name_begins_like_the_root_is_outside(tree: Path) -> None:
    sibling = tree.with_name("root-private")
    sibling.mkdir()
    (sibling / "x").write_bytes(SECRET)
    jail = Jail([tree])
    for path in (str(sibling / "x"), "../root-private/x"):
        with pytest.raises(NotFound):
            jail.resolve(path)


def test_roots_of_one_name_are_numbered_and_a_path_is_found_in_the_first_that_has_it(tmp_path: Path) -> None:
    for parent in ("one", "two"):
        (tmp_path / parent / "app").mkdir(parents=True)
        (tmp_path / parent / "app" / f"{parent}.py").write_text(parent)
        (tmp_path / parent / "app" / "both.py").write_text(parent)
    jail = Jail([tmp_path / "one" / "app", tmp_path / "two" / "app"])
    assert list(jail.names) == ["app", "app-2"]
    assert jail.read_bytes("two.py") == b"two"
    assert jail.read_bytes("both.py") == b"one"
    assert jail.read_bytes("app-2/both.py") == b"two"
    assert jail.name_of(tmp_path / "two" / "app") == "app-2"


def test_a_root_that_is_missing_or_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for bad in ("missing", "file"):
        with pytest.raises(NotADirectoryError, match=bad):
            Jail([tmp_path / bad])


PIECES = st.one_of(
    st.sampled_from(
        [
            "..",
            ".",
            "",
            "a.py",
            "src",
            "deep",
            "link_out",
            "dir_out",
            "dir_up",
            "dir_in",
            "chain",
            "secret.txt",
            "outside",
            "root",
            "etc",
            "passwd",
            "loop",
        ]
    ),
    st.sampled_from(["．．", "‥", "..\0", "%2e%2e", "..\\", "C:", "~", "proc", "ü ﬁle.py", "\udc80", "\ud800", "...", ".. "]),
    st.text(max_size=6),
)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(PIECES, max_size=8),
    separator=st.sampled_from(["/", "//", "\\", "∕", "/./"]),
    lead=st.sampled_from(["", "/", "//", "./", "{root}/"]),
)
def test_no_spelling_reads_anything_outside(tree: Path, pieces: list[str], separator: str, lead: str) -> None:
    jail = Jail([tree])
    path = lead.replace("{root}", str(tree)) + separator.join(pieces)
    refusal = ""
    try:
        content = jail.read_bytes(path)
        place = jail.locate(path)
    except NotFound as error:
        refusal = str(error)
    if refusal:
        assert refusal == str(NotFound(path))
        return
    assert content == b"inside\n"
    assert place.path.is_relative_to(tree)
    assert ".." not in place.relative.parts


@pytest.mark.parametrize("swap", ["file", "directory"])
def test_a_rename_between_check_and_opening_never_leads_outside(tree: Path, swap: str) -> None:
    """A second thread swaps an honest entry for a link to outside, and back, as fast as it can, while the first reads."""
    honest, link = (
        (tree / "src" / "b.py", tree.parent / "outside" / "secret.txt")
        if swap == "file"
        else (tree / "src", tree.parent / "outside")
    )
    if swap == "directory":
        (tree.parent / "outside" / "b.py").write_bytes(SECRET)
    aside, trap = honest.with_name("aside"), honest.with_name("trap")
    trap.symlink_to(link)
    done = threading.Event()

    def swapper() -> None:
        while not done.is_set():
            os.rename(honest, aside)
            os.rename(trap, honest)
            os.rename(honest, trap)
            os.rename(aside, honest)

    thread = threading.Thread(target=swapper)
    thread.start()
    seen: dict[str, int] = {"inside": 0, "refused": 0}
    jail = Jail([tree])
    try:
        for _ in range(4000):
            try:
                content = jail.read_bytes("src/b.py")
            except NotFound:
                seen["refused"] += 1
            else:
                assert content == b"inside\n"
                seen["inside"] += 1
    finally:
        done.set()
        thread.join()
    assert seen["refused"]  # the swapper was seen: otherwise this proved nothing
