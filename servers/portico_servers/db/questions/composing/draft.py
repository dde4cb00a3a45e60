"""A query as it is being made of a question's parts: what it asks for, which words it has used, and how good it is.

One draft is of one root table and one reading of what is asked for. It holds and reckons; what goes in, others decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from portico_servers.db.questions.composing.leftovers import leftovers
from portico_servers.db.questions.composing.reach import Reach, goes_through
from portico_servers.db.questions.language.cues import Cues
from portico_servers.db.questions.language.lexicon import AWAY, TOWARDS
from portico_servers.db.questions.language.times import TimeCondition
from portico_servers.db.questions.language.words import QuestionWords, Word, stem
from portico_servers.db.questions.linking.bindings import BoundValue
from portico_servers.db.questions.linking.names import NameLink
from portico_servers.db.questions.linking.value_index import ValueIndex
from portico_servers.db.rows.column_refs import ColumnRef, Join

UNUSED_WORD = -0.6  # points, for a word that matters and is not accounted for,
PASSED_OVER = -0.1  # and for one that changes no answer
UNUSED_VALUE = -2.5
IMPOSSIBLE = -5.0  # for a condition that no row can meet: to have none of what it is itself
_TOWARDS, _AWAY = (frozenset(map(stem, words)) for words in (TOWARDS, AWAY))
_TO = frozenset("to into toward towards go goes going fly flies arrive arrives land lands".split())
_FROM = frozenset("from leave leaves leaving depart departs departing start starts begin begins".split())
_HEADS = frozenset(
    "address number numbers name value code date figure level version id amount field job jobs record records entry".split()
)  # say no more than the word before


@dataclass(frozen=True, slots=True)
class QuestionParts:
    """Everything that was found in one question before any table is chosen."""

    question: QuestionWords
    cues: Cues
    times: tuple[TimeCondition, ...]
    values: tuple[BoundValue, ...]
    links: tuple[NameLink, ...]
    index: ValueIndex

    @property
    def words(self) -> tuple[Word, ...]:
        return self.question.words

    @property
    def said(self) -> frozenset[str]:
        return frozenset(word.stem for word in self.words if word.content) | (
            self.way(len(self.words)) if self.cues.where else set()
        )

    def way(self, at: int) -> frozenset[str]:
        """The stems that a key has which leads the way that the word right before a place speaks of: "to Lisbon"; at the end of
        a question, "where does it go"."""
        passed = 0  # words of the place before: "to Lisbon or New York"
        for word in reversed(self.words[:at]):
            if word.low in _TO or word.low in _FROM:
                return _TOWARDS if word.low in _TO else _AWAY
            if word.low in ("or", "and"):
                passed = 3
            elif word.low not in ("the", "a", "an", "of"):
                passed -= 1
                if passed < 0:
                    break
        return frozenset()


def _first_key(ref: ColumnRef) -> str | None:
    """The root's column by which a column is reached; None for the root's own."""
    join = ref.join
    while join is not None and join.via is not None:
        join = join.via
    return join.key.columns[0] if join is not None else None


@dataclass(slots=True)
class Draft:
    """A query of `reach.root`. `entity`: the link of what is asked for; `place`: where that is."""

    parts: QuestionParts
    reach: Reach
    entity: NameLink | None
    place: Join | None
    aggregate: str = "none"
    columns: list[ColumnRef] = field(default_factory=list)
    filters: list[tuple[ColumnRef, str, Any]] = field(default_factory=list)
    whole: list[tuple[ColumnRef, str, Any]] = field(default_factory=list)  # of a percentage: the conditions of all
    group_by: list[ColumnRef] = field(default_factory=list)
    order_by: ColumnRef | None = None
    order: str | None = None
    limit: int | None = None
    used: set[int] = field(default_factory=set)
    score: float = 0.0
    above: Join | None = None  # the way to the row of the same table whose values are given: somebody's superior
    compared: set[int] = field(default_factory=set)  # words that name what is denied or numbered, and no table
    said_at: dict[str, int] = field(default_factory=dict)  # by the path that is compared, where the question does
    failed: list[frozenset[int]] = field(default_factory=list)  # words whose meaning finds no place here

    @property
    def entity_table(self) -> str:
        return self.place.parent.name if self.place else self.reach.root.name

    def filter(self, ref: ColumnRef, op: str, value: Any, at: int | None = None) -> None:
        """A condition; `at`: the first of the words that say it."""
        if (ref, op, value) not in self.filters:
            self.filters.append((ref, op, value))
            if at is not None:
                self.said_at[ref.path] = min(at, self.said_at.get(ref.path, at))

    def use(self, words: Sequence[int] | frozenset[int] | set[int], points: float = 0.0) -> None:
        self.used |= set(words)
        self.score += points

    def links_of(self, table: str, column: str | None) -> Iterator[NameLink]:
        return (link for link in self.parts.links if link.table == table and link.column == column)

    def use_names_of(self, ref: ColumnRef, near: int | None = None, reach: int = 4) -> float:
        """Account for the words that name a column or its table (near a word, if one is said); the best of their scores."""
        owner = ref.join.parent.name if ref.join else self.reach.root.name
        best = 0.0
        for link in (*self.links_of(owner, ref.column.name), *self.links_of(owner, None)):
            if near is None or min(abs(i - near) for i in link.words) <= reach:
                best = max(best, link.score * (1.0 if link.column else 0.6))
                self.used |= link.words
        return best

    def ref(self, link: NameLink) -> ColumnRef | None:
        """The column that a link names, at its nearest from here; from what is asked for first."""
        if link.column is None:
            return None
        return self.reach.place(link.table, link.column, self.parts.said, self.place)

    def shown(self, ref: ColumnRef) -> list[ColumnRef]:
        """A column as people read it: for a key, what it points to is called by."""
        join = self.reach.key_join(ref) if ref.key and not ref.column.primary_key else None
        return self.reach.labels(join) if join is not None else [ref]

    def cost(self, ref: ColumnRef) -> float:
        return self.reach.cost(ref.join, self.parts.said)

    def alternatives(self) -> ColumnRef | None:
        """The column of which several values are given."""
        return next((ref for ref, op, _ in self.filters if op == "in"), None)

    def table_of(self, ref: ColumnRef) -> str:
        return ref.join.parent.name if ref.join else self.reach.root.name

    def is_year(self, ref: ColumnRef) -> bool:
        """Are a number column's values years?"""
        known = self.parts.index.ranges.get((self.table_of(ref), ref.column.name))
        return ref.column.kind == "number" and known is not None and known.least >= 1000 and known.greatest <= 2200

    def unused(self) -> list[Word]:
        """The words that matter and are not accounted for."""
        return leftovers(self)

    def finish(self) -> Draft:
        """Reckon what was left over, and what the root is good for."""
        self.score -= self._detour()
        self.score += IMPOSSIBLE * any(
            ref.children and ref.children.table.name in self._passed(ref) and (op, value) == ("=", 0)
            for ref, op, value in self.filters
        )
        missing = {ref.path for ref, op, value in self.filters if ref.key and (op, value) == ("=", None)}
        self.score += IMPOSSIBLE * any(_first_key(ref) in missing for ref in self.columns)
        for counted in [ref.children.table.name for ref, _, _ in self.filters if ref.children]:
            for link in self.links_of(counted, None):
                self.use(link.words)
        for word in self.parts.words[1:]:  # "phone number", "email address"
            if word.low in _HEADS and word.index - 1 in self.used and self.parts.words[word.index - 1].content:
                self.used.add(word.index)
        left = self.unused()
        open_words = sum(word.content and word.index not in self.used for word in self.parts.words)
        self.score += UNUSED_WORD * len(left) + PASSED_OVER * (open_words - len(left))
        self.score += UNUSED_VALUE * len(self.failed)
        return self

    def _passed(self, ref: ColumnRef) -> Iterator[str]:
        """The tables whose rows lead to a column's: there are such rows."""
        yield self.reach.root.name
        join = ref.join.via if ref.join is not None else None
        while join is not None:
            yield join.parent.name
            join = join.via

    def _refs(self) -> list[ColumnRef]:
        every = [*self.columns, *self.group_by, *(ref for ref, _, _ in (*self.filters, *self.whole))]
        return every + ([self.order_by] if self.order_by else [])

    def _detour(self) -> float:
        """Points that a root costs which isn't what is asked for; many where it adds nothing, or adds up repeated rows."""
        refs, cost = self._refs(), 0.0
        if self.aggregate in ("sum", "avg") and any(ref.join is not None for ref in self.columns):
            cost += 1.0
        if self.order_by is not None and self.order_by.join is not None:
            cost += 0.4
        if self.place is None:
            return cost
        counts_rows = self.aggregate == "count" or (self.aggregate in ("sum", "avg") and bool(self.group_by))
        adds = counts_rows or any(not goes_through(ref.join, self.place) for ref in refs)
        return cost + (0.15 if adds else 1.0)

    @property
    def may_be_empty(self) -> bool:
        """Is there being no rows an answer: where what is asked for is missing, compared or dated, and not only named?"""
        named = sum(op == "=" and isinstance(value, str) and ref.column.kind == "text" for ref, op, value in self.filters)
        return self.aggregate in ("none", "distinct") and named < len(self.filters) and named <= 1

    def arguments(self) -> dict[str, Any]:
        """As the tool `rows` takes them."""
        ask: dict[str, Any] = {"table": self.reach.root.name, "aggregate": self.aggregate}
        if self.columns:
            ask["columns"] = [ref.path for ref in self.columns]
        for key, conditions in (("filters", self.filters), ("of", self.whole)):
            if conditions:
                ask[key] = [{"column": ref.path, "op": op, "value": value} for ref, op, value in conditions]
        if self.group_by:
            ask["group_by"] = [ref.path for ref in self.group_by] if len(self.group_by) > 1 else self.group_by[0].path
        if self.order_by is not None:
            ask["order_by"] = self.order_by.path
        if self.order is not None:
            ask["order"] = self.order
        if self.limit is not None:
            ask["limit"] = self.limit
        return ask
