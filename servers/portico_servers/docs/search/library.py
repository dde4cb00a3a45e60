"""The documentation as callers see it: search it, read a page or section of it, list what there is.

Knows nothing of MCP. Blocking calls, safe from any thread. What a caller names is looked up in the index, never on disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, unquote

import numpy as np

from portico_servers.common.embeddings import Embedder
from portico_servers.common.question_readers import MAX_PLACES, place
from portico_servers.docs.errors import PageNotFound
from portico_servers.docs.index.indexer import IndexingProgress
from portico_servers.docs.index.models import LibraryVersion, StoredPage, StoredPassage, StoredSection
from portico_servers.docs.index.store import DocsIndex
from portico_servers.docs.index.vectors import Neighbour, Vectors
from portico_servers.docs.ingest.web_paths import page_url
from portico_servers.docs.search.ranking import RankedSection, WordCounts, content_words, lexical_search, rank
from portico_servers.docs.search.sentences import RERANKED, rerank
from portico_servers.docs.search.versions import choose, chosen_for, nearest

T = TypeVar("T")
CHARS_PER_TOKEN = 4
MAX_QUERY = 400  # characters
_PLACES_BUDGET = 8_000  # tokens
_SHORT_WAIT = 0.25
_LONG_WAIT = 2.0
_ALIKE = 0.25  # cosine: a section that shares no word with a question stays below it unless it is about the same
_NOTHING = "no documentation is indexed: start the server with a directory, or add a library"


@dataclass(frozen=True, slots=True)
class PassageHit:
    library: str
    version: str
    path: str
    anchor: str
    title_trail: tuple[str, ...]
    line: int
    text: str
    score: float

    @property
    def citation(self) -> str:
        return citation(self.library, self.version, self.path, self.anchor)


@dataclass(frozen=True, slots=True)
class SearchPage:
    hits: list[PassageHit]
    complete: bool
    note: str | None
    more: bool  # further hits follow after these
    words: dict[str, int] = field(default_factory=dict)  # of the query: how many passages hold each
    passages: int = 0  # in the index


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A page or section, or as much of it as fits: lines `line` to `end` of `last`."""

    library: str
    version: str
    path: str
    anchor: str
    title_trail: tuple[str, ...]
    line: int
    end: int
    last: int
    text: str
    sections: list[StoredSection] = field(default_factory=list)
    source: str = ""  # address on the web, if it came from there
    note: str | None = None


def citation(library: str, version: str, path: str, anchor: str = "") -> str:
    """The address of a page or section, as `read` and the resource template take it."""
    address = f"docs://{quote(library, safe='')}/{quote(version, safe='')}/{quote(path, safe='/')}"
    return f"{address}#{quote(anchor, safe='.-_~:()')}" if anchor else address


