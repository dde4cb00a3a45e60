"""Text of files, read through the jail when it's shown: lines, a short snippet, what encloses a line. It knows no index."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from portico_servers.code.index.extraction import MAX_BYTES, as_utf8
from portico_servers.code.syntax.symbols import Symbol
from portico_servers.common.path_jail import Jail, JailedPath, NotFound

SNIPPET_LINES = 12
_LINE_CHARS = 240
_NEWLINE = 10


class Text:
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


def read_text(jail: Jail, path: str) -> Text:
    """The text of the file that a caller names. Raises `NotFound`, also for a binary file: there is no text in it."""
    return _as_text(jail.read_bytes(path, MAX_BYTES + 1), path)


def read_listed(jail: Jail, root: Path, path: str) -> Text:
    """The text of a file that the index knows, by its path relative to `root`. Raises `NotFound`."""
    return _as_text(jail.read_jailed(JailedPath(root, PurePosixPath(path)), MAX_BYTES + 1), path)


def _as_text(data: bytes, path: str) -> Text:
    text = as_utf8(data[:MAX_BYTES])
    if text is None:
        raise NotFound(path)
    return Text(text, cut=len(data) > MAX_BYTES)


def excerpt(text: Text, start: int, end: int, words: Iterable[str] = (), limit: int = SNIPPET_LINES) -> str:
    """At most `limit` of the lines `start` to `end` (from 1): the head, then the stretch that holds most of `words`."""
    piece = [line[:_LINE_CHARS] for line in text.lines(start, end)]
    if len(piece) <= limit:
        return "\n".join(piece)
    head = limit // 3
    wanted = [word for word in words if len(word) > 1]
    pattern = re.compile("|".join(map(re.escape, wanted)), re.IGNORECASE) if wanted else None
    weights = [len({m.lower() for m in pattern.findall(line)}) if pattern else 0 for line in piece]
    window = limit - head - 1
    sums = [sum(weights[head : head + window])]
    for at in range(head + 1, len(piece) - window + 1):
        sums.append(sums[-1] + weights[at + window - 1] - weights[at - 1])
    at = head + sums.index(max(sums))
    if at <= head + 1 or not max(sums):
        return "\n".join(piece[:limit])
    return "\n".join([*piece[:head], "…", *piece[at : at + window]])


def enclosing(symbols: Sequence[Symbol], line: int) -> Symbol | None:
    """The innermost definition around `line`. `symbols` are in order of place, outer ones first."""
    best: Symbol | None = None
    for symbol in symbols:
        if symbol.start > line:
            break
        if symbol.end >= line and (best is None or symbol.end - symbol.start <= best.end - best.start):
            best = symbol
    return best
