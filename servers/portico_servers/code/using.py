"""find_references and changed_since: who uses a name, and what changed. Both run a program, which a cancelled call ends."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event

import anyio.to_thread

from portico_servers.code import history
from portico_servers.code.errors import BadFilter, GitError
from portico_servers.code.filters import Filter
from portico_servers.code.history import Change
from portico_servers.code.references import Reference, References, references
from portico_servers.code.results import Hit, Hits
from portico_servers.code.ripgrep import files_with
from portico_servers.code.snippets import enclosing
from portico_servers.code.workspace import PAGE, Workspace, hit
from portico_servers.common import cursor as cursors

_NAME_CHARS = 200
_DIFF_LINES = 40
_DIFF_CHARS = 3_000


async def find_references(workspace: Workspace, name: str, path: str = "", cursor: str | None = None) -> Hits:
    """Uses of a name, its definitions first. Raises `BadFilter`, `BadCursor`, `ToolMissing`."""
    wanted = Filter.of(path, "")
    question = ("references", name, wanted.path)
    offset = cursors.decode(cursor, *question)
    word = name.strip().strip("`").removesuffix("()").replace("::", ".").split(".")[-1].strip()
    if not word or len(word) > _NAME_CHARS or any(c.isspace() or not c.isprintable() for c in word):
        raise BadFilter(f"not a name: {name[:80]!r}; give one identifier, such as parse_config")
    kept = workspace.kept.get(question) if offset else None
    if kept is None:
        kept = await _everywhere(workspace, word, wanted)
        workspace.kept.put(question, kept)
    found, every = kept
    hits = [hit(root, r.path, r.line, r.line, r.symbol, r.text, kind=r.kind) for root, r in found[offset : offset + PAGE]]
    after = offset + len(hits)
    following = cursors.encode(after, *question) if after < len(found) else None
    note = _counted(len(found), every) or workspace.empty_note(hits, wanted)
    return Hits(hits=hits, complete=every.complete, note=note, next_cursor=following)


async def _everywhere(workspace: Workspace, word: str, wanted: Filter) -> tuple[list[tuple[str, Reference]], References]:
    """The uses in all roots, definitions first, and their bounds and counts added up."""
    found: list[tuple[str, Reference]] = []
    every = References()
    for root in workspace.indexes:
        part = await _in_root(workspace, root, word, wanted)
        found += [(root, item) for item in part.found]
        every.complete = every.complete and part.complete
        every.unread += part.unread
        every.in_text += part.in_text
    found.sort(key=lambda item: item[1].kind != "definition")
    return found, every


async def _in_root(workspace: Workspace, root: str, word: str, wanted: Filter) -> References:
    index = workspace.indexes[root]
    options = ["--fixed-strings", "--word-regexp"]
    paths, all_files = await files_with(index.root, word, options=options, within=workspace.narrow(root, wanted))
    defining = {item.path for item in index.store.symbols_named(word)} if index.store is not None else set()
    ordered = sorted(filter(wanted.accepts(root), paths), key=lambda p: (p not in defining, -index.prior_of(p), p))
    stop = Event()
    try:
        part = await anyio.to_thread.run_sync(
            lambda: references(workspace.jail, str(index.root), ordered, word, stop=stop), abandon_on_cancel=True
        )
    finally:
        stop.set()  # a cancelled call leaves the thread behind; it ends at its next file
    part.complete = part.complete and all_files
    return part


def _counted(count: int, every: References) -> str:
    said = [f"{count}{'' if every.complete else '+'} uses"] if count else []
    if every.unread:
        said.append(f"stopped at a bound with {every.unread} files unread; narrow with path")
    if every.in_text:
        said.append(f"{every.in_text} more in comments and strings")
    return "; ".join(said)


async def changed_since(workspace: Workspace, ref: str, path: str = "", cursor: str | None = None) -> Hits:
    """Files changed since a revision or a date, in every root that is in a repository. Raises `GitError`, `BadCursor`."""
    wanted = Filter.of(path, "")
    offset = cursors.decode(cursor, "changed", ref, wanted.path)
    found: list[tuple[str, Change]] = []
    complete = True
    failures: list[GitError] = []
    for root, index in workspace.indexes.items():
        try:
            result = await history.changed_since(index.root, ref)
        except GitError as error:
            failures.append(error)
            continue
        complete = complete and result.complete
        accepts = wanted.accepts(root)
        found += [(root, change) for change in result.changes if accepts(change.path)]
    if len(failures) == len(workspace.indexes):
        raise failures[0]
    hits = [_changed(workspace, root, change) for root, change in found[offset : offset + PAGE]]
    after = offset + len(hits)
    following = cursors.encode(after, "changed", ref, wanted.path) if after < len(found) else None
    note = f"{len(found)} files changed since {ref[:60]}" if found else f"nothing changed since {ref[:60]}"
    return Hits(hits=hits, complete=complete, note=note, next_cursor=following)


def _changed(workspace: Workspace, root: str, change: Change) -> Hit:
    store = workspace.indexes[root].store
    symbol = enclosing(store.symbols_in(change.path), change.start) if store is not None else None
    return hit(root, change.path, change.start, change.end, symbol, _diff_text(change), kind=change.kind)


def _diff_text(change: Change) -> str:
    if not change.diff:
        return ""
    lines: Sequence[str] = change.diff.split("\n")
    shown = "\n".join(lines[:_DIFF_LINES])[:_DIFF_CHARS]
    cut = "\n…" if len(shown) < len(change.diff) else ""
    return f"+{change.added} -{change.removed}\n{shown}{cut}"
