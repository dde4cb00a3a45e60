"""One running documentation server behind its protocol: which shelves, the index they live in, and the thread that fills it.

Owns start and stop. Knows directories and the cache; nothing of MCP.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from portico_servers.common.embeddings import shared_embedder
from portico_servers.docs.errors import IndexUnwritable, SourceError
from portico_servers.docs.index.indexer import Indexer, Listener
from portico_servers.docs.index.models import Shelf
from portico_servers.docs.index.store import Store
from portico_servers.docs.index.vectors import Vectors
from portico_servers.docs.ingest.sources import checked_root, source_of
from portico_servers.docs.search.library import Library


def default_cache_dir() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("portico", appauthor=False) / "docs"


class Service:
    """`roots` are indexed as one library each; without any, what was added by `portico-docs add` is served.

    Raises SourceError if a root isn't there. Nothing is read before `start`.
    """

    def __init__(self, roots: Sequence[Path], cache_dir: Path | None = None, *, watch: bool = True) -> None:
        self.roots = [checked_root(root) for root in roots]
        cache = cache_dir or default_cache_dir()
        try:
            self.store = Store(cache / (f"roots-{_roots_digest(self.roots)}.sqlite3" if self.roots else "libraries.sqlite3"))
        except (OSError, sqlite3.Error, IndexUnwritable) as error:
            raise SourceError(f"the index can't be kept in {cache}: {error}") from None
        self._shelves = self._local_shelves() if self.roots else None
        self.vectors = Vectors()
        self.indexer = Indexer(self.store, self.vectors, shared_embedder(), watch=watch)
        ids = [s.id for s in self._shelves] if self._shelves is not None else None
        self.library = Library(self.store, self.vectors, shared_embedder(), self.indexer.progress, ids)
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._users: list[Listener | None] = []

    def start(self, listener: Listener | None = None) -> None:
        """The first of several users starts the indexer; the rest share it. Each one's `listener` hears until its `stop`."""
        with self._lock:
            with self._telling:
                self._users.append(listener)
            if len(self._users) == 1:
                shared_embedder().start()
                self.indexer.start(self.library.shelves, Listener(self._pages_changed, self._shelves_changed))

    def stop(self, listener: Listener | None = None) -> None:
        """The last user stops it."""
        with self._lock:
            with self._telling:
                self._users.remove(listener)
            if not self._users:
                self.indexer.stop()

    def close(self) -> None:
        """For a service that won't be started again."""
        self.indexer.stop()
        self.store.close()

    def _pages_changed(self, shelf: Shelf, paths: Sequence[str]) -> None:
        with self._telling:  # who stops is told nothing afterwards
            for user in self._users:
                if user is not None:
                    user.pages(shelf, paths)

    def _shelves_changed(self) -> None:
        with self._telling:
            for user in self._users:
                if user is not None:
                    user.shelves()

    def _local_shelves(self) -> list[Shelf]:
        taken: set[tuple[str, str]] = set()
        shelves = []
        for root in self.roots:
            source = source_of(str(root))
            name, number = source.library, 2
            while (name, source.version) in taken:
                name, number = f"{source.library}-{number}", number + 1
            taken.add((name, source.version))
            shelves.append(self.store.add_shelf(name, source.version, source.kind, source.place))
        return shelves


def _roots_digest(roots: Sequence[Path]) -> str:
    return hashlib.blake2b("\0".join(sorted(map(str, roots))).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
