"""Keeps the index what its sources are: once over everything at the start, then whatever changes.

Runs in a thread of its own, the index's only writer in this process. Knows libraries, their sources and the index; not who
asks.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from portico_servers.common.embeddings import Embedder
from portico_servers.docs.errors import DocsError, SourceError
from portico_servers.docs.index.models import LibraryVersion
from portico_servers.docs.index.store import DocsIndex
from portico_servers.docs.index.vectors import Vectors
from portico_servers.docs.ingest.reader_pool import PreparedPage, read_pages
from portico_servers.docs.ingest.sources import (
    MAX_PAGES,
    SourcePage,
    checked_root,
    package_place,
    scan_directory,
    scan_file,
    scan_package,
)

log = logging.getLogger(__name__)
_EMBED_BATCH = 512
_POLL_SECONDS = 5  # between two looks at what can't be watched


@dataclass(slots=True)
class IndexingProgress:
    """How far the first pass is. Written by the indexer, read by anyone; `changed` wakes those who wait."""

    phase: str = "waiting"  # waiting, scanning, reading, embedding, ready, failed
    library_version: str = ""
    done: int = 0
    total: int = 0
    failed: dict[str, str] = field(default_factory=dict)  # library@version/path -> why
    problem: str = ""
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def searchable(self) -> bool:
        """Everything is in the full-text index (vectors may still come)."""
        return self.phase in ("embedding", "ready", "failed")

    def set(self, **values: object) -> None:
        with self.changed:
            for name, value in values.items():
                setattr(self, name, value)
            self.changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Until everything is searchable, at most `seconds`; whether it is."""
        with self.changed:
            return self.changed.wait_for(lambda: self.searchable, timeout=seconds)

    def __str__(self) -> str:
        if self.phase == "reading":
            return f"indexing {self.library_version}: {self.done} of {self.total} pages so far"
        return {"ready": "", "embedding": "", "failed": self.problem}.get(self.phase, "indexing has just begun")


@dataclass(frozen=True, slots=True)
class IndexListener:
    """Told from the indexer's thread what changed after the first pass."""

    pages: Callable[[LibraryVersion, Sequence[str]], None]  # paths of a library version, re-read or gone
    library_versions: Callable[[], None]  # another process added a library, or removed one


