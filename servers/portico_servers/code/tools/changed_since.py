"""changed_since: which files changed, and how. git runs for it, and ends with a cancelled call."""

from __future__ import annotations

from collections.abc import Sequence

from portico_servers.code.errors import GitError
from portico_servers.code.external import git
from portico_servers.code.external.git import FileChange
from portico_servers.code.syntax.snippets import enclosing
from portico_servers.code.tools.filters import SearchFilter
from portico_servers.code.tools.results import PAGE_SIZE, Hit, Hits, make_hit
from portico_servers.code.workspace import Workspace
from portico_servers.common import cursors

_DIFF_LINES = 40
_DIFF_CHARS = 3_000


async def changed_since(workspace: Workspace, ref: str, path: str = "", cursor: str | None = None) -> Hits:
    """Files changed since a revision or a date, in every root that is in a repository. Raises `GitError`, `BadCursor`."""
    wanted = SearchFilter.of(path, "")
    offset = cursors.decode(cursor, "changed", ref, wanted.path)
    found: list[tuple[str, FileChange]] = []
    complete = True
    failures: list[GitError] = []
    for root, index in workspace.indexes.items():
        try:
            result = await git.changed_since(index.root, ref, workspace.jail.roots)
        except GitError as error:
            failures.append(error)
            continue
        complete = complete and result.complete
        accepts = wanted.accepts(root)
        found += [(root, change) for change in result.changes if accepts(change.path)]
    if len(failures) == len(workspace.indexes):
        raise failures[0]
    hits = [_changed(workspace, root, change) for root, change in found[offset : offset + PAGE_SIZE]]
    after = offset + len(hits)
    following = cursors.encode(after, "changed", ref, wanted.path) if after < len(found) else None
    note = f"{len(found)} files changed since {ref[:60]}" if found else f"nothing changed since {ref[:60]}"
    filtered = sum(change.filtered for _, change in found)
    if filtered:
        note += f"; {filtered} of them are made by a filter (such as Git LFS), which is not run: these may be unchanged"
    resumed = [cursors.encode(offset + n + 1, "changed", ref, wanted.path) for n in range(len(hits))]
    return Hits(hits=hits, complete=complete, note=note, next_cursor=following).resumable(resumed)


def _changed(workspace: Workspace, root: str, change: FileChange) -> Hit:
    store = workspace.indexes[root].store
    symbol = enclosing(store.symbols_in(change.path), change.start) if store is not None else None
    return make_hit(root, change.path, change.start, change.end, symbol, _diff_text(change), kind=change.kind)


def _diff_text(change: FileChange) -> str:
    if not change.diff:
        return ""
    lines: Sequence[str] = change.diff.split("\n")
    shown = "\n".join(lines[:_DIFF_LINES])[:_DIFF_CHARS]
    cut = "\n…" if len(shown) < len(change.diff) else ""
    return f"+{change.added} -{change.removed}\n{shown}{cut}"
