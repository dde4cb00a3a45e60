"""Which files of a root count, and their sizes and times: what the index compares with what it knows. It reads no file."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from portico_servers.code.external.ripgrep import list_names

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


def list_files(root: Path) -> dict[str, FileStat]:
    """Every regular file under `root` that is not ignored: path relative to the root, with `/`, to size and time. None at all
    if the root is gone. Names that are not UTF-8 are left out: no caller could spell them. Raises `ToolMissing`.
    """
    return dict(_stats(root, list_names(root)))


def _stats(root: Path, names: Iterable[bytes]) -> Iterator[tuple[str, FileStat]]:
    prefix = os.fsencode(root) + b"/"
    now = time.time_ns()
    for name in names:
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