class Library:
    """All library versions of one server. `progress` tells how far they are indexed."""

    def __init__(
        self,
        store: DocsIndex,
        vectors: Vectors,
        embedder: Embedder,
        progress: IndexingProgress,
        version_ids: Sequence[int] | None = None,
    ) -> None:
        self._store = store
        self._vectors = vectors
        self._embedder = embedder
        self.progress = progress
        self._frequencies = WordCounts()
        self._helper = ThreadPoolExecutor(2, thread_name_prefix="docs-meaning")
        self._counted_at = 0
        self._only = set(version_ids) if version_ids is not None else None

    def library_versions(self) -> list[LibraryVersion]:
        return [s for s in self._store.library_versions() if self._only is None or s.id in self._only]

    def choose(self, name: str = "") -> list[LibraryVersion]:
        """The library versions that `name` means: `""` every library, `numpy`, `numpy@1.26` or `numpy@*` for all its versions.

        Without a version a library's newest is taken. Raises PageNotFound, naming the nearest.
        """
        return choose(self.library_versions(), name)

    def search(self, query: str, library: str = "", *, budget: int = 1000, offset: int = 0, limit: int = 10) -> SearchPage:
        """Passages that answer `query`, best first, one a section, at most `limit` and about `budget` tokens in all."""
        every = self.library_versions()
        if not every:
            return SearchPage([], self.progress.searchable, _NOTHING, False)
        by_id = {s.id: s for s in chosen_for(every, library, query)}
        chosen = None if len(by_id) == self._store.library_version_count() else list(by_id)
        # A start with an index at hand is over in a moment. Asked before the search: what comes in meanwhile isn't in it.
        complete = self.progress.wait(_SHORT_WAIT)
        ranked = self._rank(query, chosen)
        if not ranked and not complete:
            # An empty answer is worth some patience.
            complete = self.progress.wait(_LONG_WAIT)
            ranked = self._rank(query, chosen)
        passages = self._store.passages([item.passage for item in ranked[: max(RERANKED, offset + 4 * limit)]])
        if self._embedder.ready:
            ranked = rerank(query, ranked, passages, self._embedder)
        distinct = _distinct([(passages[item.passage], item.score) for item in ranked if item.passage in passages])
        hits: list[PassageHit] = []
        left = budget * CHARS_PER_TOKEN
        for passage, score in distinct[offset : offset + limit]:
            library_version = by_id[passage.version_id]
            cost = len(passage.text) + sum(map(len, passage.trail)) + len(passage.path) + 60
            if hits and cost > left:
                break
            text = passage.text if cost <= left else _cut(passage.text, max(200, left - (cost - len(passage.text))))
            left -= min(cost, left)
            hits.append(
                PassageHit(
                    library=library_version.library,
                    version=library_version.version,
                    path=passage.path,
                    anchor=passage.anchor,
                    title_trail=passage.trail,
                    line=passage.line,
                    text=text,
                    score=round(score, 4),
                )
            )
        note = self.progress.problem or (None if hits else _searched(by_id.values()))
        if not complete:
            note = str(self.progress) or "indexing has just ended: ask again"
        return SearchPage(
            hits, complete, note, offset + len(hits) < len(distinct), self._word_counts(query), len(self._vectors)
        )

    def places(self, question: str) -> dict[str, Any]:
        """Where a question leads: passages under their page's path and their headings. Nothing while pages are being read."""
        if not self.progress.searchable or not question.strip():
            return {}
        found = self.search(question[:MAX_QUERY], budget=_PLACES_BUDGET, limit=MAX_PLACES)
        named = [place(" ".join((hit.path, *hit.title_trail)), hit.text) for hit in found.hits]
        return {"places": named}

    def _rank(self, query: str, chosen: Sequence[int] | None) -> list[RankedSection]:
        if abs(len(self._vectors) - self._counted_at) > self._counted_at // 10:
            # The index has grown or shrunk: what was common may not be so any more.
            self._frequencies.clear()
            self._counted_at = len(self._vectors)
        pending = None
        if len(self._vectors) and self._embedder.ready and content_words(query):
            # Neither half holds the interpreter's lock for long: on two cores they cost what the longer one costs.
            pending = self._helper.submit(self._meaning, query, chosen)
        with self._store.read() as db:
            found = lexical_search(db, query, chosen, count=partial(self._frequencies.of, db))
        meaning: Sequence[Neighbour] = pending.result() if pending is not None else ()
        if meaning and not found.words:
            # Something is always nearest, be it as far away as can be: where no word speaks for it, it must be near indeed.
            meaning = self._meaning(query, chosen, floor=_ALIKE)
        return rank(found, meaning)

    def _word_counts(self, query: str) -> dict[str, int]:
        with self._store.read() as db:
            return {word: self._frequencies.of(db, f'"{word}"') for word in content_words(query)}

    def _meaning(self, query: str, chosen: Sequence[int] | None, floor: float = -1.0) -> Sequence[Neighbour]:
        return self._vectors.nearest(np.asarray(self._embedder.embed([query])[0], np.float32), chosen, floor=floor)

    def read(self, address: str, library: str = "", *, max_chars: int = 8_000, from_line: int = 0) -> Excerpt:
        """The page or section at `address` (`path`, `path#anchor`, `path:line` or a citation), from `from_line` on."""
        library, path, anchor = self._parse(address, library)
        library_version, page, line = self._patiently(lambda: self._page(path, library))
        sections = self._store.sections(page.id)
        section = _section(sections, anchor, line)
        if section is None and unquote(anchor) != anchor:  # percent-encoded, as in the addresses that `read` prints
            section = _section(sections, unquote(anchor), line)
        if anchor and section is None:
            near = nearest(anchor, [s.anchor for s in sections if s.anchor], "sections")
            raise PageNotFound(f"{page.path} has no section {anchor!r}; {near}")
        lines = page.text.split("\n")
        first, last = (section.line, section.end) if section else (1, len(lines))
        if section is not None and section.anchor:
            # Several entries of a PDF's outline open the same page, and HTML may repeat an id: all of them are shown.
            last = max(s.end for s in sections if s.anchor == section.anchor)
        start = max(first, from_line)
        end, size = start - 1, 0
        for number in range(start, min(last, len(lines)) + 1):
            size += len(lines[number - 1]) + 1
            if size > max_chars and end >= start:
                break
            end = number
        text = "\n".join(lines[start - 1 : end])
        if len(text) > max_chars:
            text = _cut(text, max_chars)
        trail = section.trail if section else ((page.title,) if page.title else ())
        inner = [s for s in sections if s.anchor and first <= s.line <= last and s is not section]
        return Excerpt(
            library=library_version.library,
            version=library_version.version,
            path=page.path,
            anchor=section.anchor if section else "",
            title_trail=trail,
            line=start,
            end=end,
            last=last,
            text=text,
            sections=inner,
            source=_web_address(library_version, page.path, section.anchor if section else ""),
            note=page.note or None,
        )

    def page(self, library: str, version: str, path: str) -> StoredPage:
        """A whole page, exactly. Raises PageNotFound."""
        return self._patiently(lambda: self._whole(library, version, path))

    def _whole(self, library: str, version: str, path: str) -> StoredPage:
        for library_version in self.choose(f"{library}@{version}"):
            page = self._store.page(library_version.id, path)
            if page is not None:
                return page
        address = citation(library, version, path)
        raise PageNotFound(
            f"not found: {address}" if self.progress.searchable else f"not found yet: {address} ({self.progress})"
        )

    def _patiently(self, look: Callable[[], T]) -> T:
        """What `look` finds; while the index is being built, a page that isn't there yet is waited for a while."""
        complete = self.progress.searchable  # asked before: what comes in meanwhile was not looked at
        try:
            return look()
        except PageNotFound:
            if complete:
                raise
        self.progress.wait(_LONG_WAIT)
        return look()

    def pages(
        self, library: str = "", *, offset: int = 0, limit: int = 100
    ) -> tuple[LibraryVersion, list[tuple[str, str, str, int]]]:
        """(library version, [(path, title, kind, sections)]) of one library."""
        library_version = self.choose(library)[0]
        return library_version, self._store.page_list(library_version.id, limit=limit, offset=offset)

    def complete_path(self, library: str, version: str, prefix: str, limit: int = 100) -> list[str]:
        try:
            library_versions = self.choose(f"{library}@{version or '*'}") if library else self.library_versions()
        except PageNotFound:
            return []
        found = [row[0] for s in library_versions for row in self._store.page_list(s.id, prefix=prefix, limit=limit)]
        return list(dict.fromkeys(found))[:limit]

    def _parse(self, address: str, library: str) -> tuple[str, str, str]:
        """(library[@version], path, anchor)"""
        address = address.strip()
        if address.startswith("docs://"):
            rest, _, anchor = address[len("docs://") :].partition("#")
            name, _, rest = rest.partition("/")
            version, _, path = rest.partition("/")
            return f"{unquote(name)}@{unquote(version)}", unquote(path), unquote(anchor)
        path, _, anchor = address.partition("#")
        return library, path, anchor

    def _page(self, path: str, library: str) -> tuple[LibraryVersion, StoredPage, int]:
        """(library version, page, line or 0)"""
        library_versions = self.choose(library)
        numbered = re.fullmatch(r"(.+?):(\d{1,7})", path)
        tries = [(path, 0), *([(numbered[1], int(numbered[2]))] if numbered else [])]
        if unquote(path) != path:
            tries.append((unquote(path), 0))
        for name, line in tries:
            for library_version in library_versions:
                # A model often repeats the library's name before the path.
                for prefix in (
                    "",
                    "./",
                    f"{library_version.library}/{library_version.version}/",
                    f"{library_version.library}/",
                ):
                    page = self._store.page(library_version.id, name.removeprefix(prefix)) if name.startswith(prefix) else None
                    if page is not None:
                        return library_version, page, line
            # A name without its folder, if only one page can be meant.
            alike = [
                (s, row[0]) for s in library_versions for row in self._store.page_list(s.id) if row[0].endswith(f"/{name}")
            ]
            if name and len(alike) == 1:
                page = self._store.page(alike[0][0].id, alike[0][1])
                if page is not None:
                    return alike[0][0], page, line
        if not self.progress.searchable:
            raise PageNotFound(f"not found yet: {path[:200]} ({self.progress})")
        known = [row[0] for s in library_versions for row in self._store.page_list(s.id, limit=5000)]
        raise PageNotFound(f"not found: {path[:200]}; {nearest(path, known, 'pages')}")


