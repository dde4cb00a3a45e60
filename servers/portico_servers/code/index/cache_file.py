"""The file that a root's index lies in: who may write it, and where. It knows that it's SQLite's, not what is in it.

The cache can be deleted at any time. One process writes it: a second one on the same root works on a private copy, which goes
when it ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path


class CacheFile:
    """`path`, in `cache_dir` or in a private folder beneath it, is this process's alone until `release`."""

    def __init__(self, cache_dir: Path, name: str) -> None:
        cache_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = cache_dir / f"{name}.sqlite"
        self._private: Path | None = None
        _sweep(cache_dir, name)
        lock = _lock(cache_dir / f"{name}.lock")
        if lock is None:
            while lock is None:  # another start may be sweeping just now
                self._private = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=cache_dir))
                lock = _lock(self._private / "lock")
            assert self._private is not None
            _copy(self.path, self._private / "index.sqlite")
            self.path = self._private / "index.sqlite"
        self._held = lock

    @property
    def private(self) -> bool:
        """Whether what is written goes with this process."""
        return self._private is not None

    def release(self) -> None:
        if self._private is not None:
            shutil.rmtree(self._private, ignore_errors=True)
        os.close(self._held)

    def remove(self) -> None:
        """The file and what SQLite keeps beside it."""
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)


def _copy(path: Path, target: Path) -> None:
    """A database as it is now; nothing if it's not there or damaged."""
    if not path.exists():
        return
    source = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        with sqlite3.connect(target) as copy:
            source.backup(copy)
        copy.close()
    except sqlite3.DatabaseError:
        target.unlink(missing_ok=True)
    finally:
        source.close()


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock until it's closed, or its process ends; None if another has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _sweep(cache_dir: Path, name: str) -> None:
    """Remove the private copies of processes that were killed."""
    for folder in cache_dir.glob(f"{name}-*/"):
        if not (folder / "lock").exists():
            continue  # it's being made
        lock = _lock(folder / "lock")
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
