"""Conditions that compare a column with another of the same row: "below their reorder level", "after the required date"."""

from __future__ import annotations

from collections.abc import Iterator

from portico_servers.db.questions.composing.draft import Draft
from portico_servers.db.questions.composing.measures import measurable, named_measure
from portico_servers.db.questions.language.lexicon import COMPARISONS
from portico_servers.db.questions.language.words import number_of
from portico_servers.db.questions.linking.names import NameLink
from portico_servers.db.rows.column_refs import ColumnRef

_TIMELY = {"after": ">", "past": ">", "before": "<", "until": "<="}
_COMPARATIVES = {
    "more": ">", "higher": ">", "larger": ">", "bigger": ">", "greater": ">", "fewer": "<", "less": "<", "lower": "<",
    "smaller": "<",
}  # fmt: skip
_FILLING = frozenset("the their its his her own a an that than".split())
_EVERY = frozenset("all each every".split())
REACH = 6  # words before the comparison, in which the first column is named


def add_column_comparisons(draft: Draft) -> None:
    """All of them. A number or a date behind the comparison is another condition's."""
    words, done = draft.parts.words, set[int]()
    for at in range(len(words)):
        if at in done or at in draft.used:
            continue
        for length, op in _phrases_at(draft, at):
            end = at + length
            if end < len(words) and words[end].low in _EVERY:
                break  # "over all orders"
            while end < len(words) and words[end].low in _FILLING:
                end += 1
            if end < len(words) and number_of(words[end]) is None and _compare(draft, at, end, op):
                done |= set(range(at, end))
                break


def _phrases_at(draft: Draft, at: int) -> Iterator[tuple[int, str]]:
    words = draft.parts.words
    for phrase, op in COMPARISONS:
        if tuple(word.low for word in words[at : at + len(phrase)]) == phrase:
            yield len(phrase), op
    if words[at].low in _TIMELY:
        yield 1, _TIMELY[words[at].low]
    if words[at].low == "than" and (
        front := next((w.low for w in words[max(0, at - REACH) : at] if w.low in _COMPARATIVES), "")
    ):
        yield 1, _COMPARATIVES[front]
    if at + 1 < len(words) and words[at + 1].low == "than" and words[at].low in ("later", "earlier"):
        yield 2, ">" if words[at].low == "later" else "<"


def _compare(draft: Draft, at: int, end: int, op: str) -> bool:
    second = _second(draft, end)
    if second is None:
        return False
    other, link = second
    kind = other.column.kind
    named = named_measure(draft, at, (kind,), REACH)
    if named is not None and (named[0].path == other.path or named[1].first > at):
        named = None
    ref = named[0] if named else _counterpart(draft, other)
    if ref is None or (kind == "date") != (ref.column.kind == "date"):
        return False
    draft.filter(ref, op, {"column": other.path}, at)
    draft.use(set(range(at, end)) | link.words | (named[1].words if named else set()), 1.5)
    return True


def _second(draft: Draft, end: int) -> tuple[ColumnRef, NameLink] | None:
    found = [
        (link.score, ref, link)
        for link in draft.parts.links
        if link.column is not None and end <= link.first <= end + 1 and not link.sense
        for ref in [draft.ref(link)]
        if ref is not None
        and measurable(ref, ("number", "date"))
        and draft.table_of(ref) in (draft.entity_table, draft.reach.root.name)
    ]
    best = max(found, key=lambda one: one[0], default=None)
    return (best[1], best[2]) if best else None


def _counterpart(draft: Draft, other: ColumnRef) -> ColumnRef | None:
    """Of a level, the number that it is a level of: the only other count of the row that shares no key; of a date, none."""
    if other.column.kind != "number":
        return None
    stock = [
        ref
        for ref in draft.reach.of(other.join)
        if measurable(ref, ("number",)) and ref.path != other.path and "stock" in ref.column.name.lower()
    ]
    return stock[0] if len(stock) == 1 else None
