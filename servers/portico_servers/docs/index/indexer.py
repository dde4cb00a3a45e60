"""Keeps the index what its sources are: once over everything at the start, then whatever changes.

Runs in a thread of its own, the store's only writer in this process. Knows shelves, sources and the store; not who asks.
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
from portico_servers.docs.index.models import Shelf
from portico_servers.docs.index.store import Store
from portico_servers.docs.index.vectors import Vectors
from portico_servers.docs.ingest.reader_pool import Prepared, prepare_all
from portico_servers.docs.ingest.sources import (
    MAX_PAGES,
    Found,
    checked_root,
    package_place,
    scan_directory,
    scan_file,
    scan_package,
)

log = logging.getLogger(__name__)
_EMBED_BATCH = 512


@dataclass(slots=True)
class Progress:
    """How far the first pass is. Written by the indexer, read by anyone; `changed` wakes those who wait."""

    phase: str = "waiting"  # waiting, scanning, reading, embedding, ready, failed
    shelf: str = ""
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
            return f"indexing {self.shelf}: {self.done} of {self.total} pages so far"
        return {"ready": "", "embedding": "", "failed": self.problem}.get(self.phase, "indexing has just begun")


@dataclass(frozen=True, slots=True)
class Listener:
    """Told from the indexer's thread what changed after the first pass."""

    pages: Callable[[Shelf, Sequence[str]], None]  # paths of a shelf, re-read or gone
    shelves: Callable[[], None]  # another process added a library, or removed one


class Indexer:
    """`start` returns at once; `stop` ends the thread within about a second."""

    def __init__(
        self,
        store: Store,
        vectors: Vectors,
        embedder: Embedder,
        *,
        watch: bool = True,
    ) -> None:
        self.progress = Progress()
        self._store = store
        self._vectors = vectors
        self._embedder = embedder
        self._watch = watch
        self._listener: Listener | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, shelves: Callable[[], Sequence[Shelf]], listener: Listener | None = None) -> None:
        self._listener = listener
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, args=(shelves,), name="docs-indexer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self, shelves: Callable[[], Sequence[Shelf]]) -> None:
        try:
            mine = shelves()
            self._load_vectors()
            self.update(mine)
            if self._watch and not self._stop.is_set():
                self._follow(mine, shelves)
        except Exception as error:  # the outermost loop of this thread: it must end in a state that is told
            log.exception("the indexer stopped")
            self.progress.set(phase="failed", problem=f"indexing failed: {error}")

    def update(self, shelves: Sequence[Shelf]) -> None:
        """One pass over all shelves, then the vectors that are missing. Blocks."""
        self.progress.set(phase="scanning", done=0, total=0)
        for shelf in shelves:
            if self._stop.is_set():
                return
            if shelf.kind != "url":  # the web is `crawl`'s, and only when it's asked for
                self._update_shelf(shelf)
        self.progress.set(phase="embedding", shelf="")
        self._embed()
        if not self._stop.is_set():
            self.progress.set(phase="ready")

    def _update_shelf(self, shelf: Shelf) -> list[str]:
        """Bring one shelf up to date; the paths that changed."""
        try:
            found = list(scan(shelf))
        except DocsError as error:
            log.warning("%s: %s", shelf.name, error)
            self._store.mark_shelf(shelf.id, complete=False, note=str(error))
            self.progress.failed[shelf.name] = str(error)
            return []
        known = self._store.stamps(shelf.id)
        now = {item.path for item in found}
        gone = [path for path in known if path not in now]
        if gone:
            self._store.drop_pages([known[path][0] for path in gone])
        fresh = [item for item in found if known.get(item.path, (0, ""))[1] != item.stamp]
        self.progress.set(phase=self.progress.phase if self.progress.phase == "ready" else "reading", shelf=shelf.name)
        self.progress.set(done=0, total=len(fresh))
        started = time.monotonic()
        for batch in prepare_all(base_of(shelf), fresh, self._stop):
            self._put(shelf, batch)
            self.progress.set(done=self.progress.done + len(batch))
        if self._stop.is_set():
            return []
        if fresh or gone or not shelf.complete:
            note = f"only the first {MAX_PAGES:,} pages are indexed" if len(found) >= MAX_PAGES else ""
            self._store.mark_shelf(shelf.id, complete=True, note=note)
            log.info("%s: %d pages read, %d gone, %.1f s", shelf.name, len(fresh), len(gone), time.monotonic() - started)
        return [*gone, *(item.path for item in fresh)]

    def _put(self, shelf: Shelf, batch: Iterable[Prepared]) -> None:
        good = []
        for item in batch:
            name = f"{shelf.name}/{item.path}"
            if item.page is None:
                log.warning("%s: %s", shelf.name, item.error)
                self.progress.failed[name] = item.error
            else:
                self.progress.failed.pop(name, None)
                good.append((item.path, item.stamp, item.page, item.passages))
        self._store.put_pages(shelf.id, good)

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

    def _follow(self, mine: Sequence[Shelf], shelves: Callable[[], Sequence[Shelf]]) -> None:
        """Re-read what changes on disk, and take in what another process wrote (`portico-docs add`), until stopped."""
        places = {shelf: Path(shelf.source) for shelf in mine if shelf.kind in ("dir", "file")}
        places = {shelf: path for shelf, path in places.items() if path.exists()}
        names = {shelf.name for shelf in mine}
        for touched in self._changes(sorted(set(places.values()))):
            if self._store.written_by_others():
                self._load_vectors()
                now = {shelf.name for shelf in shelves()}
                if now != names and self._listener is not None:
                    self._listener.shelves()
                names = now
            for shelf, place in places.items():
                if any(place == path or place in path.parents for path in touched):
                    self._follow_shelf(shelf)

    def _changes(self, places: Sequence[Path]) -> Iterator[list[Path]]:
        """The paths that changed, every two seconds or as soon as some have."""
        if not places:
            while not self._stop.wait(2):
                yield []
            return
        from watchfiles import watch

        options: dict[str, Any] = {"debounce": 400, "rust_timeout": 2_000, "yield_on_timeout": True, "raise_interrupt": False}
        for changes in watch(*places, stop_event=self._stop, **options):
            yield [Path(path) for _, path in changes]

    def _follow_shelf(self, shelf: Shelf) -> None:
        paths = self._update_shelf(shelf)
        if paths:
            self._embed()
            if self._listener is not None:
                self._listener.pages(shelf, paths)


def scan(shelf: Shelf) -> Iterator[Found]:
    """What the shelf's source has now. Raises SourceError."""
    if shelf.kind == "package":
        return scan_package(shelf.source)
    path = checked_root(Path(shelf.source))
    return scan_directory(path) if shelf.kind == "dir" else scan_file(path)


def base_of(shelf: Shelf) -> Path:
    """The directory that the shelf's paths are relative to. Raises SourceError."""
    if shelf.kind == "package":
        place = package_place(shelf.source)
        if place is None:
            raise SourceError(f"{shelf.source}: no such package is installed")
        return place.parent
    path = Path(shelf.source)
    return path if shelf.kind == "dir" else path.parent
