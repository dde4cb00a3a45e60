"""Cutting a file into the pieces that search ranks: a definition each, and what lies between. It knows no index.

A piece belongs to the innermost definition around it. Comments and decorators directly above a definition go with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from portico_servers.code.syntax.symbols import Symbol

WINDOW = 60  # lines of a piece at most; a longer definition becomes several
_OWN_PIECE = 3  # a definition of fewer lines stays with its surroundings
_ABOVE = ("#", "//", "/*", "*", "--", "@", "///", "<!--", '"""')


@dataclass(frozen=True, slots=True)
class CodeChunk:
    """Lines `start` to `end` (from 1, both included); `symbol` is the index of the definition around it, or None."""

    start: int
    end: int
    symbol: int | None


def cut_chunks(lines: list[str], symbols: list[Symbol]) -> list[CodeChunk]:
    """Every non-blank line lies in exactly one chunk; chunks come in the file's order."""
    owner: list[int | None] = [None] * len(lines)
    for index, symbol in enumerate(symbols):  # outer definitions come first, so that inner ones overwrite
        if symbol.end - symbol.start + 1 < _OWN_PIECE:
            continue
        first = symbol.start - 1
        floor = first
        while (
            floor
            and owner[floor - 1] == owner[first]
            and lines[floor - 1].lstrip().startswith(_ABOVE)
            and lines[floor - 1].strip()
        ):
            floor -= 1
        for line in range(floor, min(symbol.end, len(lines))):
            owner[line] = index
    chunks: list[CodeChunk] = []
    start = 0
    for line in range(1, len(lines) + 1):
        if line == len(lines) or owner[line] != owner[start] or line - start >= WINDOW:
            _append(chunks, lines, start, line, owner[start])
            start = line
    return chunks


def _append(chunks: list[CodeChunk], lines: list[str], start: int, stop: int, owner: int | None) -> None:
    while start < stop and not lines[start].strip():
        start += 1
    while stop > start and not lines[stop - 1].strip():
        stop -= 1
    if start < stop:
        chunks.append(CodeChunk(start + 1, stop, owner))
