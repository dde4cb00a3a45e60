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
from portico_servers.code.external.ripgrep import files_with
from portico_servers.code.index.candidates import Accept, Plan
from portico_servers.code.index.matching import with_newer
from portico_servers.code.index.patterns import literal
from portico_servers.code.index.root_index import RootIndex
from portico_servers.code.syntax.references import Reference, references
from portico_servers.code.syntax.snippets import read_listed
from portico_servers.code.tools.filters import Filter
from portico_servers.code.tools.results import Hits
from portico_servers.code.workspace import PAGE, Workspace, hit
from portico_servers.common import cursors
from portico_servers.common.path_jail import NotFound

MAX_USES = 1_000
SECONDS = 1.5  # for a page, at most
ENOUGH_SECONDS = 0.02  # a full page goes on for so long, to count what can be counted
_UNSEARCHED = 32  # likelier files that are read without asking rg
_NAME_CHARS = 200
_WORD = ("--fixed-strings", "--word-regexp")

Stage = Callable[[], Awaitable[Sequence[str]]]


@dataclass(slots=True)
class Uses:
    """What is found, in the order of the pages, and what is still to be looked into: files, likelier ones first, and stages
    that give more files. `cut`: a bound within a file, or rg's time, lost some for good."""

    word: str
    found: list[tuple[str, Reference]] = field(default_factory=list)
    in_text: int = 0
    cut: bool = False
    files: deque[tuple[str, str]] = field(default_factory=deque)  # root's name, path
    stages: deque[tuple[str, Stage]] = field(default_factory=deque)
    lock: anyio.Lock = field(default_factory=anyio.Lock)

    @property
    def more(self) -> bool:
        return bool(self.files or self.stages)


async def find_references(workspace: Workspace, name: str, path: str = "", cursor: str | None = None) -> Hits:
    """Uses of a name, its definitions first. Raises `BadFilter`, `BadCursor`, `ToolMissing`."""
    wanted = Filter.of(path, "")
    question = ("references", name, wanted.path)
    offset = cursors.decode(cursor, *question)
    word = name.strip().strip("`").removesuffix("()").replace("::", ".").split(".")[-1].strip()
    if not word or len(word) > _NAME_CHARS or any(c.isspace() or not c.isprintable() for c in word):
        raise BadFilter(f"not a name: {name[:80]!r}; give one identifier, such as parse_config")
    uses: Uses | None = workspace.kept.get(question) if cursor else None
    if uses is None:
        uses = await _begin(workspace, word, wanted)
        workspace.kept.put(question, uses)
    async with uses.lock:
        await _extend(workspace, uses, offset + PAGE)
    hits = [hit(root, r.path, r.line, r.line, r.symbol, r.text, kind=r.kind) for root, r in uses.found[offset : offset + PAGE]]
    after = offset + len(hits)
    going_on = after < len(uses.found) or (uses.more and after < MAX_USES)
    failure = workspace.failure_note()
    note = failure or _counted(uses) or workspace.empty_note(hits, wanted)
    return Hits(
        hits=hits,
        complete=failure is None and not (uses.more or uses.cut),
        note=note,
        next_cursor=cursors.encode(after, *question) if going_on else None,
    )


def _counted(uses: Uses) -> str:
    count = len(uses.found)
    said = [f"{count}{'+' if uses.more or uses.cut else ''} uses"] if count else []
    if uses.more:
        at_most = f"up to {len(uses.files)}" if uses.files and not uses.stages else "more"
        said.append(f"stopped at a bound: {at_most} files are not looked into; go on with next_cursor or narrow with path")
    elif uses.cut:
        said.append("stopped at a bound; narrow with path")
    if uses.in_text:
        said.append(f"{uses.in_text} more in comments and strings")
    return "; ".join(said)


async def _begin(workspace: Workspace, word: str, wanted: Filter) -> Uses:
    uses = Uses(word)
    for name, index in workspace.indexes.items():
        plan = await anyio.to_thread.run_sync(index.plan, literal(word), wanted.accepts(name), abandon_on_cancel=True)
        if plan is None:
            whole = partial(_searched, uses, index, wanted.accepts(name), [workspace.narrow(name, wanted)])
            uses.stages.append((name, whole))
            continue
        likely = _likelier_first(index, word, plan.first)
        uses.files.extend((name, path) for path in likely[:_UNSEARCHED])
        uses.stages.append((name, partial(_planned, uses, index, plan, likely[_UNSEARCHED:])))
    return uses


async def _planned(uses: Uses, index: RootIndex, plan: Plan, paths: Sequence[str]) -> Sequence[str]:
    """Those of the plan's remaining `paths` that hold the word, and all that the plan could not know of."""
    regular = await anyio.to_thread.run_sync(index.regular, paths, abandon_on_cancel=True)
    found, newer = await with_newer(index, plan, partial(_searched, uses, index, plan.accept, regular))
    return [*(found or ()), *newer]


async def _searched(uses: Uses, index: RootIndex, accept: Accept, paths: Sequence[str]) -> Sequence[str]:
    """Those of `paths` that hold the word, likelier ones first."""
    found: list[str] = []
    with anyio.move_on_after(SECONDS) as scope:
        found = await files_with(index.root, uses.word, paths, options=_WORD)
    uses.cut = uses.cut or scope.cancelled_caught
    return _likelier_first(index, uses.word, filter(accept, found))


def _likelier_first(index: RootIndex, word: str, paths: Iterable[str]) -> list[str]:
    """Files that define the word, then a project's own before tests and copies."""
    defining = {item.path for item in index.store.symbols_named(word)} if index.store is not None else set()
    return sorted(paths, key=lambda path: (path not in defining, -index.prior_of(path), path))


async def _extend(workspace: Workspace, uses: Uses, wanted: int) -> None:
    """Look on until `wanted` uses are found, or the time is over; and a little longer, as there may be few more."""
    began = time.monotonic()
    first_page = not uses.found
    stop = Event()
    try:
        while uses.more and time.monotonic() - began < SECONDS:
            if len(uses.found) >= wanted and time.monotonic() - began > ENOUGH_SECONDS:
                break
            if uses.files:
                look = partial(_look, workspace, uses, wanted, began, stop)
                await anyio.to_thread.run_sync(look, abandon_on_cancel=True)
            elif len(uses.found) >= wanted and len(uses.found) >= MAX_USES:
                break
            else:
                name, stage = uses.stages.popleft()
                uses.files.extend((name, path) for path in await stage())
    finally:
        stop.set()  # a cancelled call leaves the thread behind; it ends at its next file
    if first_page:
        uses.found.sort(key=lambda item: item[1].kind != "definition")  # the order of the pages from now on


def _look(workspace: Workspace, uses: Uses, wanted: int, began: float, stop: Event) -> None:
    while uses.files and not stop.is_set():
        spent = time.monotonic() - began
        if spent > SECONDS or (len(uses.found) >= wanted and spent > ENOUGH_SECONDS):
            return
        name, path = uses.files.popleft()
        try:
            found = references(path, read_listed(workspace.jail, workspace.indexes[name].root, path), uses.word)
        except NotFound:
            continue
        uses.found += [(name, use) for use in found.uses]
        uses.in_text += found.in_text
        uses.cut = uses.cut or not found.complete
