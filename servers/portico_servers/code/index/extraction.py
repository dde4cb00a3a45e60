"""One file's bytes -> everything that the index keeps of it. Pure: no disk, no database, so that it runs in any process.

The text itself is not kept: snippets are read from the file when they're shown, and are never staler than it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portico_servers.code.index.trigrams import signature
from portico_servers.code.ranking import tokens
from portico_servers.code.ranking.documents import BODY, NAME, PATH
from portico_servers.code.syntax import chunks
from portico_servers.code.syntax.languages import KINDS, language_of
from portico_servers.code.syntax.source_text import MAX_BYTES, as_utf8
from portico_servers.code.syntax.symbols import Symbol, definitions

# Raised whenever the same file gives other results: terms, pieces, symbols. Indexes of an older version are rebuilt.
EXTRACTION_VERSION = 6
_MAX_PLAIN_BYTES = 200_000  # of a file in no known language (logs, tables) the head says enough
_MAX_MEAN_LINE = 400  # minified or generated: only its path is indexed
_MAX_SYMBOLS = 5_000
BINARY = "binary"
KIND_CODES = {kind: code for code, kind in enumerate(KINDS, start=1)}  # 0: no definition


@dataclass(frozen=True, slots=True)
class ExtractedFile:
    """`chunks`: int32 [n, 4], start line, end line, ordinal in `symbols` or -1, kind code. `postings`: int32 [m, 3],
    chunk, index in `terms`, count. Both as bytes, as the database keeps them. `skipped` says why there is nothing.
    `trigrams`: see `trigrams.signature`; None for what is not text, or was not read whole."""

    path: str
    size: int
    mtime_ns: int
    language: str
    lines: int
    skipped: str | None
    symbols: tuple[Symbol, ...]
    imports: tuple[tuple[int, int], ...]
    chunks: bytes
    terms: tuple[str, ...]
    surfaces: tuple[str, ...]  # of each term, a word as it was written; "" for a name of several parts
    postings: bytes
    trigrams: bytes | None


def unparsable(path: str, size: int, mtime_ns: int) -> ExtractedFile:
    """A file that no parser survives: known by name, so that it isn't tried again until it changes."""
    return _skipped(path, size, mtime_ns, "unparsable")


def _skipped(path: str, size: int, mtime_ns: int, why: str) -> ExtractedFile:
    return ExtractedFile(path, size, mtime_ns, language_of(path), 0, why, (), (), b"", (), (), b"", None)


def extract(path: str, size: int, mtime_ns: int, data: bytes) -> ExtractedFile:
    """`path` is relative to its root. `data` may be the head alone of a file beyond `MAX_BYTES`."""
    language = language_of(path)
    whole = as_utf8(data)
    if whole is None:
        return _skipped(path, size, mtime_ns, BINARY)
    if size > MAX_BYTES:
        return _skipped(path, size, mtime_ns, "too large")
    data = whole
    skipped: str | None = None
    if language == "text":
        data = data[:_MAX_PLAIN_BYTES]
    text = data.decode("utf-8", "replace")
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    symbols: list[Symbol] = []
    imports: list[tuple[int, int]] = []
    pieces: list[chunks.CodeChunk]
    if lines and len(text) / len(lines) > _MAX_MEAN_LINE:
        skipped = "minified"
        pieces = [chunks.CodeChunk(1, 1, None)]
        lines = [""]
    else:
        symbols, imports = definitions(language, data)
        del symbols[_MAX_SYMBOLS:]
        pieces = chunks.cut_chunks(lines, symbols) or [chunks.CodeChunk(1, max(len(lines), 1), None)]
    table, terms, postings = _count(path, lines, symbols, pieces)
    surfaces = tuple(tokens.surface(term[1:]) for term in terms)
    return ExtractedFile(
        path,
        size,
        mtime_ns,
        language,
        len(lines),
        skipped,
        tuple(symbols),
        tuple(imports),
        table.tobytes(),
        terms,
        surfaces,
        postings.tobytes(),
        signature(whole),
    )


def _count(
    path: str, lines: list[str], symbols: list[Symbol], pieces: list[chunks.CodeChunk]
) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """The chunk table, the terms of the file, and (chunk, term, count) rows. Python's slowest part of indexing: each
    distinct word of a piece is split once, and prefixes are put to the file's vocabulary at the end."""
    vocabularies: dict[str, dict[str, int]] = {BODY: {}, NAME: {}, PATH: {}}
    numbers: dict[str, list[tuple[int, int, int]]] = {BODY: [], NAME: [], PATH: []}
    table = np.empty((len(pieces), 4), np.int32)
    in_path = dict.fromkeys(tokens.path_terms(path), 1)
    for number, piece in enumerate(pieces):
        in_name: dict[str, int] = {}
        kind = 0
        if piece.symbol is not None:
            symbol = symbols[piece.symbol]
            kind = KIND_CODES.get(symbol.kind, 0)
            for term in tokens.split(symbol.name):
                in_name[term] = in_name.get(term, 0) + 2
            for term in tokens.terms(symbol.parent):
                in_name[term] = in_name.get(term, 0) + 1
        in_body = tokens.count_terms("\n".join(lines[piece.start - 1 : piece.end]))
        for field, counts in ((BODY, in_body), (NAME, in_name), (PATH, in_path)):
            vocabulary, rows = vocabularies[field], numbers[field]
            for term, count in counts.items():
                rows.append((number, vocabulary.setdefault(term, len(vocabulary)), count))
        table[number] = (piece.start, piece.end, -1 if piece.symbol is None else piece.symbol, kind)
    terms: list[str] = []
    parts: list[np.ndarray] = []
    for field, vocabulary in vocabularies.items():
        part = np.array(numbers[field], np.int32).reshape(-1, 3)
        part[:, 1] += len(terms)
        parts.append(part)
        terms.extend(field + term for term in vocabulary)
    return table, tuple(terms), np.concatenate(parts)
