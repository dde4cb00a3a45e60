"""Words of code and of questions about it: identifiers in parts, stems, what programmers say the same thing with, and sense.

It knows neither files nor scores.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from portico_gateway.agent.guided.extraction.source_code.expected import KIND_WORDS, one_slip, spelled
from portico_gateway.guidance.stemming import stems_of
from portico_gateway.guidance.tool_retrieval import Floats, TextEmbedding
from portico_gateway.guidance.weights import CodeWordWeights

SHORTEST_SLIP = 5  # letters of a word that may be meant where one of them is wrong
_WORD = re.compile(r"[^\W_](?:[\w$]*[^\W_])?|\w+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_STOP = frozenset(  # what says nothing of code: closed classes of English, and how people ask
    "a about above across again ain all already also although always am an and any anybody anyone anything are aren around "
    "as at back be because been before behind being below beside besides between beyond bit both but by can cannot could "
    "couldn did didn do does doesn doing don done during each either ever every everybody everyone everything exactly "
    "except few for from get gets getting give given gives go goes going gonna got had has hasn have haven having he her "
    "here hers him his how however i if in inside instead into is isn it its itself just kind know let lets like ll lot m "
    "many may me mean means might mine more most much must my myself need needs neither never no nobody none nor not "
    "nothing now of often on one only onto or other others otherwise our ours out outside over own per please re really s "
    "same say says see shall she should shouldn show since so some somebody somehow someone something sort still such sure "
    "t tell than that the their theirs them themselves then there these they thing things this those though through thus "
    "till to together too toward try under unless until up upon us use used uses using ve very via want wanted wants was "
    "wasn way we were weren what whatever when where whether which while who whom whose why will wish with within without "
    "won wonder would wouldn yet you your yours yourself".split()
)
_PATH = re.compile(r"[\w./-]*\w\.[A-Za-z]{1,4}\b")
_DOTTED = re.compile(r"\b([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\.([A-Za-z_]\w*)\b(?!\.)")
# What people say for words that code has.
_IDIOMS = (
    (re.compile(r"\bat most\b|\bup to how\b|\bno more than\b", re.IGNORECASE), " maximum "),
    (re.compile(r"\bat least\b|\bfrom (?:which|what) (?=size|length|version|number)", re.IGNORECASE), " minimum "),
    (re.compile(r"\bhow (?:wide|broad)\b", re.IGNORECASE), " width "),
    (re.compile(r"\bhow long\b", re.IGNORECASE), " length "),
)
_CONTRACTION = re.compile(r"\b\w+n['’]t\b|(?<=\w)['’](?:s|re|ve|ll|m|d)\b")
_VERSION = re.compile(r"\b([A-Za-z]+)/(\d+)\.(\d+)\b")  # HTTP/1.1, which code calls http11
_QUOTED = re.compile(r"[\"'`]([^\"'`]+)[\"'`]")
_CALLED = re.compile(r"(?:\b([A-Za-z_]\w*)\(|@([A-Za-z_]\w*))")  # get() and @wraps
# Words that stand for one another in code.
_GROUPS = (
    "error exception",
    "max maximum limit most",
    "min minimum least",
    "start begin",
    "end stop finish",
    "remove delete",
    "argument parameter arg param args",
    "directory folder",
    "config configuration setting option",
    "length size",
    "auth authentication authorization",
    "pickle getstate setstate reduce",
    "restore load setstate",
    "order sequence sequential reversed sorted",
    "required mandatory missing",
    "state status",
    "undo revert back",
    "constructor init",
    "inherit derive extend subclass base parent",
    "block forbid denied",
)


@dataclass(frozen=True, slots=True)
class Term:
    """A word of a question. `name`: it is spelled as code is, and nothing else may stand for it."""

    text: str
    stem: str
    name: bool
    kind: bool  # it says which kind of code is meant
    whole: bool = True  # no part of a longer one


def question_terms(question: str) -> list[Term]:
    """The words that matter, in order; an identifier by its parts and as a whole."""
    shouted = question.isupper()
    question = _CONTRACTION.sub(" ", spelled(question))
    question = _VERSION.sub(lambda m: f"{m[1]} {m[1]}{m[2]}{m[3]}", question)
    for idiom, word in _IDIOMS:
        question = idiom.sub(word, question)
    names = {word for quoted in _QUOTED.findall(question) for word in _WORD.findall(quoted)}
    names |= {name for found in _CALLED.findall(question) for name in found if name}
    paths = _PATH.findall(question)
    names |= {word for path in paths for word in _WORD.findall(path)[:-1]}
    names |= {last for _, last in _DOTTED.findall(question) if not any(path.endswith(f".{last}") for path in paths)}
    found: dict[str, Term] = {}
    for word in _WORD.findall(question):
        parts = _words(word)
        stop = word.lower() in _STOP and word not in names and (shouted or not _is_acronym(word))
        if stop or not parts:
            continue
        one = len(parts) == 1
        for part, stem in parts.items():
            term = Term(
                word if one else part, stem, one and word in names, one and stem in KIND_WORDS and word not in names, one
            )
            if stem not in found or (term.name and not found[stem].name):
                found[stem] = term
        if not one:
            found[_joined(word)] = Term(word, _joined(word), True, False)
    return list(found.values())


def _is_acronym(word: str) -> bool:
    """GET is a method where "get" says nothing."""
    return len(word) > 1 and word.isupper()


@lru_cache(maxsize=50_000)
def line_words(word: str) -> tuple[str, ...]:
    """The stems of one word of code; of an identifier of several parts, and the whole."""
    stems = _words(word).values()
    return (*stems, _joined(word)) if len(stems) > 1 or word.isupper() else tuple(stems)


def words_in(text: str) -> list[str]:
    """The stems of all words of a text, with repeats."""
    return [stem for word in _WORD.findall(text) for stem in line_words(word)]


def _words(word: str) -> dict[str, str]:
    """Part -> stem."""
    parts = [part.lower() for part in _PART.findall(word)]
    return {part: next(iter(stems_of(part)), part) for part in parts}


def _joined(word: str) -> str:
    return re.sub(r"[\W_]+", "", word).lower()


_SAME: Mapping[str, frozenset[str]] = {}
for _group in _GROUPS:
    _stems = frozenset(stem for _w in _group.split() for stem in _words(_w).values())
    _SAME = {**_SAME, **{stem: _SAME.get(stem, frozenset()) | _stems for stem in _stems}}


def with_synonyms(terms: Sequence[Term]) -> frozenset[str]:
    """The stems of whole words, and of what programmers say instead."""
    whole = [term for term in terms if term.whole]
    stems = {term.stem for term in whole}
    return frozenset(stems.union(*(_SAME.get(term.stem, ()) for term in whole if not term.name)))


class Senses:
    """How well words of code stand for words of a question. Vectors of words are kept."""

    def __init__(self, embed: TextEmbedding, weights: CodeWordWeights) -> None:
        self._embed = embed
        self._weights = weights
        self._vectors: dict[str, Floats] = {}

    def matches(self, terms: Sequence[Term], vocabulary: Sequence[str]) -> Floats:
        """[terms, vocabulary], each in [0, 1]: 1 for the same stem."""
        weights = self._weights
        near = self._of([term.text.lower() for term in terms]) @ self._of(vocabulary).T
        soft = np.clip((near - weights.unlike) / (weights.alike - weights.unlike), 0.0, 1.0) * weights.sense
        place = {stem: number for number, stem in enumerate(vocabulary)}
        for row, term in enumerate(terms):
            if term.name:
                soft[row] = 0.0
            for stem in _SAME.get(term.stem, ()) if not term.name else ():
                if stem in place:
                    soft[row, place[stem]] = max(soft[row, place[stem]], weights.same)
            if term.stem in place:
                soft[row, place[term.stem]] = 1.0
            elif len(term.stem) >= SHORTEST_SLIP:
                for stem in vocabulary:
                    if one_slip(term.stem, stem) and len(stem) >= SHORTEST_SLIP:
                        soft[row, place[stem]] = max(soft[row, place[stem]], weights.same)
        return np.asarray(soft, np.float32)

    def _of(self, words: Sequence[str]) -> Floats:
        if fresh := list(dict.fromkeys(word for word in words if word not in self._vectors)):
            self._vectors.update(zip(fresh, self._embed(fresh), strict=True))
        return np.stack([self._vectors[word] for word in words])
