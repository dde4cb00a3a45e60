"""A repository's history without its configuration: what git may read of a workspace, laid out so that nothing of it runs.

A repository can name programs in many places (filters, hooks, monitors, external diffs, text conversions, partial clones'
remotes, submodules' own configurations, includes), and `git -c` can't switch all of them off. So git never sees that
configuration: it runs on a directory of our own that links to the objects, refs and index alone, with a configuration of our
own, which takes over a few plain values (line endings, the kind of hash). Filters and text conversions named by
`.gitattributes` have no driver there, so that git does without them.

Nothing outside the served directories is read: a `.git`, a `commondir` or an `alternates` that leads there is refused.
Source: gitrepository-layout(5), git(1) (environment), git-config(1).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from portico_servers.code.errors import GitError, RootGone, ToolMissing
from portico_servers.code.external.git_config import plain_values, users_environment, write_config

_MAX_POINTER_BYTES = 4_096  # of a file that holds one path or ref
_MAX_LIST_BYTES = 65_536  # of `alternates`
_MAX_ALTERNATES = 5  # of alternates, as git itself follows them
_LINKED = ("refs", "packed-refs", "reftable", "shallow")
_COPIED = ("info/exclude", "info/attributes")
_PARTS = ("HEAD", "index", "config", "logs/HEAD", "logs/refs", *_LINKED, *_COPIED)
_SHARED_INDEX = "sharedindex."  # of a split index
_POINTERS = ("ORIG_HEAD", "FETCH_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD")
_SETTLED_NS = 1_000_000_000  # a folder that changed so lately may change again and show the same time
_MAX_KNOWN = 10_000  # folders
_without_links: dict[Path, int] = {}  # folder -> its time when it had none


@dataclass(frozen=True, slots=True)
class GitPlaces:
    """Where a repository's parts lie, all of them real directories inside what is served. `common` is `own` but for a linked
    worktree."""

    top: Path
    own: Path
    common: Path
    objects: Path


@dataclass(frozen=True, slots=True)
class GitStore:
    """What git is run with: the program, the directory (the root), the top of its work tree and the environment."""

    program: str
    root: Path
    top: Path
    environment: Mapping[str, str]


def locate(root: Path, served: Iterable[Path] = ()) -> GitPlaces:
    """The repository that `root` (a real path) is in. `served` are further directories that it may reach into.

    Raises `GitError` where there is none, or where a part of it lies elsewhere.
    """
    if not root.is_dir():
        raise RootGone(root.name)
    entry, _ = git_directory(root)
    if entry is None:
        raise GitError(f"{root.name} is not in a git repository")
    top = entry.parent
    bounds = (top, *served)
    own = _inside(_named_by(entry, top), bounds, ".git", root.name)
    if not own.is_dir() or not os.path.lexists(own / "HEAD"):
        raise GitError(f"{root.name} is not in a git repository: its .git is not one")
    pointer = _first_line(own / "commondir", bounds, root.name)
    common = _inside(own / pointer, bounds, "commondir", root.name) if pointer else own
    objects = _inside(common / "objects", bounds, ".git/objects", root.name)
    if not objects.is_dir():
        raise GitError(f"{root.name} is not in a git repository: it has no objects")
    _check_objects(objects, bounds, root.name)
    shared = tuple(entry.name for entry in _entries(own) if entry.name.startswith(_SHARED_INDEX))
    for name in (*_PARTS, *shared):
        for home in (own, common):
            if os.path.lexists(home / name):
                part = _inside(home / name, bounds, f".git/{name}", root.name)
                if part.exists() and not (part.is_file() or part.is_dir()):  # git would wait for a pipe's end
                    raise GitError(f"the repository of {root.name} is not read: its .git/{name} is no file")
    for name in ("refs", "reftable", "logs/refs"):
        _check_beneath(common / name, bounds, f".git/{name}", root.name)
    return GitPlaces(top, own, common, objects)


@contextmanager
def opened(program: str, root: Path, places: GitPlaces) -> Iterator[GitStore]:
    """A git directory of our own over these places, while the context lasts. Raises `GitError`."""
    try:
        home = tempfile.TemporaryDirectory(prefix="portico-git-", ignore_cleanup_errors=True)
    except OSError as error:
        raise GitError(f"git needs a temporary directory: {error.strerror or error}") from None
    with home as name:
        directory = Path(name)
        try:
            _lay_out(directory, places)
        except OSError as error:
            raise GitError(f"the repository of {root.name} can't be read: {error.strerror or error}") from None
        environment = _environment(directory, places)
        write_config(directory, {})
        write_config(directory, plain_values(program, directory, environment, places.common / "config"))
        yield GitStore(program, root, places.top, environment)


def git_directory(root: Path) -> tuple[Path | None, Path | None]:
    """(the `.git` nearest above `root`, the directory that it is or names), unchecked: to see whether something changed."""
    entry = next((folder / ".git" for folder in (root, *root.parents) if os.path.lexists(folder / ".git")), None)
    if entry is None:
        return None, None
    try:
        return entry, _named_by(entry, entry.parent)
    except GitError:
        return entry, None


def git_program() -> str:
    """git of the PATH, by its absolute path: a workspace is often the working directory, and no place for programs. Raises
    `ToolMissing`."""
    program = shutil.which("git")
    if program is None or not os.path.isabs(program):
        raise ToolMissing("git was not found on the PATH")
    return program


def _named_by(entry: Path, top: Path) -> Path:
    """The git directory that `.git` is or names."""
    if entry.is_dir():
        return entry
    said = _read_small(entry)
    if said is None or not said.startswith("gitdir:"):
        raise GitError(f"{top.name} is not in a git repository: its .git is neither a directory nor names one")
    return top / said.removeprefix("gitdir:").strip()


def _inside(path: Path, bounds: Sequence[Path], what: str, name: str) -> Path:
    """`path` without links, if it lies in one of `bounds`."""
    try:
        real = Path(os.path.realpath(path))
    except ValueError:  # a NUL in the name
        raise GitError(f"{name} is not in a git repository: its {what} names no directory") from None
    if any(real.is_relative_to(bound) for bound in bounds):
        return real
    raise GitError(
        f"the repository of {name} is not read: its {what} leads outside the directories that are served. If this is a "
        "worktree, a submodule or a shared clone, serve the directory of its main repository as well: portico-code DIR MAIN_DIR"
    )


def _check_objects(objects: Path, bounds: Sequence[Path], name: str, depth: int = 0) -> None:
    """No object, pack or alternate may lie outside."""
    folders = [Path(entry.path) for entry in _entries(objects) if entry.is_dir()]
    chained = [Path(entry.path) for name in ("info", "pack") for entry in _entries(objects / name) if entry.is_dir()]
    for folder in (objects, *folders, *chained):
        for link in _links(folder):
            _inside(Path(link), bounds, ".git/objects", name)
    listed = objects / "info" / "alternates"
    if not os.path.lexists(listed):
        return
    _inside(listed, bounds, "objects/info/alternates", name)
    said = _read_small(listed, _MAX_LIST_BYTES)
    for line in (said or "").splitlines():
        if not line or line.startswith("#"):
            continue
        other = _inside(objects / line, bounds, "objects/info/alternates", name)
        if depth >= _MAX_ALTERNATES:
            raise GitError(f"the repository of {name} is not read: its alternates name each other too deep")
        if other.is_dir():
            _check_objects(other, bounds, name, depth + 1)


def _check_beneath(folder: Path, bounds: Sequence[Path], what: str, name: str) -> None:
    """No link in this folder, or in one in it, may lead outside: git would tell another repository's branches."""
    for parent, folders, files in os.walk(folder):
        for entry in (*folders, *files):
            place = os.path.join(parent, entry)
            if os.path.islink(place):
                _inside(Path(place), bounds, what, name)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _links(folder: Path) -> list[str]:
    """The symbolic links in a folder. Of one that has none this is known until its time changes: objects may be many."""
    try:
        changed = os.stat(folder).st_mtime_ns
    except OSError:
        return []
    if _without_links.get(folder) == changed:
        return []
    found = [entry.path for entry in _entries(folder) if entry.is_symlink()]
    if not found and changed < time.time_ns() - _SETTLED_NS:
        if len(_without_links) >= _MAX_KNOWN:
            _without_links.clear()
        _without_links[folder] = changed
    return found


