"""What is ranked, as the ranking is given it: files cut into pieces, the terms of each piece by field, and the vocabulary that
numbers the terms. Where they come from (see `index.store`) it does not know.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

# A term's field is its first character: b(ody), n(ame of the definition and what encloses it), p(ath).
BODY, NAME, PATH = "b", "n", "p"
BODY_FIELD, NAME_FIELD, PATH_FIELD = 0, 1, 2
FIELD_CODES = {BODY: BODY_FIELD, NAME: NAME_FIELD, PATH: PATH_FIELD}


class TermIds(Protocol):
    """Ids from 1 in the order of the dict; `surfaces[id]` is a word as it was written. Both only grow."""

    term_ids: dict[str, int]
    surfaces: list[str]


class FilePostings(Protocol):
    """`chunks`: int32 [n, 4], start line, end line, ordinal of the definition or -1, kind code. `postings`: int32 [m, 3],
    chunk, term id, count."""

    @property
    def id(self) -> int: ...
    @property
    def path(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def lines(self) -> int: ...
    @property
    def skipped(self) -> str | None: ...
    @property
    def chunks(self) -> np.ndarray: ...
    @property
    def postings(self) -> np.ndarray: ...


class IndexedFile(NamedTuple):
    path: str
    language: str
    lines: int
    skipped: str | None
    prior: float
