"""search and find_symbol: from words, a pattern or a name to places in the code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import anyio.to_thread

from portico_servers.code.errors import BadFilter
from portico_servers.code.index.regex_search import matching_lines
from portico_servers.code.index.store import IndexedSymbol
from portico_servers.code.ranking import tokens
from portico_servers.code.ranking.documents import IndexedFile
from portico_servers.code.ranking.ranked_index import ScoredChunk
from portico_servers.code.syntax.languages import KINDS
from portico_servers.code.syntax.snippets import enclosing
from portico_servers.code.tools.filters import SearchFilter, empty_note
from portico_servers.code.tools.results import MAX_RESULTS, PAGE_SIZE, Hit, Hits, make_hit
from portico_servers.code.workspace import Workspace
from portico_servers.common import cursors
from portico_servers.common.question_readers import MAX_PLACES, place

_PER_FILE = 3  # of one file on a page of ranked hits
_MAX_QUERY = 2_000
_MAX_WORDS = 32  # of a query, that are counted
_NAME_CHARS = 400


def search(workspace: Workspace, query: str, path: str = "", language: str = "", cursor: str | None = None) -> Hits:
    """Ranked search. Raises `BadFilter`, `BadCursor`."""
    query = query[:_MAX_QUERY]
    if not query.strip():
        raise BadFilter("an empty query finds nothing: give words, a question, or a pattern with regex=true")
    wanted = SearchFilter.of(path, language)
    question = ("search", query, wanted.path, wanted.language)
    offset = cursors.decode(cursor, *question)
    complete, note = workspace.complete, workspace.progress_note()
    scored = workspace.results.get(question) if offset else None
    if scored is None:
        scored = _ranked_chunks(workspace, query, wanted)
        workspace.results.put(question, scored)
    words = tokens.question_words(query)
    snippets = workspace.snippet_reader()
    hits: list[Hit] = []
    after: list[int] = []  # where the scores go on, by hit
    per_file: dict[tuple[str, str], int] = {}
    taken = offset
    for name, file, found in scored[offset:]:
        taken += 1
        key = (name, file.path)
        per_file[key] = per_file.get(key, 0) + 1
        if per_file[key] > _PER_FILE:
            continue
        text = snippets.excerpt(name, file.path, found.start, found.end, words)
        if text is not None:
            store = workspace.indexes[name].store
            symbol = store.symbol(found.file_id, found.ordinal) if store is not None and found.ordinal >= 0 else None
            hits.append(make_hit(name, file.path, found.start, found.end, symbol, text, score=round(found.score, 3)))
            after.append(taken)
        if len(hits) == PAGE_SIZE:
            break
    following = cursors.encode(taken, *question) if taken < min(len(scored), MAX_RESULTS) else None
    note = note or empty_note(workspace, hits, wanted)
    resumed = [cursors.encode(place, *question) for place in after]
    counted = words[:_MAX_WORDS] if complete else ()  # a word that is not indexed yet is not nowhere
    held = {word.lower(): sum(index.holding(word) for index in workspace.indexes.values()) for word in counted}
    return Hits(hits=hits, complete=complete, note=note, next_cursor=following, words=held).resumable(resumed)


def places(workspace: Workspace, question: str) -> dict[str, Any]:
    """Where a question leads, each place whole: its definition under its path. Nothing while the index is being built."""
    if not workspace.complete or not question.strip():
        return {}
    found: list[dict[str, str]] = []
    snippets = workspace.snippet_reader()
    for name, file, chunk in _ranked_chunks(workspace, question, SearchFilter.of("", ""))[:MAX_PLACES]:
        text = snippets.whole(name, file.path, chunk.start, chunk.end)
        if text is not None:
            store = workspace.indexes[name].store
            symbol = store.symbol(chunk.file_id, chunk.ordinal) if store is not None and chunk.ordinal >= 0 else None
            found.append(place(f"{file.path} {symbol.qualified if symbol else ''}", text))
    return {"places": found}


def _ranked_chunks(workspace: Workspace, query: str, wanted: SearchFilter) -> list[tuple[str, IndexedFile, ScoredChunk]]:
    scored: list[tuple[str, IndexedFile, ScoredChunk]] = []
    for name, index in workspace.indexes.items():
        accepts = wanted.accepts(name)
        accept = (lambda file, accepts=accepts: accepts(file.path)) if wanted else None
        scored += [(name, file, found) for file, found in index.search(query, accept=accept, limit=MAX_RESULTS)]
    if len(workspace.indexes) > 1:
        scored.sort(key=lambda item: -item[2].score)
    return scored


async def search_regex(
    workspace: Workspace, pattern: str, path: str = "", language: str = "", cursor: str | None = None
) -> Hits:
    """Matching lines, likelier files first. Raises `BadPattern`, `BadFilter`, `BadCursor`, `ToolMissing`."""
    wanted = SearchFilter.of(path, language)
    question = ("regex", pattern, wanted.path, wanted.language)
    offset = cursors.decode(cursor, *question)
    ranked: _RankedLines | None = workspace.results.get(question) if offset else None
    if ranked is None:
        ranked = await _ranked_lines(workspace, pattern, wanted)
        workspace.results.put(question, ranked)
    found, complete = ranked
    hits = []
    for _, name, file, line, text in found[offset : offset + PAGE_SIZE]:
        store = workspace.indexes[name].store
        symbol = enclosing(store.symbols_in(file), line) if store is not None else None
        hits.append(make_hit(name, file, line, line, symbol, text))
    after = offset + len(hits)
    following = cursors.encode(after, *question) if after < len(found) else None
    note = workspace.failure_note()
    complete = complete and note is None
    if not complete:
        note = note or f"stopped at a bound: {len(found)} matches so far; narrow the pattern, path or language"
    if not hits:
        unsearched = await anyio.to_thread.run_sync(workspace.unsearched_note, abandon_on_cancel=True)
        note = "; ".join(filter(None, (note, empty_note(workspace, hits, wanted), unsearched))) or None
    resumed = [cursors.encode(offset + n + 1, *question) for n in range(len(hits))]
    return Hits(hits=hits, complete=complete, note=note, next_cursor=following).resumable(resumed)


class _RankedLines(NamedTuple):
    """(minus prior, root, path, line, text) of every match, likelier files first; `complete`: whether that's all."""

    lines: list[tuple[float, str, str, int, str]]
    complete: bool


