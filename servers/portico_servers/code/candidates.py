"""Which files ripgrep must read for a pattern: those whose trigrams allow a match, and every one that the index doesn't know
as it is now. So a search reads few files, and still finds what a search of all of them would.

It holds paths, times and bitmaps of trigrams; it reads no text and knows no database. The bitmaps take 4 kB a file.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from portico_servers.code.facts import BINARY
from portico_servers.code.files import FileStat, list_files
from portico_servers.code.store import StoredFile
from portico_servers.code.tree import TreeState
from portico_servers.code.trigrams import BYTES, Need, holding, row

_FIRST_ROWS = 256
Accept = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Plan:
    """`first`: files that may match as the index knows them, likelier ones first. The rest is what `CandidateFiles.newer`
    compares: the tree and the table as they were, and which of its slots are not in `first`."""

    first: list[str]
    tree: TreeState
    files: list[_File]
    others: list[int]
    accept: Accept

    @property
    def share(self) -> float:
        """Of the files, how many are in `first`."""
        return len(self.first) / max(len(self.first) + len(self.others), 1)


class _File(NamedTuple):
    path: str
    place: bytes  # absolute, as the system wants it: encoding thousands of paths takes as long as the look at them
    size: int
    mtime_ns: int


class CandidateFiles:
    """The files of one root. `replace` and `listed` belong to the index's thread; the rest to any."""

    def __init__(self, root: Path, outdated: Callable[[], None]) -> None:
        """`outdated` is called, on any thread, when the tree is seen not to be what was `listed`."""
        self._root = root
        self._outdated = outdated
        self._prefix = os.fsencode(root) + b"/"
        self._lock = threading.Lock()
        self._slots: dict[int, int] = {}  # by file id
        self._free: list[int] = []
        self._files: list[_File] = []  # by slot; what is not alive is out of date
        self._rows: npt.NDArray[np.uint8] = np.zeros((0, BYTES), np.uint8)
        self._alive = np.zeros(0, np.bool_)
        self._binary = np.zeros(0, np.bool_)
        self._unread = np.zeros(0, np.bool_)  # text without a bitmap: too large, or the parser's death
        self._tree: TreeState | None = None

    def replace(self, gone: Iterable[int], files: Iterable[StoredFile]) -> None:
        """Forget the files of these ids and take these in, at once: in between, a search would miss what is only saved anew."""
        with self._lock:
            for file_id in gone:
                slot = self._slots.pop(file_id, None)
                if slot is not None:
                    self._alive[slot] = False
                    self._free.append(slot)
            for file in files:
                slot = self._slots[file.id] = self._slot()
                place = self._prefix + os.fsencode(file.path)
                self._files[slot] = _File(file.path, place, file.size, file.mtime_ns)
                self._alive[slot] = True
                self._binary[slot] = file.skipped == BINARY
                self._unread[slot] = file.trigrams is None and file.skipped != BINARY
                if file.trigrams is not None:
                    self._rows[slot] = row(file.trigrams)

    def listed(self, tree: TreeState) -> None:
        """The index knows every file of the tree as it was then."""
        self._tree = tree

    def plan(self, need: Need, accept: Accept, prior: Callable[[str], float]) -> Plan | None:
        """What to read for `need` among the paths that `accept` takes. None while the index can't say."""
        tree = self._tree
        if tree is None:
            return None
        with self._lock:
            wanted = np.zeros(len(self._alive), np.bool_)
            wanted[holding(need, self._rows, np.flatnonzero(self._alive & ~self._binary & ~self._unread))] = True
            wanted |= self._alive & self._unread
            others = np.flatnonzero(self._alive & ~wanted).tolist()
            files = self._files.copy()
        first = [path for slot in np.flatnonzero(wanted).tolist() if accept(path := files[slot].path)]
        first.sort(key=lambda path: (-prior(path), path))
        return Plan(first, tree, files, others, accept)

    def regular(self, paths: Iterable[str]) -> list[str]:
        """Those that are regular files now, reached through directories: a link or a pipe in a place of one is not for rg to
        open."""
        kinds: dict[str, bool] = {"": True}

        def is_directory(folder: str) -> bool:
            if folder not in kinds:
                kinds[folder] = is_directory(folder.rpartition("/")[0]) and self._is(stat.S_ISDIR, folder)
            return kinds[folder]

        return [path for path in paths if is_directory(path.rpartition("/")[0]) and self._is(stat.S_ISREG, path)]

    def _is(self, kind: Callable[[int], bool], path: str) -> bool:
        try:
            return kind(os.lstat(self._prefix + os.fsencode(path)).st_mode)
        except OSError:
            return False

    def newer(self, plan: Plan) -> list[str]:
        """The files that are not as the index knows them, and not in `plan.first`: any of them may match."""
        if plan.tree.changed():
            self._outdated()
            known = {file.path: FileStat(file.size, file.mtime_ns) for file in map(plan.files.__getitem__, plan.others)}
            given = set(plan.first)
            return [
                path
                for path, now in list_files(self._root).items()
                if path not in given and plan.accept(path) and not (now.settled and now == known.get(path))
            ]
        changed = []
        files, lstat = plan.files, os.lstat
        for slot in plan.others:
            path, place, size, mtime_ns = files[slot]
            try:
                now = lstat(place)
            except OSError:
                continue
            if (now.st_mtime_ns != mtime_ns or now.st_size != size) and plan.accept(path):
                changed.append(path)
        return self.regular(changed)

    def _slot(self) -> int:
        if self._free:
            return self._free.pop()
        slot = len(self._files)
        self._files.append(_File("", b"", 0, 0))
        if slot >= len(self._rows):
            more = max(_FIRST_ROWS, slot // 4)
            self._rows = np.concatenate([self._rows, np.zeros((more, BYTES), np.uint8)])
            self._alive, self._binary, self._unread = (
                np.concatenate([flags, np.zeros(more, np.bool_)]) for flags in (self._alive, self._binary, self._unread)
            )
        return slot