def _searched(library_versions: Iterable[LibraryVersion]) -> str:
    names = [f"{s.name} ({s.pages} pages)" for s in library_versions]
    return f"searched {', '.join(names[:6])}{' and more' if len(names) > 6 else ''}"


def _web_address(library_version: LibraryVersion, path: str, anchor: str) -> str:
    if library_version.kind != "url":
        return ""
    return f"{page_url(library_version.source, path)}#{anchor}" if anchor else page_url(library_version.source, path)


def _section(sections: list[StoredSection], anchor: str, line: int) -> StoredSection | None:
    if anchor:
        for test in (lambda s: s.anchor == anchor, lambda s: anchor in s.aliases, lambda s: s.anchor.lower() == anchor.lower()):
            found = next((s for s in sections if test(s)), None)
            if found is not None:
                return found
        wanted = anchor.strip().lower()
        return next((s for s in sections if s.title.lower() == wanted and s.anchor), None)
    if line:
        inside = [s for s in sections if s.line <= line <= s.end]
        return inside[-1] if inside and inside[-1].level else None
    return None


def _distinct(ranked: list[tuple[StoredPassage, float]]) -> list[tuple[StoredPassage, float]]:
    """None that says the same as a better one, or only a part of it."""
    texts: set[bytes] = set()
    lines: dict[int, list[tuple[int, int]]] = {}
    kept = []
    for passage, score in ranked:
        mine = lines.setdefault(passage.page_id, [])
        if passage.digest in texts or any(a <= passage.line and passage.end <= b for a, b in mine):
            continue
        texts.add(passage.digest)
        mine.append((passage.line, passage.end))
        kept.append((passage, score))
    return kept


def _cut(text: str, limit: int) -> str:
    """The beginning, cut at a line or word border: still exactly what the page says."""
    if len(text) <= limit:
        return text
    border = max(text.rfind("\n", 0, limit), text.rfind(" ", 0, limit))
    return text[: border if border > limit // 2 else limit].rstrip()