async def _ranked_lines(workspace: Workspace, pattern: str, wanted: SearchFilter) -> _RankedLines:
    found: list[tuple[float, str, str, int, str]] = []
    complete = True
    for name, index in workspace.indexes.items():
        within, options = workspace.walk_start(name, wanted.path), wanted.ripgrep_options()
        result = await matching_lines(index, pattern, wanted.accepts(name), options=options, within=within)
        complete = complete and result.complete
        found += [(-index.prior_of(m.path), name, m.path, m.line, m.text) for m in result.found]
    return _RankedLines(sorted(found), complete)


def find_symbol(workspace: Workspace, name: str, kind: str = "", cursor: str | None = None) -> Hits:
    """Definitions called `name` (`Class.method` narrows); failing that, those whose names contain it. Raises `BadFilter`."""
    kind = kind.strip().lower()
    if kind and kind not in KINDS:
        raise BadFilter(f"unknown kind {kind[:40]!r}: use one of {', '.join(KINDS)}")
    if len(name) > _NAME_CHARS:
        raise BadFilter(f"not a name: {name[:40]!r}…; give one identifier, such as parse_config")
    offset = cursors.decode(cursor, "symbol", name, kind)
    dotted = name.strip().strip("`").removesuffix("()").replace("::", ".").replace("#", ".")
    *owner, last = [part for part in dotted.split(".") if part] or [""]
    note = workspace.progress_note()
    found = _symbols_named(workspace, last, owner, kind)
    if not found and last:
        found = _symbols_like(workspace, last, kind)
        if found:
            note = note or f"no definition is called {name[:80]!r}; these contain it"
    snippets = workspace.snippet_reader()
    hits, resumed = [], []
    for number, (root, item) in enumerate(found[offset : offset + PAGE_SIZE], offset + 1):
        text = snippets.excerpt(root, item.path, item.symbol.start, item.symbol.end)
        if text is not None:
            resumed.append(cursors.encode(number, "symbol", name, kind))
            hits.append(make_hit(root, item.path, item.symbol.start, item.symbol.end, item.symbol, text))
    after = offset + PAGE_SIZE
    following = cursors.encode(after, "symbol", name, kind) if after < len(found) else None
    return Hits(hits=hits, complete=workspace.complete, note=note, next_cursor=following).resumable(resumed)


def _symbols_named(workspace: Workspace, last: str, owner: Sequence[str], kind: str) -> list[tuple[str, IndexedSymbol]]:
    found: list[tuple[str, IndexedSymbol]] = []
    for root, index in workspace.indexes.items():
        if index.store is not None and last:
            named = index.store.symbols_named(last, kind=kind or None)
            likelier = [(item.symbol.name != last, -index.prior_of(item.path), number) for number, item in enumerate(named)]
            found += [(root, named[number]) for *_, number in sorted(likelier)]
    narrowed = [(root, item) for root, item in found if _belongs_to(item, owner)] if owner else []
    return narrowed or found


def _belongs_to(item: IndexedSymbol, owner: Sequence[str]) -> bool:
    """Whether what encloses the definition, or its path, has all of `owner`."""
    around = {part.lower() for part in (*item.symbol.parent.split("."), *item.path.rsplit(".", 1)[0].split("/"))}
    return all(part.lower() in around for part in owner)


def _symbols_like(workspace: Workspace, part: str, kind: str) -> list[tuple[str, IndexedSymbol]]:
    return [
        (root, item)
        for root, index in workspace.indexes.items()
        if index.store is not None
        for item in index.store.symbols_like(part, kind=kind or None, limit=100)
    ]
