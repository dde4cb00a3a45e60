"""Where pages come from: a directory, a file. What is there now, under which stamp, and the bytes behind a name.

Knows nothing of formats and the index. Nothing outside the root is read: every file goes through the path jail.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from portico_servers.docs.readers import MAX_BYTES, kind_of

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_SKIPPED = {"node_modules", "__pycache__", "site-packages", "venv", "env", "target", "htmlcov"}
_GENERIC = {"doc", "docs", "documentation", "html", "source", "src", "site", "_build", "build", "public", "content", "pages"}
MAX_PAGES = 50_000


class Found(NamedTuple):
    """A page that the source has now: changed if its stamp is another one than before."""

    path: str
    stamp: str
    size: int


def library_name(root: Path) -> str:
    """What a directory's library is called: its name, or its parents' where it is only `docs` or the like."""
    for part in (root, *root.parents):
        if part.name and part.name.lower() not in _GENERIC:
            return part.name.replace("/", "-").replace("@", "-")
    return root.name or "docs"


def scan_directory(root: Path) -> Iterator[Found]:
    """Every documentation file below `root`, in order of path. Hidden and vendored directories and what .gitignore names
    are left out, and so are links: they would count a page twice or lead outside."""
    pending: list[tuple[Path, list[tuple[Path, GitIgnoreSpec]]]] = [(root, [])]
    count = 0
    while pending:
        directory, ignores = pending.pop()
        try:
            entries = sorted(os.scandir(directory), key=lambda e: e.name)
        except OSError:
            continue
        rules = _gitignore(directory)
        if rules is not None:
            ignores = [*ignores, (directory, rules)]
        names = {entry.name for entry in entries}
        below = []
        for entry in entries:
            is_directory = entry.is_dir(follow_symlinks=False)
            if entry.name.startswith(".") or _ignored(Path(entry.path), is_directory, ignores):
                continue
            if is_directory:
                # Sphinx puts copies of its sources beside the HTML made from them.
                copies = entry.name == "_sources" and "_static" in names
                if entry.name not in _SKIPPED and not copies and "pyvenv.cfg" not in _children(entry.path):
                    below.append((Path(entry.path), ignores))
            elif kind_of(entry.name) is not None and entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                if status.st_size <= MAX_BYTES and count < MAX_PAGES:
                    count += 1
                    yield Found(Path(entry.path).relative_to(root).as_posix(), _stamp(status), status.st_size)
        pending.extend(reversed(below))


def scan_file(path: Path) -> Iterator[Found]:
    try:
        status = path.stat()
    except OSError:
        return
    if stat.S_ISREG(status.st_mode):
        yield Found(path.name, _stamp(status), status.st_size)


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}:{status.st_size}"


def _children(directory: str) -> set[str]:
    try:
        return set(os.listdir(directory))
    except OSError:
        return set()


def _gitignore(directory: Path) -> GitIgnoreSpec | None:
    from pathspec import GitIgnoreSpec

    try:
        lines = (directory / ".gitignore").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return GitIgnoreSpec.from_lines(lines)


def _ignored(path: Path, is_directory: bool, ignores: list[tuple[Path, GitIgnoreSpec]]) -> bool:
    """The innermost .gitignore that has an opinion decides."""
    for base, rules in reversed(ignores):
        relative = PurePosixPath(path.relative_to(base)).as_posix() + ("/" if is_directory else "")
        verdict = rules.check_file(relative).include
        if verdict is not None:
            return bool(verdict)
    return False