class Indexer:
    """`start` returns at once; `stop` ends the thread within about a second."""

    def __init__(
        self,
        store: DocsIndex,
        vectors: Vectors,
        embedder: Embedder,
        *,
        watch: bool = True,
    ) -> None:
        self.progress = IndexingProgress()
        self._store = store
        self._vectors = vectors
        self._embedder = embedder
        self._watch = watch
        self._listener: IndexListener | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, library_versions: Callable[[], Sequence[LibraryVersion]], listener: IndexListener | None = None) -> None:
        self._listener = listener
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, args=(library_versions,), name="docs-indexer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self, library_versions: Callable[[], Sequence[LibraryVersion]]) -> None:
        try:
            mine = library_versions()
            self._load_vectors()
            self.update(mine)
            if self._watch and not self._stop.is_set():
                self._follow(mine, library_versions)
        except BaseException as error:
            log.exception("the indexer stopped")
            self.progress.set(phase="failed", problem=f"indexing failed: {error}")

    def update(self, library_versions: Sequence[LibraryVersion]) -> None:
        """One pass over all library versions, then the vectors that are missing. Blocks."""
        self.progress.set(phase="scanning", done=0, total=0)
        for library_version in library_versions:
            if self._stop.is_set():
                return
            if library_version.kind != "url":  # the web is `crawl`'s, and only when it's asked for
                self._update_library_version(library_version)
        self.progress.set(phase="embedding", library_version="")
        self._embed()
        if not self._stop.is_set():
            self.progress.set(phase="ready")

    def _update_library_version(self, library_version: LibraryVersion) -> list[str]:
        """Bring one library version up to date; the paths that changed."""
        try:
            found = list(scan(library_version))
        except DocsError as error:
            log.warning("%s: %s", library_version.name, error)
            self._store.mark_library_version(library_version.id, complete=False, note=str(error))
            self.progress.failed[library_version.name] = str(error)
            return []
        known = self._store.stamps(library_version.id)
        now = {item.path for item in found}
        gone = [path for path in known if path not in now]
        if gone:
            self._store.drop_pages([known[path][0] for path in gone])
        fresh = [item for item in found if known.get(item.path, (0, ""))[1] != item.stamp]
        self.progress.set(
            phase=self.progress.phase if self.progress.phase == "ready" else "reading", library_version=library_version.name
        )
        self.progress.set(done=0, total=len(fresh))
        started = time.monotonic()
        for batch in read_pages(base_of(library_version), fresh, self._stop):
            self._put(library_version, batch)
            self.progress.set(done=self.progress.done + len(batch))
        if self._stop.is_set():
            return []
        if fresh or gone or not library_version.complete:
            note = f"only the first {MAX_PAGES:,} pages are indexed" if len(found) >= MAX_PAGES else ""
            self._store.mark_library_version(library_version.id, complete=True, note=note)
            log.info(
                "%s: %d pages read, %d gone, %.1f s", library_version.name, len(fresh), len(gone), time.monotonic() - started
            )
        return [*gone, *(item.path for item in fresh)]

    def _put(self, library_version: LibraryVersion, batch: Iterable[PreparedPage]) -> None:
        good = []
        for item in batch:
            name = f"{library_version.name}/{item.path}"
            if item.page is None:
                log.warning("%s: %s", library_version.name, item.error)
                self.progress.failed[name] = item.error
            else:
                self.progress.failed.pop(name, None)
                good.append((item.path, item.stamp, item.page, item.passages))
        self._store.put_pages(library_version.id, good)

    def _embed(self) -> None:
        last = 0
        if self.progress.phase == "embedding":
            self.progress.set(done=0, total=self._store.missing_vectors())
        while not self._stop.is_set():
            rows = self._store.without_vector(_EMBED_BATCH, last)
            if not rows:
                break
            last = rows[-1][0]
            try:
                vectors = self._embedder.embed([text for _, text in rows])
            except RuntimeError as error:
                log.warning("%s; search is by words alone", error)
                return
            half = vectors.astype(np.float16)
            self._store.put_vectors((i, half[n].tobytes()) for n, (i, _) in enumerate(rows))
            self.progress.set(done=self.progress.done + len(rows))
        if last:
            self._load_vectors()

    def _load_vectors(self) -> None:
        try:
            with self._store.read() as db:
                self._vectors.load(db)
        except sqlite3.Error as error:
            log.warning("vectors can't be read: %s", error)

    def _follow(self, mine: Sequence[LibraryVersion], library_versions: Callable[[], Sequence[LibraryVersion]]) -> None:
        """Re-read what changes on disk, and take in what another process wrote (`portico-docs add`), until stopped."""
        places = {
            library_version: Path(library_version.source) for library_version in mine if library_version.kind in ("dir", "file")
        }
        places = {library_version: path for library_version, path in places.items() if path.exists()}
        names = {library_version.name for library_version in mine}
        for touched in self._changes(sorted(set(places.values()))):
            if self._store.written_by_others():
                self._load_vectors()
                now = {library_version.name for library_version in library_versions()}
                if now != names and self._listener is not None:
                    self._listener.library_versions()
                names = now
            for library_version, place in places.items():
                if any(place == path or place in path.parents for path in touched):
                    self._follow_shelf(library_version)

    def _changes(self, places: Sequence[Path]) -> Iterator[list[Path]]:
        """The paths that changed, every two seconds or as soon as some have."""
        if not places:
            while not self._stop.wait(2):
                yield []
            return
        from watchfiles import watch

        options: dict[str, Any] = {"debounce": 400, "rust_timeout": 2_000, "yield_on_timeout": True, "raise_interrupt": False}
        try:
            for changes in watch(*places, stop_event=self._stop, **options):
                yield [Path(path) for _, path in changes]
        except (OSError, RuntimeError) as error:  # too many directories, or a name that is no UTF-8
            log.warning("the documents can't be watched (%s); looking every %d s instead", error, _POLL_SECONDS)
            while not self._stop.wait(_POLL_SECONDS):
                yield list(places)

    def _follow_shelf(self, library_version: LibraryVersion) -> None:
        paths = self._update_library_version(library_version)
        if paths:
            self._embed()
            if self._listener is not None:
                self._listener.pages(library_version, paths)


def scan(library_version: LibraryVersion) -> Iterator[SourcePage]:
    """What the library version's source has now. Raises SourceError."""
    if library_version.kind == "package":
        return scan_package(library_version.source)
    path = checked_root(Path(library_version.source))
    return scan_directory(path) if library_version.kind == "dir" else scan_file(path)


def base_of(library_version: LibraryVersion) -> Path:
    """The directory that the library version's paths are relative to. Raises SourceError."""
    if library_version.kind == "package":
        place = package_place(library_version.source)
        if place is None:
            raise SourceError(f"{library_version.source}: no such package is installed")
        return place.parent
    path = Path(library_version.source)
    return path if library_version.kind == "dir" else path.parent
