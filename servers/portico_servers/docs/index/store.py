"""The index: library versions (a library in one version), their pages, sections, passages and vectors.

Knows the tables, and nothing of formats, files or ranking. See `database` for who may write and read when.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from portico_servers.docs.index.database import IndexDatabase
from portico_servers.docs.index.models import LibraryVersion, StoredPage, StoredPassage, StoredSection
from portico_servers.docs.index.passage_text import digest, lexical_row, plain
from portico_servers.docs.ingest.chunks import PagePassage
from portico_servers.docs.ingest.pages import Page


class DocsIndex(IndexDatabase):
    """The index at a path; one that is no index any more is set aside, and one of another version is read anew."""

    # Library versions

    def add_library_version(self, library: str, version: str, kind: str, source: str) -> LibraryVersion:
        """The library version of that name, made if it's new; another source than before empties it."""
        with self.write() as db:
            row = db.execute(
                "SELECT id, source, kind FROM shelf WHERE library = ? AND version = ?", (library, version)
            ).fetchone()
            if row is None:
                db.execute(
                    "INSERT INTO shelf (library, version, kind, source) VALUES (?, ?, ?, ?)", (library, version, kind, source)
                )
            elif (row[1], row[2]) != (source, kind):
                db.execute("DELETE FROM page WHERE shelf_id = ?", (row[0],))
                db.execute("UPDATE shelf SET source = ?, kind = ?, complete = 0 WHERE id = ?", (source, kind, row[0]))
        return next(s for s in self.library_versions() if (s.library, s.version) == (library, version))

    def library_versions(self) -> list[LibraryVersion]:
        with self.read() as db:
            rows = db.execute(
                "SELECT s.id, library, version, s.kind, source, indexed_at, complete, s.note,"
                " (SELECT count(*) FROM page WHERE shelf_id = s.id) FROM shelf s ORDER BY s.id"
            ).fetchall()
        return [LibraryVersion(row[0], row[1], row[2], row[3], row[4], row[5], bool(row[6]), row[7], row[8]) for row in rows]

    def library_version_count(self) -> int:
        with self.read() as db:
            return int(db.execute("SELECT count(*) FROM shelf").fetchone()[0])

    def passage_count(self) -> int:
        with self.read() as db:
            return int(db.execute("SELECT count(*) FROM passage").fetchone()[0])

    def remove_library_version(self, version_id: int) -> None:
        with self.write() as db:
            db.execute("DELETE FROM shelf WHERE id = ?", (version_id,))

    def mark_library_version(self, version_id: int, *, complete: bool, note: str = "") -> None:
        with self.write() as db:
            db.execute(
                "UPDATE shelf SET complete = ?, note = ?, indexed_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE id = ?",
                (complete, note, version_id),
            )

    # Pages

    def stamps(self, version_id: int) -> dict[str, tuple[int, str]]:
        """path -> (page id, stamp): what the source said of the page when it was read."""
        with self.read() as db:
            rows = db.execute("SELECT path, id, stamp FROM page WHERE shelf_id = ?", (version_id,)).fetchall()
        return {path: (page_id, stamp) for path, page_id, stamp in rows}

    def put_pages(self, version_id: int, pages: Sequence[tuple[str, str, Page, Sequence[PagePassage]]]) -> None:
        """(path, stamp, page, passages) each: replaces what was there, in one transaction."""
        with self.write() as db:
            for path, stamp, page, passages in pages:
                db.execute("DELETE FROM page WHERE shelf_id = ? AND path = ?", (version_id, path))
                page_id = db.execute(
                    "INSERT INTO page (shelf_id, path, title, kind, stamp, text, note) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (version_id, path, page.title, page.kind, stamp, page.text, page.note),
                ).lastrowid
                sections = [
                    db.execute(
                        "INSERT INTO section (page_id, level, title, anchor, aliases, trail, line, end)"
                        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                        (page_id, s.level, s.title, s.anchor, _json(s.aliases), _json(s.trail), s.line, s.end),
                    ).lastrowid
                    for s in page.sections
                ]
                for passage in passages:
                    section = page.sections[passage.section]
                    passage_id = db.execute(
                        "INSERT INTO passage (page_id, section_id, line, end, digest, text) VALUES (?, ?, ?, ?, ?, ?)",
                        (page_id, sections[passage.section], passage.line, passage.end, digest(passage.text), passage.text),
                    ).lastrowid
                    db.execute(
                        "INSERT INTO lexical (rowid, title, trail, names, body) VALUES (?, ?, ?, ?, ?)",
                        (passage_id, *lexical_row(path, section.title, section.anchor, section.trail, passage.text)),
                    )

    def restamp(self, page_id: int, stamp: str) -> None:
        """The source changed its mark but not the page."""
        with self.write() as db:
            db.execute("UPDATE page SET stamp = ? WHERE id = ?", (stamp, page_id))

    def drop_pages(self, page_ids: Iterable[int]) -> None:
        with self.write() as db:
            db.executemany("DELETE FROM page WHERE id = ?", [(i,) for i in page_ids])

    def page(self, version_id: int, path: str) -> StoredPage | None:
        with self.read() as db:
            row = db.execute(
                "SELECT id, shelf_id, path, title, kind, text, note FROM page WHERE shelf_id = ? AND path = ?",
                (version_id, path),
            ).fetchone()
        return StoredPage(*row) if row else None

    def sections(self, page_id: int) -> list[StoredSection]:
        with self.read() as db:
            rows = db.execute(
                "SELECT id, level, title, anchor, aliases, trail, line, end FROM section WHERE page_id = ? ORDER BY id",
                (page_id,),
            ).fetchall()
        return [
            StoredSection(r[0], r[1], r[2], r[3], tuple(json.loads(r[4])), tuple(json.loads(r[5])), r[6], r[7]) for r in rows
        ]

    def page_list(
        self, version_id: int, *, prefix: str = "", limit: int = -1, offset: int = 0
    ) -> list[tuple[str, str, str, int]]:
        """(path, title, kind, sections) in order of path."""
        with self.read() as db:
            return db.execute(
                "SELECT path, title, kind, (SELECT count(*) FROM section WHERE page_id = page.id AND anchor != '') FROM page"
                " WHERE shelf_id = ? AND substr(path, 1, ?) = ? ORDER BY path LIMIT ? OFFSET ?",
                (version_id, len(prefix), prefix, limit, offset),
            ).fetchall()

    def passages(self, ids: Sequence[int]) -> dict[int, StoredPassage]:
        with self.read() as db:
            rows = db.execute(
                "SELECT p.id, g.shelf_id, p.page_id, p.section_id, g.path, s.anchor, s.title, s.trail, p.line, p.end, p.digest,"
                " p.text FROM passage p JOIN section s ON s.id = p.section_id JOIN page g ON g.id = p.page_id"
                " WHERE p.id IN (SELECT value FROM json_each(?))",
                (_json(ids),),
            ).fetchall()
        return {row[0]: _passage(row) for row in rows}

    # Vectors

    def without_vector(self, limit: int, after: int = 0) -> list[tuple[int, str]]:
        """(passage id, trail and text) of passages beyond id `after` that have no vector yet, in order of id."""
        with self.read() as db:
            rows = db.execute(
                "SELECT p.id, s.trail, p.text FROM passage p JOIN section s ON s.id = p.section_id WHERE p.id > ?"
                " AND NOT EXISTS (SELECT 1 FROM vector v WHERE v.passage_id = p.id) ORDER BY p.id LIMIT ?",
                (after, limit),
            ).fetchall()
        return [(i, " ".join((*json.loads(trail), plain(text)))) for i, trail, text in rows]

    def missing_vectors(self) -> int:
        with self.read() as db:
            return int(db.execute("SELECT (SELECT count(*) FROM passage) - (SELECT count(*) FROM vector)").fetchone()[0])

    def put_vectors(self, rows: Iterable[tuple[int, bytes]]) -> None:
        """A passage that vanished meanwhile is passed over."""
        with self.write() as db:
            db.executemany(
                "INSERT OR REPLACE INTO vector (passage_id, data) SELECT id, ?2 FROM passage WHERE id = ?1", list(rows)
            )


def _passage(row: tuple[Any, ...]) -> StoredPassage:
    return StoredPassage(*row[:7], tuple(json.loads(row[7])), *row[8:])  # type: ignore[call-arg]


def _json(value: Sequence[object]) -> str:
    return json.dumps(list(value), ensure_ascii=False, separators=(",", ":"))
