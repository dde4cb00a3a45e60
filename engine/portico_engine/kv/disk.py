"""The disk tier: the content of full blocks in files of their own, found by key, checked whenever they are read.

    ROOT/<root key>/<block key>.kv      magic | key | parent's key | tokens | content | sha256 of all before it

It owns the format, the bound on bytes (least recently used first, over all models under ROOT) and what makes it safe for
several processes at once: a file appears under its name whole or not at all, and may vanish at any time. It knows no pools, no
threads and no executors. Its errors are OSErrors; whoever calls it decides what they mean.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import numpy as np

from portico_engine.kv.tier import FullBlock

DEFAULT_MAX_BYTES = 1 << 30
_MAGIC = b"PORTIKV1"  # of this layout, and of what a block's content means: a decoder that computes otherwise needs another
_SUFFIX, _UNFINISHED = ".kv", ".tmp"
_STALE_SECONDS = 3600  # an unfinished file this old is a dead process's
_DIGEST = hashlib.sha256().digest_size
_SHARES = 16  # the folder is measured anew whenever a sixteenth of the bound was written
_log = logging.getLogger(__name__)


class DiskStore:
    """`tier.TierStore`. Blocks of one model and numerics, `root_key`, below `root`; models share that, and `max_bytes`."""

    def __init__(self, root: Path, root_key: bytes, *, block_bytes: int, max_bytes: int) -> None:
        """Makes the folders, for their owner alone. Raises OSError where they can't be made or are somebody else's."""
        self._root = root
        self._folder = root / root_key.hex()
        self._block_bytes = block_bytes
        self._max_bytes = max_bytes
        self._unmeasured = max_bytes  # so that the first write of a process measures
        self._numbers = count()
        self._make_folders()

    def get(self, block: FullBlock) -> memoryview | None:
        """The block's content [block_bytes]; None where it isn't there. A file that holds anything else is deleted."""
        path = self._path(block.key)
        before = _MAGIC + block.key + block.parent + _tokens(block.tokens)
        size = len(before) + self._block_bytes + _DIGEST
        try:
            with open(path, "rb") as file:
                data = file.read(size + 1)
        except FileNotFoundError:
            return None
        view = memoryview(data)
        whole = len(data) == size and hashlib.sha256(view[:-_DIGEST]).digest() == view[-_DIGEST:]
        if not whole or view[: len(before)] != before:
            _log.warning("%s is damaged or another block's, and is deleted", path)
            path.unlink(missing_ok=True)
            return None
        return view[len(before) : -_DIGEST]

    def put(self, block: FullBlock, content: bytes) -> None:
        """Write the block's file, unless a whole one is there."""
        assert len(content) == self._block_bytes
        if self.get(block) is not None:
            return
        data = _MAGIC + block.key + block.parent + _tokens(block.tokens) + content
        self._make_folders()  # somebody may have emptied the cache
        unfinished = self._folder / f"{block.key.hex()}.{os.getpid()}.{next(self._numbers)}{_UNFINISHED}"
        try:
            with open(unfinished, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(data)
                file.write(hashlib.sha256(data).digest())
            unfinished.rename(self._path(block.key))
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        self._unmeasured += len(data)
        if self._unmeasured >= self._max_bytes // _SHARES:
            self._unmeasured = 0
            self.trim()

    def touch(self, keys: Sequence[bytes]) -> None:
        """A prefix was used: its beginning counts as used after its end, so that it outlives what needs it."""
        now = time.time_ns()
        for depth, key in enumerate(keys):
            try:
                os.utime(self._path(key), ns=(now - depth * 1000,) * 2)
            except FileNotFoundError:
                continue

    def discard(self, keys: Sequence[bytes]) -> None:
        """Delete these blocks' files, if they are there."""
        for key in keys:
            self._path(key).unlink(missing_ok=True)

    def trim(self) -> None:
        """Delete the least recently used files of any model until the next measurement can't come above the bound."""
        found: list[tuple[int, int, str]] = []
        for folder in self._root.iterdir():
            try:
                with os.scandir(folder) as entries:
                    found += [seen for entry in entries if (seen := _measure(entry)) is not None]
            except (FileNotFoundError, NotADirectoryError):
                continue
        found.sort()
        excess = sum(size for _, size, _ in found) - self._max_bytes * (_SHARES - 1) // _SHARES
        for _, size, path in found:
            if excess <= 0:
                return
            Path(path).unlink(missing_ok=True)
            excess -= size

    def _make_folders(self) -> None:
        for folder in (self._root, self._folder):
            _private(folder)

    def _path(self, key: bytes) -> Path:
        return self._folder / (key.hex() + _SUFFIX)


def _tokens(tokens: Sequence[int]) -> bytes:
    return np.asarray(tokens, "<u4").tobytes()


def _measure(entry: os.DirEntry[str]) -> tuple[int, int, str] | None:
    """(last use, bytes, path) of a block's file; a dead process's unfinished one is deleted on the way."""
    try:
        about = entry.stat(follow_symlinks=False)
        if entry.name.endswith(_UNFINISHED) and time.time() - about.st_mtime > _STALE_SECONDS:
            Path(entry.path).unlink(missing_ok=True)
    except FileNotFoundError:
        return None
    return (about.st_mtime_ns, about.st_size, entry.path) if entry.name.endswith(_SUFFIX) else None


def _private(folder: Path) -> None:
    """A folder that is its owner's alone: what others could write there would be read as this model's keys and values."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
        raise PermissionError(f"{folder} is not a folder of this user")
    if about.st_mode & 0o077:
        folder.chmod(0o700)
