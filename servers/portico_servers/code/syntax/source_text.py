"""A file as text: its bytes as UTF-8, read through the jail when they're shown, and its lines. It knows no index."""

from __future__ import annotations

import codecs
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from portico_servers.common.path_jail import Jail, JailedPath, NotFound

MAX_BYTES = 1_000_000  # larger files are listed, not indexed; regex search still reads them
_NEWLINE = 10


class SourceText:
    """A file as text: `data`, UTF-8. `cut` is set if the file is longer than `MAX_BYTES`. Lines are decoded when asked for:
    of a long file a snippet needs a few."""

    def __init__(self, data: bytes, *, cut: bool) -> None:
        self.data = data
        self.cut = cut

    @cached_property
    def _ends(self) -> np.ndarray:
        """Where each line ends, int64 [lines]."""
        ends = np.flatnonzero(np.frombuffer(self.data, np.uint8) == _NEWLINE)
        return ends if not self.data or self.data.endswith(b"\n") else np.append(ends, len(self.data))

    @property
    def count(self) -> int:
        return len(self._ends)

    def lines(self, start: int = 1, end: int | None = None) -> list[str]:
        """Lines `start` to `end` (from 1, both included), as many of them as there are. Bad bytes are replaced."""
        end = self.count if end is None else min(end, self.count)
        if start > end:
            return []
        first = int(self._ends[start - 2]) + 1 if start > 1 else 0
        text = self.data[first : int(self._ends[end - 1])].decode("utf-8", "replace")
        return [line.rstrip("\r") for line in text.split("\n")]

    def line(self, number: int) -> str:
        """One line, or "" beyond the last."""
        return next(iter(self.lines(number, number)), "")


def as_utf8(data: bytes) -> bytes | None:
    """A file's bytes as UTF-8 without a byte order mark, or None for what is not text: what holds a NUL. UTF-16 is known by
    its mark, as ripgrep knows it."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.decode("utf-16", "replace").encode()
    return None if b"\0" in data else data.removeprefix(codecs.BOM_UTF8)


def read_text(jail: Jail, path: str) -> SourceText:
    """The text of the file that a caller names. Raises `NotFound`, also for a binary file: there is no text in it."""
    return _as_text(jail.read_bytes(path, MAX_BYTES + 1), path)


def read_listed(jail: Jail, root: Path, path: str) -> SourceText:
    """The text of a file that the index knows, by its path relative to `root`. Raises `NotFound`."""
    return _as_text(jail.read_jailed(JailedPath(root, PurePosixPath(path)), MAX_BYTES + 1), path)


def _as_text(data: bytes, path: str) -> SourceText:
    text = as_utf8(data[:MAX_BYTES])
    if text is None:
        raise NotFound(path)
    return SourceText(text, cut=len(data) > MAX_BYTES)
