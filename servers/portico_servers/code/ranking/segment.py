"""One piece of the ranking index, immutable but for what it leaves out: the postings of some files, by term. No text, no disk.

The index is a handful of these (as a log-structured merge tree has levels): new files make a small segment, and segments
are merged in the background, so that a query never waits for a writer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from portico_servers.code.ranking.documents import BODY_FIELD, NAME_FIELD, FilePostings

K1 = 1.2
B = 0.75

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


class Segment:
    """`size` documents (pieces of code). Per document: `file`, `start`, `end`, `ordinal`, `kind`, `name_terms` (how many
    distinct terms its name has). Postings by term: `docs` (ascending within a term), `counts`, `impacts` (BM25's
    saturated term frequency, without the idf, which is the whole index's)."""

    def __init__(
        self, table: Ints, docs: Ints, terms: Ints, counts: npt.NDArray[np.uint8], field_of: npt.NDArray[np.int8]
    ) -> None:
        """table int32 [n, 5]: file, start, end, ordinal, kind; docs, terms, counts [m]: one posting each, by document."""
        self.size = len(table)
        self.file, self.start, self.end, self.ordinal, self.kind = (np.ascontiguousarray(table[:, i]) for i in range(5))
        self.alive = np.ones(self.size, np.bool_)
        self.vectors: npt.NDArray[np.float16] | None = None  # set once, when embeddings are there
        order = np.argsort(terms, kind="stable")
        self.docs, self.counts = docs[order], counts[order]
        sorted_terms = terms[order]
        starts = np.flatnonzero(np.diff(sorted_terms, prepend=-1))
        self.terms = sorted_terms[starts]
        self.starts = np.append(starts, len(docs)).astype(np.int64)
        fields = field_of[sorted_terms] if len(docs) else np.zeros(0, np.int8)
        body = fields == BODY_FIELD
        lengths = np.bincount(self.docs[body], self.counts[body], self.size).astype(np.float32)
        self.name_terms = np.bincount(self.docs[fields == NAME_FIELD], minlength=self.size).astype(np.float32)
        mean = float(lengths.mean()) if self.size else 0.0
        norm = K1 * (1 - B + B * lengths / max(mean, 1.0))
        saturation = np.where(body, norm[self.docs], np.float32(K1))  # names and paths are short: length says nothing there
        self.impacts: Floats = (self.counts * np.float32(K1 + 1) / (self.counts + saturation)).astype(np.float32)

    @classmethod
    def of_files(cls, files: Sequence[FilePostings], field_of: npt.NDArray[np.int8]) -> Segment:
        tables, postings, first = [np.zeros((0, 5), np.int32)], [np.zeros((0, 3), np.int32)], 0
        for file in files:
            owner = np.full((len(file.chunks), 1), file.id, np.int32)
            tables.append(np.concatenate([owner, file.chunks], axis=1))
            postings.append(file.postings + np.array([first, 0, 0], np.int32))
            first += len(file.chunks)
        rows = np.concatenate(postings)
        counts = np.minimum(rows[:, 2], 255).astype(np.uint8)
        return cls(np.concatenate(tables), np.ascontiguousarray(rows[:, 0]), np.ascontiguousarray(rows[:, 1]), counts, field_of)

    @classmethod
    def merge(cls, segments: Sequence[Segment], field_of: npt.NDArray[np.int8]) -> Segment:
        """One segment of what is alive in several."""
        tables, docs, terms, counts, first = [], [], [], [], 0
        for segment in segments:
            alive = segment.alive.copy()
            number = (np.cumsum(alive) - 1 + first).astype(np.int32)
            kept = alive[segment.docs]
            tables.append(segment._table()[alive])
            docs.append(number[segment.docs[kept]])
            terms.append(np.repeat(segment.terms, np.diff(segment.starts))[kept])
            counts.append(segment.counts[kept])
            first += int(alive.sum())
        all_docs, all_terms, all_counts = np.concatenate(docs), np.concatenate(terms), np.concatenate(counts)
        by_doc = np.argsort(all_docs, kind="stable")  # the constructor's sort by term keeps this order within a term
        merged = cls(np.concatenate(tables), all_docs[by_doc], all_terms[by_doc], all_counts[by_doc], field_of)
        vectors = [segment.vectors[segment.alive] for segment in segments if segment.vectors is not None]
        if len(vectors) == len(segments):
            merged.vectors = np.concatenate(vectors)
        return merged

    def postings(self, term: int) -> slice:
        """Where `term` is in `docs`, `counts` and `impacts`; empty if nowhere."""
        at = int(np.searchsorted(self.terms, np.int32(term)))  # of the array's type: another would have it copied
        if at == len(self.terms) or self.terms[at] != term:
            return slice(0, 0)
        return slice(int(self.starts[at]), int(self.starts[at + 1]))

    def delete(self, file_ids: Ints) -> None:
        """Leave these files' documents out of every later search."""
        self.alive &= ~np.isin(self.file, file_ids)

    def _table(self) -> Ints:
        return np.stack([self.file, self.start, self.end, self.ordinal, self.kind], axis=1)
