"""What the index holds, as it comes out of it: library versions, pages, sections, passages. Knows nothing of SQL."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LibraryVersion:
    """A library in one version. `kind` says what `source` is: dir, file, package, url, man."""

    id: int
    library: str
    version: str
    kind: str
    source: str
    indexed_at: str | None
    complete: bool
    note: str
    pages: int = 0

    @property
    def name(self) -> str:
        return f"{self.library}@{self.version}"


@dataclass(frozen=True, slots=True)
class StoredPage:
    id: int
    version_id: int
    path: str
    title: str
    kind: str
    text: str
    note: str


@dataclass(frozen=True, slots=True)
class StoredSection:
    id: int
    level: int
    title: str
    anchor: str
    aliases: tuple[str, ...]
    trail: tuple[str, ...]
    line: int
    end: int


@dataclass(frozen=True, slots=True)
class StoredPassage:
    id: int
    version_id: int
    page_id: int
    section_id: int
    path: str
    anchor: str
    title: str
    trail: tuple[str, ...]
    line: int
    end: int
    digest: bytes
    text: str
