"""Text of files, read through the jail when it's shown: lines, a short snippet, what encloses a line. It knows no index."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from portico_servers.code.facts import MAX_BYTES, is_binary
from portico_servers.code.symbols import Symbol
from portico_servers.common.jail import Jail, NotFound

SNIPPET_LINES = 12
_LINE_CHARS = 240


@dataclass(frozen=True, slots=True)
class Text:
    """A file as text. `cut` is set if it was longer than `MAX_BYTES`."""

    data: bytes
    lines: tuple[str, ...]
    cut: bool


def read_text(jail: Jail, path: str) -> Text:
    """The file's text (UTF-8, bad bytes replaced). Raises `NotFound`, also for a binary file: there is no text in it."""
    data = jail.read_bytes(path, MAX_BYTES + 1)
    if is_binary(data):
        raise NotFound(path)
    return _as_text(data[:MAX_BYTES], len(data) > MAX_BYTES)


@lru_cache(maxsize=32)
def _as_text(data: bytes, cut: bool) -> Text:
    lines = data.decode("utf-8", "replace").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return Text(data, tuple(line.rstrip("\r") for line in lines), cut)


def excerpt(lines: Sequence[str], start: int, end: int, words: Iterable[str] = (), limit: int = SNIPPET_LINES) -> str:
    """At most `limit` of the lines `start` to `end` (from 1): the head, then the stretch that holds most of `words`."""
    piece = [line[:_LINE_CHARS] for line in lines[start - 1 : end]]
    if len(piece) <= limit:
        return "\n".join(piece)
    head = limit // 3
    wanted = [word for word in words if len(word) > 1]
    pattern = re.compile("|".join(map(re.escape, wanted)), re.IGNORECASE) if wanted else None
    weights = [len({m.lower() for m in pattern.findall(line)}) if pattern else 0 for line in piece]
    window = limit - head - 1
    at = max(range(head, len(piece) - window + 1), key=lambda i: (sum(weights[i : i + window]), -i))
    if at <= head + 1 or not sum(weights[at : at + window]):
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
