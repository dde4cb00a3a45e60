"""The live index of one root: a thread that scans, extracts, stores, and then watches. It ranks through `RankedIndex` and
persists through `IndexStore`; it knows nothing of MCP.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from portico_servers.code.errors import ToolMissing
from portico_servers.code.index.candidates import CandidateFiles, SearchPlan
from portico_servers.code.index.directory_times import DirectoryTimes
from portico_servers.code.index.extraction import ExtractedFile
from portico_servers.code.index.extractor import ExtractionJob, extract_all, extract_one
from portico_servers.code.index.files import FileStat, list_files, stat_file
from portico_servers.code.index.store import IndexStore, StoredFile
from portico_servers.code.index.throttle import Throttle
from portico_servers.code.index.trigrams import TrigramQuery
from portico_servers.code.ranking.documents import IndexedFile
from portico_servers.code.ranking.path_prior import path_prior
from portico_servers.code.ranking.ranked_index import RankedIndex, ScoredChunk
from portico_servers.code.syntax.languages import language_of
from portico_servers.common.embeddings import shared_embedder
from portico_servers.common.path_jail import Jail

logger = logging.getLogger(__name__)
_BATCH_SECONDS = 0.5
_BATCH_FILES = 400
_FEW_FILES = 8
_POLL_SECONDS = 3
_LOG_SECONDS = 2.0
_JOIN_SECONDS = 10.0
_PROCESSES = max(2, min(4, (os.cpu_count() or 2) // 2))


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """`done` of `total` files; `complete` once the first pass is over (it stays True while later saves are taken in)."""

    done: int
    total: int
    complete: bool


class RootIndex:
    """`start` returns at once; look-ups answer from what is there. `changed` is told the paths of each later batch."""

    def __init__(
        self, root: Path, name: str, cache_dir: Path, *, changed: Callable[[str, Sequence[str]], None] | None = None
    ) -> None:
        self.root = root
        self.name = name
        self.progress = IndexProgress(0, 0, False)
        self.failure: str | None = None  # why there will be no index, or no newer one
        self.opened = threading.Event()  # set once `store` is there, or will not be
        self.ready = threading.Event()  # set once the first pass is over, or has failed
        self._cache_dir = cache_dir
        self._changed = changed
        self._stop = threading.Event()
        self._jail = Jail([root])
        self._store: IndexStore | None = None
        self._ranked: RankedIndex | None = None
        self._rescan = Throttle()
        self._candidates = CandidateFiles(root, on_stale=self._rescan.request)
        self._next_log = time.monotonic() + _LOG_SECONDS
        self._by_path: dict[str, StoredFile] = {}
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"index-{self.name}", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=_JOIN_SECONDS)
            self._thread = None

    # Look-ups, from any thread.

    @property
    def store(self) -> IndexStore | None:
        """None until the cache is open (a few milliseconds after `start`)."""
        return self._store

    def search(
        self, question: str, *, accept: Callable[[IndexedFile], bool] | None = None, limit: int = 100
    ) -> list[tuple[IndexedFile, ScoredChunk]]:
        ranked = self._ranked
        if ranked is None:
            return []
        hits = ranked.search(question, accept=accept, limit=limit)
        return [(file, hit) for hit in hits if (file := ranked.files.get(hit.file_id)) is not None]

    def holding(self, word: str) -> int:
        """How many pieces of the files hold a word."""
        ranked = self._ranked
        return 0 if ranked is None else ranked.holding(word)

    def files(self) -> list[IndexedFile]:
        ranked = self._ranked
        return [] if ranked is None else list(ranked.files.values())

    def prior_of(self, path: str, unknown: float = 0.5) -> float:
        ranked = self._ranked
        return unknown if ranked is None else ranked.prior_of(path, unknown)

    def plan(self, query: TrigramQuery, accept: Callable[[str], bool]) -> SearchPlan | None:
        """Which files to search for what needs that, or None while the whole tree must be; see `modified_since`."""
        return self._candidates.plan(query, accept, self.prior_of)

    def regular_files(self, paths: Sequence[str]) -> list[str]:
        """Those of `paths` that may be opened: regular files, not reached through a link."""
        return self._candidates.regular_files(paths)

    def modified_since(self, plan: SearchPlan) -> list[str]:
        """Files that `plan` could not know of, or not as they are now: to be searched as well."""
        return self._candidates.modified_since(plan)

    # The thread.

    def _run(self) -> None:
        try:
            store = self._open_store()
            try:
                self._index_and_watch()
            finally:
                self._store = None
                store.close()
        except (OSError, sqlite3.Error, ToolMissing) as error:
            self.failure = f"the index of {self.name} stopped: {error}"
            logger.error("%s", self.failure)
        except BaseException as error:
            self.failure = f"the index of {self.name} stopped ({type(error).__name__}: {error})"
            logger.exception("%s", self.failure)
        finally:
            self.opened.set()
            self.ready.set()

    def _open_store(self) -> IndexStore:
        """The store, and what it holds loaded. A damaged one is thrown away and begun anew, once."""
        for _ in range(2):
            store = self._store = IndexStore(self.root, self._cache_dir)
            self.opened.set()
            try:
                self._load(store)
            except sqlite3.DatabaseError as error:
                logger.warning("the index of %s is damaged (%s): it's built anew", self.name, error)
                self._store = None
                store.discard()
                damage = error
            else:
                return store
        raise damage

    def _index_and_watch(self) -> None:
        self._scan()
        if self._stop.is_set():
            return
        self.progress = replace(self.progress, complete=True)
        self.ready.set()
        embedding = threading.Thread(target=self._embed, name=f"embed-{self.name}", daemon=True)
        embedding.start()
        try:
            while not self._stop.is_set():
                self._watch()
        finally:
            embedding.join(timeout=_JOIN_SECONDS)

    def _load(self, store: IndexStore) -> None:
        store.load_terms()
        known = list(store.files())
        ranked = RankedIndex(store)
        self._by_path = {file.path: _without_tables(file) for file in known}
        ranked.add(known)
        self._ranked = ranked
        self._candidates.replace((), known)

    def _scan(self) -> None:
        """Bring the index up to what is on disk: after a start, and whenever files may have come or gone."""
        since = time.time_ns()
        present = list_files(self.root)
        gone = [path for path in self._by_path if path not in present]
        stale = [path for path, now in present.items() if not self._is_current(path, now)]
        self.progress = IndexProgress(len(present) - len(stale), len(present), self.progress.complete)
        self._remove(gone)
        self._extract(stale, present)
        if self._stop.is_set():
            return
        self._candidates.set_times(DirectoryTimes.of_tree(self.root, present, since))
        if self.progress.complete and (gone or stale) and self._changed is not None:
            self._changed(self.name, [*gone, *stale])

    def _is_current(self, path: str, now: FileStat) -> bool:
        known = self._by_path.get(path)
        return known is not None and now.settled and (known.size, known.mtime_ns) == now

    def _remove(self, paths: Sequence[str]) -> None:
        if paths:
            assert self._store is not None
            assert self._ranked is not None
            ids = [self._by_path.pop(path).id for path in paths]
            self._ranked.remove(ids)
            self._candidates.replace(ids, ())
            self._store.remove(paths)

    def _extract(self, paths: Sequence[str], present: dict[str, FileStat]) -> None:
        """Extract and commit: a few files here and now, more in child processes."""
        jobs = [ExtractionJob(path, *present[path]) for path in paths]
        if len(jobs) <= _FEW_FILES:
            self._commit([extracted for job in jobs if (extracted := extract_one(self._jail, job)) is not None])
            return
        jobs.sort(
            key=lambda job: (path_prior(job.path, language_of(job.path)) < 1, job.path)
        )  # what is asked for most comes first
        waiting: list[ExtractedFile] = []
        began = time.monotonic()
        for some in extract_all(self.root, jobs, processes=_PROCESSES, stop=self._stop.is_set):
            waiting += some
            if len(waiting) >= _BATCH_FILES or time.monotonic() - began > _BATCH_SECONDS:
                self._commit(waiting)
                waiting, began = [], time.monotonic()
        self._commit(waiting)

    def _commit(self, batch: Sequence[ExtractedFile]) -> None:
        if not batch:
            return
        assert self._store is not None
        assert self._ranked is not None
        stored = self._store.put(batch)
        old = [self._by_path[file.path].id for file in stored if file.path in self._by_path]
        self._ranked.remove(old)
        self._ranked.add(stored)
        self._candidates.replace(old, stored)
        self._ranked.merge_segments()
        self._by_path.update((file.path, _without_tables(file)) for file in stored)
        self.progress = replace(self.progress, done=min(self.progress.done + len(batch), self.progress.total))
        if not self.progress.complete and time.monotonic() >= self._next_log:
            self._next_log = time.monotonic() + _LOG_SECONDS
            logger.info("indexing %s: %d of %d files", self.name, self.progress.done, self.progress.total)

    def _embed(self) -> None:
        """Rank by meaning from now on; without its model the index ranks by words alone."""
        assert self._ranked is not None
        try:
            self._ranked.embed(shared_embedder())
        except RuntimeError as error:
            logger.warning("%s; ranking by words alone", error)

    def _watch(self) -> None:
        """Take in what is saved, until the end or the root's own. Where the system can't watch so many directories, look every
        few seconds."""
        from watchfiles import watch

        home = self._identity()
        if home is None:
            self.failure = f"the directory of {self.name} is gone; its index goes on when it's back"
            self._stop.wait(_POLL_SECONDS)
            return
        self.failure = None
        self._rescan.request()  # watching is about to begin, and what came before it needs one more look
        try:
            for changes in watch(
                self.root,
                stop_event=self._stop,
                debounce=200,
                step=50,
                rust_timeout=500,
                yield_on_timeout=True,
                raise_interrupt=False,
            ):
                if self._identity() != home:
                    return  # gone, or another directory: the watch is on the old one
                if changes:
                    self._on_saved({Path(path).relative_to(self.root).as_posix() for _, path in changes})
                if self._rescan.due():
                    with self._rescan:
                        self._scan()
        except (OSError, RuntimeError) as error:  # too many directories, or a name that is no UTF-8
            logger.warning("%s can't be watched (%s); looking every %d s instead", self.root, error, _POLL_SECONDS)
            while not self._stop.wait(_POLL_SECONDS) and self._identity() == home:
                self._scan()

    def _identity(self) -> tuple[int, int] | None:
        """Of the root itself; None while there is no such directory."""
        try:
            known = os.stat(self.root, follow_symlinks=False)
        except OSError:
            return None
        return (known.st_dev, known.st_ino) if stat.S_ISDIR(known.st_mode) else None

    def _on_saved(self, paths: set[str]) -> None:
        known = {path: stat_file(self.root, path) for path in paths if path in self._by_path}
        if len(known) < len(paths) or not all(known.values()):
            self._rescan.request()  # something came or went: only a walk knows what is ignored
            return
        # Saves of files that are already known: no walk, so that it's done in milliseconds.
        present = {path: now for path, now in known.items() if now is not None and not self._is_current(path, now)}
        self._extract(list(present), present)
        if present and self._changed is not None:
            self._changed(self.name, list(present))


def _without_tables(file: StoredFile) -> StoredFile:
    """Without what the segments and bitmaps hold."""
    return file._replace(chunks=file.chunks[:0].copy(), postings=file.postings[:0].copy(), trigrams=None)
