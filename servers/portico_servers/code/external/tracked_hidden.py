"""Hidden folders that are part of a project: those that git tracks files in, such as `.github`. ripgrep walks into none by
itself, for the rest of them hold tools' state and, often, secrets. Asked of git once for each state of its index.
"""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from typing import TypeAlias

from portico_servers.code.errors import GitError, ToolMissing
from portico_servers.code.external.git_store import git_directory, git_program, locate, opened

HISTORY = (".git", ".hg", ".svn")  # no source, and a remote's address in there may hold a password
SECONDS = 5.0
_MAX_NAMES_BYTES = 4_000_000  # of tracked files in hidden folders
_MAX_FOLDERS = 200
_HIDDEN = ":(glob)**/.*/**"

_State: TypeAlias = tuple[int, int, int] | None  # inode, size, time
_lock = threading.Lock()
_known: dict[Path, tuple[tuple[_State, _State], tuple[str, ...]]] = {}  # by root: .git and index as they were, folders


def tracked_hidden_folders(root: Path) -> tuple[str, ...]:
    """Those beneath `root`, relative to it, outer ones and the hidden ones in them, as git's index has them now; none without
    a repository that may be read, or without git."""
    entry, own = git_directory(root)
    if entry is None:
        return ()
    state = _state(entry), _state(own / "index") if own is not None else None
    with _lock:
        known = _known.get(root)
    if known is not None and known[0] == state:
        return known[1]
    try:
        found = _ask(root)
    except (GitError, ToolMissing, OSError, subprocess.SubprocessError):
        found = ()
    with _lock:
        _known[root] = state, found
    return found


def untracked_hidden_folders(root: Path) -> list[str]:
    """The names of hidden folders at the top of `root` that no search walks into."""
    tracked = tracked_hidden_folders(root)
    try:
        with os.scandir(root) as entries:
            folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(name for name in folders if name.startswith(".") and name not in tracked and name not in HISTORY)


def _state(path: Path) -> _State:
    try:
        known = os.stat(path)
    except (OSError, ValueError):
        return None
    return known.st_ino, known.st_size, known.st_mtime_ns


def _ask(root: Path) -> tuple[str, ...]:
    program = git_program()
    folders: dict[str, None] = {}
    with opened(program, root, locate(root)) as store:
        command = [program, "--no-pager", "ls-files", "-z", "--", _HIDDEN]
        with subprocess.Popen(
            command,
            cwd=root,
            env=dict(store.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            watchdog = threading.Timer(SECONDS, process.kill)
            watchdog.daemon = True
            watchdog.start()
            try:
                assert process.stdout is not None
                names = process.stdout.read(_MAX_NAMES_BYTES)
            finally:
                watchdog.cancel()
                process.kill()
    for name in names.split(b"\0")[:-1]:
        parts = os.fsdecode(name).split("/")[:-1]
        if any(part.casefold() in HISTORY for part in parts):
            continue
        for depth, part in enumerate(parts, 1):
            if part.startswith("."):
                folders["/".join(parts[:depth])] = None
    return tuple(sorted(folders)[:_MAX_FOLDERS])
