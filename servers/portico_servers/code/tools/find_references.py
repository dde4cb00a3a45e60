"""find_references: uses of a name in all roots, found as far as a page needs and kept for the pages that follow, so that a
common name costs no more than a rare one.

Likelier files are read first, without a program; only where those don't fill a page does ripgrep look through the rest.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event

import anyio
import anyio.to_thread

from portico_servers.code.errors import BadFilter
from portico_servers.code.external.ripgrep import files_with_matches, walk_from
from portico_servers.code.index.candidates import AcceptPath, SearchPlan
from portico_servers.code.index.regex_search import with_modified
from portico_servers.code.index.regex_trigrams import literal_query
from portico_servers.code.index.root_index import RootIndex
from portico_servers.code.syntax.references import Reference, references
from portico_servers.code.syntax.source_text import MAX_BYTES, read_listed
from portico_servers.code.tools.filters import SearchFilter, empty_note
from portico_servers.code.tools.results import PAGE_SIZE, Hits, make_hit
from portico_servers.code.workspace import Workspace
from portico_servers.common import cursors
from portico_servers.common.path_jail import NotFound

MAX_USES = 1_000
SECONDS = 1.5  # for a page, at most
ENOUGH_SECONDS = 0.02  # a full page goes on for so long, to count what can be counted
_UNSEARCHED = 32  # likelier files that are read without asking rg
_NAME_CHARS = 200
_SHOWN_FILES = 3  # of those too large to look into
_WORD = ("--fixed-strings", "--word-regexp")

FileSource = Callable[[], Awaitable[Sequence[str]]]


@dataclass(slots=True)
class ReferenceSearch:
    """What is found, in the order of the pages, and what is still to be looked into: files, likelier ones first, and sources
    that give more files. `cut`: a bound within a file, or rg's time, lost some for good. `too_large`: files of which only the
    beginning was looked into."""

    word: str
    found: list[tuple[str, Reference]] = field(default_factory=list)
    in_text: int = 0
    cut: bool = False
    too_large: list[str] = field(default_factory=list)
    files: deque[tuple[str, str]] = field(default_factory=deque)  # root's name, path
    sources: deque[tuple[str, FileSource]] = field(default_factory=deque)
    lock: anyio.Lock = field(default_factory=anyio.Lock)

    @property
    def more(self) -> bool:
        return bool(self.files or self.sources)


async def find_references(workspace: Workspace, name: str, path: str = "", cursor: str | None = None) -> Hits:
    """Uses of a name, its definitions first. Raises `BadFilter`, `BadCursor`, `ToolMissing`."""
    wanted = SearchFilter.of(path, "")
    question = ("references", name, wanted.path)
    offset = cursors.decode(cursor, *question)
    word = name.strip().strip("`").removesuffix("()").replace("::", ".").split(".")[-1].strip()
    if not word or len(word) > _NAME_CHARS or any(c.isspace() or not c.isprintable() for c in word):
        raise BadFilter(f"not a name: {name[:80]!r}; give one identifier, such as parse_config")
    search: ReferenceSearch | None = workspace.results.get(question) if cursor else None
    if search is None:
        search = await _start_search(workspace, word, wanted)
        workspace.results.put(question, search)
    async with search.lock:
        await _search_on(workspace, search, offset + PAGE_SIZE)
    hits = [
        make_hit(root, r.path, r.line, r.line, r.symbol, r.text, kind=r.kind)
        for root, r in search.found[offset : offset + PAGE_SIZE]
    ]
    after = offset + len(hits)
    going_on = after < len(search.found) or (search.more and after < MAX_USES)
    failure = workspace.failure_note()
    notes = [failure or _count_note(search) or empty_note(workspace, hits, wanted), _too_large_note(search)]
    if not search.found and not search.more:
        notes.append(await anyio.to_thread.run_sync(workspace.unsearched_note, abandon_on_cancel=True))
    return Hits(
        hits=hits,
        complete=failure is None and not (search.more or search.cut or search.too_large),
        note="; ".join(filter(None, notes)) or None,
        next_cursor=cursors.encode(after, *question) if going_on else None,
    ).resumable([cursors.encode(offset + n + 1, *question) for n in range(len(hits))])


def _count_note(search: ReferenceSearch) -> str:
    count = len(search.found)
    said = [f"{count}{'+' if search.more or search.cut else ''} uses"] if count else []
    if search.more:
        at_most = f"up to {len(search.files)}" if search.files and not search.sources else "more"
        said.append(f"stopped at a bound: {at_most} files are not looked into; go on with next_cursor or narrow with path")
    elif search.cut:
        said.append("stopped at a bound; narrow with path")
    if search.in_text:
        said.append(f"{search.in_text} more in comments and strings")
    return "; ".join(said)


def _too_large_note(search: ReferenceSearch) -> str | None:
    """Which files stand beyond the size that is read: said, for a use in there is not found."""
    if not search.too_large:
        return None
    names = ", ".join(search.too_large[:_SHOWN_FILES])
    others = len(search.too_large) - _SHOWN_FILES
    more = f" and {others} more" if others > 0 else ""
    return f"{names}{more}, over {MAX_BYTES // 1_000_000} MB, {'was' if len(search.too_large) == 1 else 'were'} not looked into"


async def _start_search(workspace: Workspace, word: str, wanted: SearchFilter) -> ReferenceSearch:
    search = ReferenceSearch(word)
    for name, index in workspace.indexes.items():
        plan = await anyio.to_thread.run_sync(index.plan, literal_query(word), wanted.accepts(name), abandon_on_cancel=True)
        if plan is None:
            start = workspace.walk_start(name, wanted.path)
            walk = await anyio.to_thread.run_sync(walk_from, index.root, start, abandon_on_cancel=True)
            whole = partial(_files_with_word, search, index, wanted.accepts(name), walk)
            search.sources.append((name, whole))
            continue
        likely = _likelier_first(index, word, plan.candidates)
        search.files.extend((name, path) for path in likely[:_UNSEARCHED])
        search.sources.append((name, partial(_remaining_files, search, index, plan, likely[_UNSEARCHED:])))
    return search


async def _remaining_files(search: ReferenceSearch, index: RootIndex, plan: SearchPlan, paths: Sequence[str]) -> Sequence[str]:
    """Those of the plan's remaining `paths` that hold the word, and all that the plan could not know of."""
    regular = await anyio.to_thread.run_sync(index.regular_files, paths, abandon_on_cancel=True)
    found, modified = await with_modified(index, plan, partial(_files_with_word, search, index, plan.accept, regular))
    return [*(found or ()), *modified]


