"""Words of code: how identifiers, paths and questions become the terms that ranking counts. It knows no index.

`parseHTTPHeader` and `parse_http_header` give the same terms: parse, http, header, and the whole, parsehttpheader.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_WORD = re.compile(r"\w+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_OTHER_PART = re.compile(r"[^\W\d_]+|\d+")  # beyond ASCII: upper case is not told from lower by a range
_MAX_TERM = 40
_SPLIT_CACHE_SIZE = 200_000
# Words of a question that say nothing of what is sought.
STOP_WORDS = frozenset(
    "a an and are as at be been but by can could did do does for from had has have how i if in into is it its me my no not "
    "of on or our please show so some such tell than that the their them then there these they this those to us was we were "
    "what when where which while who why will with would you your "
    "find code file function method class used use uses using".split()
)
_GENERIC = frozenset("find code file function method class used use uses using show".split())

_split_cache: dict[str, tuple[str, ...]] = {}
_surfaces: dict[str, str] = {}


def split(word: str) -> tuple[str, ...]:
    """The terms of one identifier or word, lower-cased and without plural or verb endings; the whole comes last."""
    known = _split_cache.get(word)
    if known is not None:
        return known
    parts = []
    for part in (_PART if word.isascii() else _OTHER_PART).findall(word):
        lowered = part.lower()
        parts.append(stem(lowered))
        _surfaces.setdefault(parts[-1], lowered)
    whole = word.strip("_").lower()
    if len(parts) > 1 and len(whole) <= _MAX_TERM:
        parts.append(whole.replace("_", ""))
    terms = tuple(part for part in parts if 1 < len(part) <= _MAX_TERM and not (part.isdigit() and len(part) > 4))
    if len(_split_cache) >= _SPLIT_CACHE_SIZE:
        _split_cache.clear()
        _surfaces.clear()
    _split_cache[word] = terms
    return terms


def surface(term: str) -> str:
    """A word that gave `term` in this process: what an embedding model can read. Empty for a whole name of several parts:
    its parts say what it means."""
    return _surfaces.get(term, "")


def stem(term: str) -> str:
    """Plurals and the commonest verb endings off, so that a question's word meets the code's."""
    if len(term) > 4:
        if term.endswith("ies"):
            return term[:-3] + "y"
        if term.endswith(("sses", "xes", "ches", "shes")):
            return term[:-2]
        if term.endswith("ing") and len(term) > 5:
            return _undouble(term[:-3])
        if term.endswith("eed"):
            return term[:-1]
        if term.endswith("ed"):
            return _undouble(term[:-2])
        if term.endswith("e") and not term.endswith("ee"):
            return term[:-1]
    if len(term) > 3 and term.endswith("s") and not term.endswith(("ss", "us", "is")):
        return stem(term[:-1])
    return term


def _undouble(term: str) -> str:
    return term[:-1] if len(term) > 3 and term[-1] == term[-2] and term[-1] not in "lsz" else term


def terms(text: str) -> list[str]:
    """All terms of a piece of code, in order, with repetitions."""
    found: list[str] = []
    for word in _WORD.findall(text):
        found.extend(split(word))
    return found


def count_terms(text: str) -> dict[str, int]:
    """How often each term is in a piece of code: `Counter(terms(text))`, several times faster."""
    counts: dict[str, int] = {}
    for word, times in Counter(_WORD.findall(text)).items():
        for term in _split_cache.get(word) or split(word):
            counts[term] = counts.get(term, 0) + times
    return counts


def question_words(question: str) -> list[str]:
    """The words of a question, stop words left out unless nothing else is there."""
    words = _WORD.findall(question)
    content = [word for word in words if word.lower() not in STOP_WORDS]
    return content or [word for word in words if word.lower() in _GENERIC] or words


def question_terms(question: str) -> list[str]:
    """The distinct terms of a question."""
    return list(dict.fromkeys(term for word in question_words(question) for term in split(word)))


def path_terms(path: str) -> Iterable[str]:
    return dict.fromkeys(terms(path.rsplit(".", 1)[0] if "." in path.rsplit("/", 1)[-1] else path))
