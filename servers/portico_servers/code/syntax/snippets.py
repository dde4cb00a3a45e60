"""What is shown of a file: a short excerpt of some lines, and the definition around one. It reads no file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from portico_servers.code.syntax.source_text import SourceText
from portico_servers.code.syntax.symbols import Symbol

SNIPPET_LINES = 12
_LINE_CHARS = 240


def excerpt(text: SourceText, start: int, end: int, words: Iterable[str] = (), limit: int = SNIPPET_LINES) -> str:
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
