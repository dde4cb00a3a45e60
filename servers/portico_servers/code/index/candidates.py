"""Which files ripgrep must read for a pattern: those whose trigrams allow a match, and every one that the index doesn't know
as it is now. So a search reads few files, and still finds what a search of all of them would.

It holds paths, times and bitmaps of trigrams; it reads no text and knows no database. The bitmaps take 0.25 to 4 kB a file.
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

from portico_servers.code.index.directory_times import DirectoryTimes
from portico_servers.code.index.extraction import BINARY
from portico_servers.code.index.files import FileStat, list_files
from portico_servers.code.index.store import StoredFile
from portico_servers.code.index.trigrams import Bitmaps, TrigramQuery, bitmap, matching_rows

_FIRST_ROWS = 64
_NO_ROW: Bitmaps = np.zeros(0, np.uint8)
AcceptPath = Callable[[str], bool]


class _KnownFile(NamedTuple):
    path: str
    place: bytes  # absolute, as the system wants it: encoding thousands of paths takes as long as the look at them
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """`candidates`: files that may match as the index knows them, likelier ones first. The rest is what
    `CandidateFiles.modified_since` compares: the directories and the excluded files as they were known."""

    candidates: list[str]
    excluded: list[_KnownFile]
    times: DirectoryTimes
    accept: AcceptPath

    @property
    def share(self) -> float:
        """Of the files, how many are in `candidates`."""
        return len(self.candidates) / max(len(self.candidates) + len(self.excluded), 1)


class _BitmapTable:
    """Files with a bitmap of one width, or with none: by slot, of which the free ones are used again."""

    def __init__(self, width: int) -> None:
        self.files: list[_KnownFile] = []
        self.rows: Bitmaps = np.zeros((0, width), np.uint8)
        self.alive = np.zeros(0, np.bool_)
        self._free: list[int] = []

    def add(self, file: _KnownFile, bits: Bitmaps) -> int:
        if self._free:
            slot = self._free.pop()
            self.files[slot] = file
        else:
            slot = len(self.files)
            self.files.append(file)
            if slot >= len(self.rows):
                more = max(_FIRST_ROWS, slot // 4)
                self.rows = np.concatenate([self.rows, np.zeros((more, self.rows.shape[1]), np.uint8)])
                self.alive = np.concatenate([self.alive, np.zeros(more, np.bool_)])
        self.rows[slot] = bits
        self.alive[slot] = True
        return slot

    def remove(self, slot: int) -> None:
        self.alive[slot] = False
        self._free.append(slot)


class CandidateFiles:
    """The files of one root. `replace` and `set_times` belong to the index's thread; the rest to any."""

    def __init__(self, root: Path, on_stale: Callable[[], None]) -> None:
        """`on_stale` is called, on any thread, when the tree is seen not to be what it was at `set_times`."""
        self._root = root
        self._on_stale = on_stale
        self._prefix = os.fsencode(root) + b"/"
        self._lock = threading.Lock()
        self._binary = _BitmapTable(0)  # never to be read, unless they change
        self._whole = _BitmapTable(0)  # text without a bitmap, as it's too large or no parser survives it: always to be read
        self._mapped: dict[int, _BitmapTable] = {}  # by bytes of a bitmap
        self._slots: dict[int, tuple[_BitmapTable, int]] = {}  # by file id
        self._times: DirectoryTimes | None = None

    def replace(self, gone: Iterable[int], files: Iterable[StoredFile]) -> None:
        """Forget the files of these ids and take these in, at once: in between, a search would miss what is only saved anew."""
        with self._lock:
            for file_id in gone:
                table, slot = self._slots.pop(file_id)
                table.remove(slot)
            for file in files:
                bits = bitmap(file.trigrams) if file.trigrams is not None else _NO_ROW
                if len(bits):
                    table = self._mapped.setdefault(len(bits), _BitmapTable(len(bits)))
                else:
                    table = self._binary if file.skipped == BINARY else self._whole
                known = _KnownFile(file.path, self._prefix + os.fsencode(file.path), file.size, file.mtime_ns)
                self._slots[file.id] = table, table.add(known, bits)

    def set_times(self, times: DirectoryTimes) -> None:
        """The index knows every file of the tree as it was then."""
        self._times = times

    def plan(self, query: TrigramQuery, accept: AcceptPath, prior: Callable[[str], float]) -> SearchPlan | None:
        """What to read for `query` among the paths that `accept` takes. None while the index can't say."""
        times = self._times
        if times is None:
            return None
        selected: list[_KnownFile] = []
        excluded: list[_KnownFile] = []
        with self._lock:
            for table in (self._binary, self._whole, *self._mapped.values()):
                alive = np.flatnonzero(table.alive)
                if table is self._binary:
                    wanted = alive[:0]
                else:
                    wanted = alive if table is self._whole else matching_rows(query, table.rows, alive)
                selected += map(table.files.__getitem__, wanted.tolist())
                excluded += map(table.files.__getitem__, np.setdiff1d(alive, wanted, assume_unique=True).tolist())
        paths = sorted((file.path for file in selected if accept(file.path)), key=lambda path: (-prior(path), path))
        return SearchPlan(paths, excluded, times, accept)

    def regular_files(self, paths: Iterable[str]) -> list[str]:
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

    def modified_since(self, plan: SearchPlan) -> list[str]:
        """The files that are not as the index knows them, and not in `plan.candidates`: any of them may match."""
        if plan.times.changed():
            self._on_stale()
            known = {file.path: FileStat(file.size, file.mtime_ns) for file in plan.excluded}
            given = set(plan.candidates)
            return [
                path
                for path, now in list_files(self._root).items()
                if path not in given and plan.accept(path) and not (now.settled and now == known.get(path))
            ]
        changed = []
        lstat = os.lstat
        for path, place, size, mtime_ns in plan.excluded:
            try:
                now = lstat(place)
            except OSError:
                continue
            if (now.st_mtime_ns != mtime_ns or now.st_size != size) and plan.accept(path):
                changed.append(path)
        return self.regular_files(changed)
