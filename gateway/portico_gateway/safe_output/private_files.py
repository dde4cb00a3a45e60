"""Files and folders for their owner alone: logs, and whatever else tells what somebody did."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def private_folder(path: Path) -> Path:
    """The folder, made where it isn't, for its owner alone; one that is there keeps its permissions. Raises OSError."""
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def private_opener(path: str, flags: int) -> int:
    """For `open(opener=...)`: the file is its owner's alone, also if it was there with other permissions."""
    descriptor = os.open(path, flags, 0o600)
    with suppress(OSError):  # somebody else's file, that may be written
        os.fchmod(descriptor, 0o600)
    return descriptor


def narrow(folder: Path) -> None:
    """This user's folder and what is in it, for its owner alone, whatever umask or earlier version has made it. Links, and what
    is another user's, are left alone.
    """
    about = _own(str(folder))
    if about is None or not stat.S_ISDIR(about.st_mode):
        return
    _narrow_one(str(folder), about)  # first: from here on nobody else gets in
    for path in _entries(folder):
        inside = _own(path)
        if inside is not None and not stat.S_ISLNK(inside.st_mode):
            _narrow_one(path, inside)


def _entries(folder: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield os.path.join(parent, name)


def _own(path: str) -> os.stat_result | None:
    with suppress(OSError):
        about = os.lstat(path)
        return about if not hasattr(os, "geteuid") or about.st_uid == os.geteuid() else None
    return None


def _narrow_one(path: str, about: os.stat_result) -> None:
    if about.st_mode & 0o077:
        with suppress(OSError):
            os.chmod(path, stat.S_IMODE(about.st_mode) & 0o700)