def _first_line(path: Path, bounds: Sequence[Path], name: str) -> str:
    """Of a file that names a path; empty if there is no such file."""
    if not os.path.lexists(path):
        return ""
    _inside(path, bounds, path.name, name)
    return (_read_small(path) or "").strip().split("\n")[0]


def _read_small(path: Path, limit: int = _MAX_POINTER_BYTES) -> str | None:
    """A small regular file's text; None if it's something else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not hang the server
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            return file.read(limit).decode("utf-8", "surrogateescape")
        except OSError:
            return None


def _lay_out(directory: Path, places: GitPlaces) -> None:
    """HEAD and its like as copies, for they belong to one worktree; refs, their logs and what bounds the history as links."""
    own, common = places.own, places.common
    for name in ("HEAD", *_POINTERS):
        said = f"ref: {os.readlink(own / name)}\n" if (own / name).is_symlink() else _read_small(own / name)
        if said:
            (directory / name).write_text(said, encoding="utf-8", errors="surrogateescape")
    for folder in ("logs", "info", *(() if (common / "refs").is_dir() else ("refs",))):
        (directory / folder).mkdir()
    for home, names in ((common, _LINKED), (own, ("logs/HEAD",)), (common, ("logs/refs",))):
        for name in names:
            if (home / name).exists():
                os.symlink(os.path.realpath(home / name), directory / name)
    for name in _COPIED:
        said = _read_small(common / name, _MAX_LIST_BYTES)
        if said:
            (directory / name).write_text(said, encoding="utf-8", errors="surrogateescape")
    for entry in _entries(own):  # git touches it, so it gets a copy
        if entry.name.startswith(_SHARED_INDEX) and entry.is_file(follow_symlinks=False):
            shutil.copyfile(entry.path, directory / entry.name)


def _environment(directory: Path, places: GitPlaces) -> dict[str, str]:
    kept = {key: value for key, value in users_environment(directory).items() if key != "XDG_CONFIG_HOME"}
    return {
        **kept,
        "HOME": str(directory),
        "GIT_WORK_TREE": str(places.top),
        "GIT_OBJECT_DIRECTORY": str(places.objects),
        "GIT_INDEX_FILE": str(places.own / "index"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ALLOW_PROTOCOL": "",  # none
        "GIT_PAGER": "cat",
    }
