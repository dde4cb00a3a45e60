"""One running documentation server behind its protocol: which libraries, the index they live in, the thread that fills it.

Owns start and stop. Knows directories and the cache; nothing of MCP.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from portico_servers.common.cache_folder import usable_cache
from portico_servers.common.embeddings import shared_embedder
from portico_servers.docs.config import DocsConfig, default_cache_dir
from portico_servers.docs.errors import IndexUnwritable, SourceError
from portico_servers.docs.index.indexer import Indexer, IndexListener
from portico_servers.docs.index.models import LibraryVersion
from portico_servers.docs.index.store import DocsIndex
from portico_servers.docs.index.vectors import Vectors
from portico_servers.docs.ingest.sources import checked_root, source_of
from portico_servers.docs.search.library import Library

log = logging.getLogger(__name__)


class Service:
    """The configured roots are indexed as one library each; without any, what was added by `portico-docs add` is served.

    Raises SourceError if a root isn't there. Nothing is read before `start`.
    """

    def __init__(self, config: DocsConfig) -> None:
        self.roots = [checked_root(root) for root in config.roots]
        self.store = self._open_index(config.cache_dir)
        self._library_versions = self._local_library_versions() if self.roots else None
        self.vectors = Vectors()
        self.indexer = Indexer(self.store, self.vectors, shared_embedder(), watch=config.watch)
        ids = [s.id for s in self._library_versions] if self._library_versions is not None else None
        self.library = Library(self.store, self.vectors, shared_embedder(), self.indexer.progress, ids)
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._users: list[IndexListener | None] = []

    def _open_index(self, folder: Path | None) -> DocsIndex:
        """What was added to the index is the user's, and stays where it is; what is made of roots can be made anew: in a
        temporary folder, or in memory where nothing can be written at all."""
        default = default_cache_dir()
        cache = folder or (usable_cache(default) if self.roots else default)
        try:
            return DocsIndex(cache / (f"roots-{_roots_digest(self.roots)}.sqlite3" if self.roots else "libraries.sqlite3"))
        except (OSError, sqlite3.Error, IndexUnwritable) as error:
            if folder is not None or not self.roots:
                raise SourceError(f"the index can't be kept in {cache}: {error}") from None
            log.warning("no index can be written, so it is made in memory at each start: %s", error)
            return DocsIndex(None)

    def start(self, listener: IndexListener | None = None) -> None:
        """The first of several users starts the indexer; the rest share it. Each one's `listener` hears until its `stop`."""
        with self._lock:
            with self._telling:
                self._users.append(listener)
            if len(self._users) == 1:
                shared_embedder().start()
                self.indexer.start(self.library.library_versions, IndexListener(self._pages_changed, self._libraries_changed))

    def stop(self, listener: IndexListener | None = None) -> None:
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

    def _pages_changed(self, library_version: LibraryVersion, paths: Sequence[str]) -> None:
        with self._telling:  # who stops is told nothing afterwards
            for user in self._users:
                if user is not None:
                    user.pages(library_version, paths)

    def _libraries_changed(self) -> None:
        with self._telling:
            for user in self._users:
                if user is not None:
                    user.library_versions()

    def _local_library_versions(self) -> list[LibraryVersion]:
        taken: set[tuple[str, str]] = set()
        library_versions = []
        for root in self.roots:
            source = source_of(str(root))
            name, number = source.library, 2
            while (name, source.version) in taken:
                name, number = f"{source.library}-{number}", number + 1
            taken.add((name, source.version))
            library_versions.append(self.store.add_library_version(name, source.version, source.kind, source.place))
        return library_versions


def _roots_digest(roots: Sequence[Path]) -> str:
    return hashlib.blake2b("\0".join(sorted(map(str, roots))).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
