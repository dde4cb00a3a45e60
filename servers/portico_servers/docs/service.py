"""One running documentation server behind its protocol: which shelves, the index they live in, and the thread that fills it.

Owns start and stop. Knows directories and the cache; nothing of MCP.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from portico_servers.common.embed import shared
from portico_servers.docs.errors import IndexUnwritable, SourceError
from portico_servers.docs.indexer import Indexer
from portico_servers.docs.library import Library
from portico_servers.docs.records import Shelf
from portico_servers.docs.sources import checked_root, source_of
from portico_servers.docs.store import Store
from portico_servers.docs.vectors import Vectors

Listener = Callable[[Shelf, Sequence[str]], None]


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
        self.indexer = Indexer(self.store, self.vectors, shared(), watch=watch, on_change=self._changed)
        ids = [s.id for s in self._shelves] if self._shelves is not None else None
        self.library = Library(self.store, self.vectors, shared(), self.indexer.progress, ids)
        self._listener: Listener | None = None
        self._lock = threading.Lock()
        self._users = 0

    def start(self, listener: Listener | None = None) -> None:
        """The first of several users starts the indexer; the rest share it. The latest `listener` hears of changed pages."""
        with self._lock:
            self._users += 1
            self._listener = listener or self._listener
            if self._users == 1:
                shared().start()
                self.indexer.start(self.library.shelves)

    def stop(self) -> None:
        """The last user stops it."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._listener = None
                self.indexer.stop()

    def close(self) -> None:
        """For a service that won't be started again."""
        self.indexer.stop()
        self.store.close()

    def _changed(self, shelf: Shelf, paths: Sequence[str]) -> None:
        listener = self._listener
        if listener is not None:
            listener(shelf, paths)

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
