"""All roots together: their indexes, the jail around them, and what every answer needs. It knows nothing of MCP, nor how any
one question is answered (see `tools`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio.to_thread

from portico_servers.code.external.tracked_hidden import HISTORY, untracked_hidden_folders
from portico_servers.code.index.root_index import RootIndex
from portico_servers.code.result_cache import ResultCache
from portico_servers.code.syntax.snippets import excerpt
from portico_servers.code.syntax.source_text import SourceText, read_listed
from portico_servers.common.path_jail import Jail, NotFound

OPEN_SECONDS = 1.0
FIRST_SECONDS = 3.0  # that calls wait for the first pass of a fresh index, in all
_SHOWN_HIDDEN = 5


class Workspace:
    """`start` begins indexing in the background and returns; every answer says whether it's complete."""

    def __init__(
        self, roots: Sequence[Path], cache_dir: Path, *, changed: Callable[[str, Sequence[str]], None] | None = None
    ) -> None:
        """Raises NotADirectoryError. `changed` is told (root's name, paths) of every later change, on the index's thread."""
        self.jail = Jail(roots, hidden=HISTORY)
        self.results = ResultCache()
        self._patient_until: float | None = None
        self.indexes = {name: RootIndex(root, name, cache_dir, changed=changed) for name, root in self.jail.names.items()}

    def start(self) -> None:
        for index in self.indexes.values():
            index.start()

    def close(self) -> None:
        for index in self.indexes.values():
            index.close()

    @property
    def complete(self) -> bool:
        return all(index.progress.complete and index.failure is None for index in self.indexes.values())

    def failure_note(self) -> str | None:
        """Why a part of the answer will not come, for now at least."""
        return next((index.failure for index in self.indexes.values() if index.failure is not None), None)

    def progress_note(self) -> str | None:
        """How far the index is, while it's being built; or why it never will be."""
        failure = self.failure_note()
        if failure is not None:
            return failure
        parts = [index.progress for index in self.indexes.values() if not index.progress.complete]
        if not parts:
            return None
        done, total = sum(part.done for part in parts), sum(part.total for part in parts)
        return (
            f"still indexing: {done:,} of {total:,} files; ask again for more"
            if total
            else "still indexing; ask again for more"
        )

    def snippet_reader(self) -> SnippetReader:
        """For one answer."""
        return SnippetReader(self)

    def walk_start(self, root: str, path: str) -> str:
        """Where a walk of that root may begin: at the directory or file `path` itself, if that's what a filter names."""
        if path:
            try:
                place = self.jail.locate(path)
            except NotFound:
                return "."
            if place.root == self.indexes[root].root and place.relative.parts:
                return f"./{place.relative.as_posix()}"
        return "."

    async def wait_opened(self, seconds: float = OPEN_SECONDS) -> None:
        """Wait until look-ups by name and path can answer from what an earlier run stored: milliseconds after `start`."""
        for index in self.indexes.values():
            if not index.opened.is_set():
                await anyio.to_thread.run_sync(index.opened.wait, seconds, abandon_on_cancel=True)

    async def wait_indexed(self) -> None:
        """Wait for the first pass over all files, until `FIRST_SECONDS` after the first call that wants it: an answer from half
        of a small workspace helps nobody."""
        if self._patient_until is None:
            self._patient_until = time.monotonic() + FIRST_SECONDS
        for index in self.indexes.values():
            rest = self._patient_until - time.monotonic()
            if rest > 0 and not index.ready.is_set():
                await anyio.to_thread.run_sync(index.ready.wait, rest, abandon_on_cancel=True)

    def unsearched_note(self) -> str | None:
        """Which hidden folders a search that found nothing did not look into."""
        names = [name for index in self.indexes.values() for name in untracked_hidden_folders(index.root)]
        if not names:
            return None
        more = ", …" if len(names) > _SHOWN_HIDDEN else ""
        return f"hidden folders that git does not track are not searched: {', '.join(names[:_SHOWN_HIDDEN])}{more}"

    def file_paths(self, root: str, prefix: str, limit: int = 200) -> list[str]:
        """For completion: files of `root` whose path begins with, or else contains, `prefix`."""
        index = self.indexes.get(root)
        return index.store.paths_like(prefix, limit) if index is not None and index.store is not None else []

    def symbol_names(self, prefix: str, limit: int = 200) -> list[str]:
        """For completion: names of definitions that begin with `prefix`."""
        found = [
            name
            for index in self.indexes.values()
            if index.store is not None
            for name in index.store.names_with_prefix(prefix, limit)
        ]
        return list(dict.fromkeys(found))[:limit]


class SnippetReader:
    """Reads what one answer shows, each file once."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._texts: dict[tuple[str, str], SourceText | None] = {}

    def excerpt(self, root: str, path: str, start: int, end: int, words: Sequence[str] = ()) -> str | None:
        """The snippet as the file is now; None if it went away."""
        text = self._text(root, path)
        return None if text is None else excerpt(text, start, end, words)

    def whole(self, root: str, path: str, start: int, end: int) -> str | None:
        """All of the lines, likewise."""
        text = self._text(root, path)
        return None if text is None else "\n".join(text.lines(start, end))

    def _text(self, root: str, path: str) -> SourceText | None:
        if (root, path) not in self._texts:
            try:
                text = read_listed(self._workspace.jail, self._workspace.indexes[root].root, path)
            except NotFound:
                text = None
            self._texts[root, path] = text
        return self._texts[root, path]
