"""Which tables and columns the words of a question name: by their stems, by synonyms, at last by sense (static embeddings).

It knows names alone, no values and no joins.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from portico_servers.db.questions.language.synonyms import nouns_like, nouns_of_verb
from portico_servers.db.questions.language.words import FUNCTION, QuestionWords, name_words, names_nothing, stem
from portico_servers.db.schema import Column, DatabaseSchema, Table

Embed = Callable[[Sequence[str]], Any]  # texts to unit vectors [n, dim]
SYNONYM_SCORE = 0.8
VERB_SCORE = 0.7  # of what a verb tells of: "appears in" of an actor
PREFIX_SCORE = 0.85
LEAST_SENSE = 0.5  # cosine
SENSE_SCORE = 0.9  # (factor)
LEAST = 0.4  # of a link
FURTHEST = 6  # words between the parts of a name: "units of ... in stock"
_ABOVE = (stem("boss"), stem("parent"))  # what a row is to those of its table that point to it
_GENERIC = {
    stem(word): 0.3 for word in "name date code number description title text value ts timestamp epoch cent cents".split()
}
_LITTLE = frozenset(stem(word) for word in "id in on at of by to per the is has no key".split())
_MAYBE_NAMES = frozenset("name total number first last average count current top list".split())  # said for other things, too


@dataclass(frozen=True, slots=True)
class Name:
    """A table's or a column's name in stems. `own`: without those of its table."""

    table: Table
    column: Column | None
    stems: tuple[str, ...]
    own: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(name_words(self.column.name if self.column else self.table.relation))

    def link(self, words: frozenset[int], score: float, *, sense: bool = False, verb: bool = False) -> NameLink:
        name, kind = (self.column.name, self.column.kind) if self.column else (None, None)
        return NameLink(words, self.table.name, name, score, sense, verb, kind)


@dataclass(frozen=True, slots=True)
class NameLink:
    """Words that name a table, or a column of one."""

    words: frozenset[int]
    table: str
    column: str | None
    score: float  # 1: all of the name is said
    sense: bool = False  # no word of the name itself is said
    verb: bool = False  # what is said is what it does or suffers: "appears in" of an actor
    kind: str | None = None  # of a column

    @property
    def first(self) -> int:
        return min(self.words)


class SchemaNames:
    """The names of one schema."""

    def __init__(self, schema: DatabaseSchema, embed: Embed | None) -> None:
        self._embed = embed
        shared = _shared_prefix(schema)
        self.names = tuple(_names(schema, shared))
        self.whole_tables = {name.stems for name in self.names if name.column is None}
        self._by_stem: dict[str, list[Name]] = {}
        for name in self.names:
            for one in {*name.stems, *name.own}:
                self._by_stem.setdefault(one, []).append(name)

    def prepare(self) -> None:
        """Embed the names now, which the first question with an unknown word would wait for."""
        if self._embed is not None:
            _ = self._vectors

    @cached_property
    def _vectors(self) -> Any:
        assert self._embed is not None
        return self._embed([name.text for name in self.names])

    def links(self, question: QuestionWords, free: Sequence[int]) -> list[NameLink]:
        """What the words at `free` name. A word may have several readings."""
        found: dict[tuple[str, str | None, frozenset[int]], NameLink] = {}
        free = [i for i in free if not names_nothing(question, i)]
        by_word = {i: dict(self._near(question.words[i].low, question.words[i].stem)) for i in free}
        candidates = {id(n): n for near in by_word.values() for one in near for n in self._by_stem.get(one, ())}
        for name in candidates.values():
            for link in self._link(name, question, by_word):
                found[link.table, link.column, link.words] = link
        lessened = {at: _lessened(link, found.values(), question) for at, link in found.items()}
        found = {at: link for at, link in lessened.items() if link.score >= LEAST or link.sense}
        linked = {i for link in found.values() for i in link.words}
        if self._embed is not None:
            open_words = [i for i in free if i not in linked and question.words[i].content]
            for link in self._by_sense(question, open_words):
                found[link.table, link.column, link.words] = link
        return list(found.values())

    def _near(self, low: str, word: str) -> Iterator[tuple[str, float]]:
        """The stems of names that a word stands for, and how surely."""
        if low in FUNCTION and low not in _MAYBE_NAMES:
            return
        if low not in FUNCTION:
            yield from ((one, VERB_SCORE) for one in nouns_of_verb(word) if one in self._by_stem)
            yield from ((one, SYNONYM_SCORE) for one in nouns_like(low) if one in self._by_stem)
        for one in self._by_stem:
            short, long = sorted((one, word), key=len)
            if len(short) >= 5 and long.startswith(short) and len(long) - len(short) <= 3:
                yield one, PREFIX_SCORE
        if word in self._by_stem:
            yield word, 1.0

    def _link(self, name: Name, question: QuestionWords, by_word: dict[int, dict[str, float]]) -> Iterator[NameLink]:
        """The places where a name is said: words near each other that have its stems."""
        wanted = name.own or name.stems
        places = sorted(i for i, near in by_word.items() if any(one in near for one in wanted))
        while places:
            group = [places[0]]
            for i in places[1:]:
                if i - group[-1] <= FURTHEST and not ({*by_word[i]} & {*wanted}) <= self._said(group, by_word, wanted):
                    group.append(i)
            places = [i for i in places if i not in group]
            score = self._score(name, wanted, group, by_word) - 0.02 * (group[-1] - group[0] + 1 - len(group))
            if score < LEAST:
                continue
            if len(group) == 1 and question.words[group[0]].low in FUNCTION and (score < 0.95 or not name.column):
                continue
            yield name.link(frozenset(group), score, verb=all(self._is_verb(by_word[i], wanted) for i in group))

    @staticmethod
    def _is_verb(near: dict[str, float], wanted: Sequence[str]) -> bool:
        return max(near.get(one, 0.0) for one in wanted) == VERB_SCORE

    @staticmethod
    def _said(group: Sequence[int], by_word: dict[int, dict[str, float]], wanted: Sequence[str]) -> set[str]:
        found = [{one: score for one, score in by_word[i].items() if one in wanted} for i in group]
        return {one for near in found for one, score in near.items() if score == max(near.values())}

    def _score(self, name: Name, wanted: Sequence[str], group: Sequence[int], by_word: dict[int, dict[str, float]]) -> float:
        full = {one: _GENERIC.get(one, 1.0) for one in wanted}
        said = {one: max(by_word[i].get(one, 0.0) for i in group) for one in full}
        share = sum(weight * said[one] for one, weight in full.items()) / sum(full.values())
        if name.column is None and len(wanted) > 1 and share < 0.95:  # a part of a link table's name is its other table's
            owners = {part for part in wanted if (part,) in self.whole_tables}
            rest = [one for one in wanted if one not in owners]
            if owners and rest and all(said[one] for one in rest):
                return 0.9
            return share * 0.8
        own = any(score == 1.0 for score in said.values())  # else the name is only spoken of in other words
        return math.sqrt(share) if name.column is not None and own else share

    def _by_sense(self, question: QuestionWords, places: Sequence[int]) -> Iterator[NameLink]:
        if not places or self._embed is None:
            return
        near = self._embed([question.words[i].low for i in places]) @ self._vectors.T
        for i, cosines in zip(places, near, strict=True):
            best = float(cosines.max()) if len(cosines) else 0.0
            if best < LEAST_SENSE:
                continue
            for name, cosine in zip(self.names, cosines.tolist(), strict=True):
                if cosine < max(LEAST_SENSE, best - 0.08):
                    continue
                if set(name.own) <= _GENERIC.keys() and name.column is not None:
                    continue  # a "value" is near to much, and says nothing
                if name.text.replace(" ", "") in question.words[i].low:  # an audiobook is another thing than a book
                    continue
                yield name.link(frozenset({i}), cosine * SENSE_SCORE, sense=True)


def _lessened(link: NameLink, others: Iterable[NameLink], question: QuestionWords) -> NameLink:
    """A part of a column's name that is all of a table's is the table: an order is no `UnitsOnOrder`, "on order" is."""
    others = list(others)
    if link.column is not None and any(link.words < o.words and o.column is not None and o.score >= 0.9 for o in others):
        return replace(link, score=0.0)  # a part of a longer name
    exact = any(link.words == o.words and o.score >= 0.95 and not o.sense for o in others)
    if exact and link.score <= SYNONYM_SCORE:  # it needs no other word's meaning
        return replace(link, score=link.score - (0.3 if link.column else 0.45))
    if link.column is None:
        return link
    if link.first and question.words[link.first - 1].low in name_words(link.column):
        return link
    whole = any(o.column is None and o.score >= 0.95 and not o.sense and link.words <= o.words for o in others)
    return replace(link, score=link.score - 0.4) if whole and link.score < 0.9 else link


def _names(schema: DatabaseSchema, prefix: str) -> Iterator[Name]:
    for table in schema.tables:
        of_table = _stems(table.relation.removeprefix(prefix))
        yield Name(table, None, of_table, of_table)
        for column in table.columns:
            if column.kind == "other":
                continue
            stems = _stems(column.name)
            own = tuple(one for one in stems if one not in of_table)
            if _repeats(schema, table, column, stems, own):
                continue
            yield Name(table, column, stems, own or stems)
            if any(key.columns == (column.name,) and key.parent == table.name for key in table.foreign_keys):
                yield from (Name(table, column, (one,), (one,)) for one in _ABOVE if one not in stems)


def _repeats(schema: DatabaseSchema, table: Table, column: Column, stems: Sequence[str], own: Sequence[str]) -> bool:
    """A key that is called like the table itself, or like the one that it points to: that table's name says as much."""
    parents = [
        schema.by_name[key.parent] for key in table.foreign_keys if column.name in key.columns and key.parent in schema.by_name
    ]
    return (column.primary_key > 0 and not own) or any(set(stems) <= set(_stems(parent.relation)) for parent in parents)


def _stems(name: str) -> tuple[str, ...]:
    every = [stem(word) for word in name_words(name)]
    return tuple(one for one in every if one not in _LITTLE) or tuple(every)


def _shared_prefix(schema: DatabaseSchema) -> str:
    """`tbl_` or `app_`, where all tables begin with it."""
    fronts = {match[0] if (match := re.match(r"[A-Za-z]+_", table.relation)) else "" for table in schema.tables}
    return fronts.pop() if len(fronts) == 1 and len(schema.tables) > 1 else ""