async def _files_with_word(
    search: ReferenceSearch, index: RootIndex, accept: AcceptPath, paths: Sequence[str]
) -> Sequence[str]:
    """Those of `paths` that hold the word, likelier ones first."""
    found: list[str] = []
    with anyio.move_on_after(SECONDS) as scope:
        found = await files_with_matches(index.root, search.word, paths, options=_WORD)
    search.cut = search.cut or scope.cancelled_caught
    return _likelier_first(index, search.word, filter(accept, found))


def _likelier_first(index: RootIndex, word: str, paths: Iterable[str]) -> list[str]:
    """Files that define the word, then a project's own before tests and copies."""
    defining = {item.path for item in index.store.symbols_named(word)} if index.store is not None else set()
    return sorted(paths, key=lambda path: (path not in defining, -index.prior_of(path), path))


async def _search_on(workspace: Workspace, search: ReferenceSearch, wanted: int) -> None:
    """Look on until `wanted` uses are found, or the time is over; and a little longer, as there may be few more."""
    began = time.monotonic()
    first_page = not search.found
    stop = Event()
    try:
        while search.more and time.monotonic() - began < SECONDS:
            if len(search.found) >= wanted and time.monotonic() - began > ENOUGH_SECONDS:
                break
            if search.files:
                look = partial(_read_files, workspace, search, wanted, began, stop)
                await anyio.to_thread.run_sync(look, abandon_on_cancel=True)
            elif len(search.found) >= wanted and len(search.found) >= MAX_USES:
                break
            else:
                name, source = search.sources.popleft()
                search.files.extend((name, path) for path in await source())
    finally:
        stop.set()  # a cancelled call leaves the thread behind; it ends at its next file
    if first_page:
        search.found.sort(key=lambda item: item[1].kind != "definition")  # the order of the pages from now on


def _read_files(workspace: Workspace, search: ReferenceSearch, wanted: int, began: float, stop: Event) -> None:
    while search.files and not stop.is_set():
        spent = time.monotonic() - began
        if spent > SECONDS or (len(search.found) >= wanted and spent > ENOUGH_SECONDS):
            return
        name, path = search.files.popleft()
        try:
            text = read_listed(workspace.jail, workspace.indexes[name].root, path)
        except NotFound:
            continue
        found = references(path, text, search.word)
        if text.cut:
            search.too_large.append(path)
        search.found += [(name, reference) for reference in found.references]
        search.in_text += found.in_text
        search.cut = search.cut or not found.complete
