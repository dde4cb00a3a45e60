"""Which number or date a question measures by: a column that it names, what an adjective is about, or the main one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from portico_servers.db.questions.composing.draft import Draft
from portico_servers.db.questions.language.lexicon import CURRENCIES, GENERIC_MEASURES, MEASURES, TIME_UNITS, Measure
from portico_servers.db.questions.language.words import name_words, stem
from portico_servers.db.questions.linking.names import NameLink
from portico_servers.db.rows.column_refs import ColumnRef

_OF_LIVES = frozenset("birth birthday born dob published".split())  # nobody has been here since then
NEAR = 4  # words between a measure and its column


def measurable(ref: ColumnRef, kinds: Sequence[str]) -> bool:
    """Can it be compared by its size?"""
    return ref.column.kind in kinds and not ref.key and ref.part is None and ref.children is None


def is_flag(draft: Draft, ref: ColumnRef) -> bool:
    where = draft.table_of(ref), ref.column.name
    known = draft.parts.index.ranges.get(where)
    told = where in draft.parts.index.flags or (known is not None and known.flag and ref.column.kind == "number")
    return ref.children is None and (ref.column.kind == "boolean" or told)


def flag_value(draft: Draft, ref: ColumnRef, on: bool) -> bool | int | str:
    """What a flag's column has for yes, or for no."""
    if ref.column.kind == "boolean":
        return on
    words = draft.parts.index.flags.get((draft.table_of(ref), ref.column.name))
    return int(on) if words is None else words[not on]


def named_measure(
    draft: Draft, near: int | None = None, kinds: Sequence[str] = ("number",), within: int = NEAR, behind: bool = False
) -> tuple[ColumnRef, NameLink] | None:
    """The measure that words name, the nearest to a word first; `behind`: only after it."""
    best: tuple[float, ColumnRef, NameLink] | None = None
    for link in draft.parts.links:
        if link.column is None or link.words <= draft.used or (behind and near is not None and link.first < near):
            continue
        ref = draft.ref(link)
        if ref is None or not measurable(ref, kinds):
            continue
        apart = 0 if near is None else min(abs(i - near) for i in link.words)
        if apart > within:
            continue
        score = link.score - 0.1 * apart - draft.cost(ref) + 0.3 * (draft.table_of(ref) == draft.entity_table)
        score -= 0.4 * (link.sense or is_flag(draft, ref))
        stems = {stem(word) for word in name_words(ref.column.name)}
        score += 0.15 * len(stems & draft.parts.said) / len(stems)
        if best is None or score > best[0]:
            best = score, ref, link
    return (best[1], best[2]) if best else None


def measure_by_adjective(draft: Draft, name: str) -> tuple[ColumnRef, float] | None:
    """The column that an adjective compares by, of what is asked for or of the root; and how sure that is."""
    measure = MEASURES[name]
    found = list(_by_words(draft, measure))
    if name == "long" or name == "short":  # "has been here longest": since when
        found += [
            (ref, 0.4) for ref, _ in _by_words(draft, MEASURES["old"]) if not set(name_words(ref.column.name)) & _OF_LIVES
        ]
    return max(found, key=lambda one: one[1], default=None)


def _by_words(draft: Draft, measure: Measure) -> Iterator[tuple[ColumnRef, float]]:
    wanted = [stem(word) for word in measure.words]
    own = draft.place is not None and measure.kinds != ("number",) and measure.words[0] not in ("date", "time")  # an age
    for place, less in [(draft.place, 0.0)] if own else dict.fromkeys(((draft.place, 0.0), (None, 0.15))):
        for at, ref in enumerate(draft.reach.of(place)):
            if not measurable(ref, measure.kinds) or is_flag(draft, ref) or not _fits_kind(draft, ref, measure):
                continue
            stems = [stem(word) for word in name_words(ref.column.name)]
            ranks = [wanted.index(one) for one in stems if one in wanted]
            if ranks:
                yield ref, 1.0 - 0.03 * min(ranks) - less - 0.005 * at
            elif ref.column.kind == "date" and "date" in measure.kinds:
                yield ref, 0.45 - less - 0.005 * at


def _fits_kind(draft: Draft, ref: ColumnRef, measure: Measure) -> bool:
    """A number that tells a time is a year."""
    return "date" not in measure.kinds or ref.column.kind == "date" or draft.is_year(ref)


def is_epoch(draft: Draft, ref: ColumnRef) -> bool:
    """Are a number column's values seconds since 1970, by its name and its range?"""
    known = draft.parts.index.ranges.get((draft.table_of(ref), ref.column.name))
    timely = {"at", "time", "timestamp", "date", "on", "created", "updated", "ts", "epoch"} & set(name_words(ref.column.name))
    return ref.column.kind == "number" and known is not None and bool(timely) and 1e8 <= known.least <= known.greatest < 5e9


def main_measure(draft: Draft) -> ColumnRef | None:
    """The number that rows of the root are about: an amount or a total, or the only one that they have."""
    own = [ref for ref in draft.reach.of(None) if measurable(ref, ("number",)) and not is_flag(draft, ref)]
    if generic := [ref for ref in own if is_generic(ref)]:
        return min(generic, key=_generic_rank)
    return own[0] if len(own) == 1 else None


def is_generic(ref: ColumnRef) -> bool:
    """Is it called an amount, a total or the like, of whatever the rows are?"""
    return _generic_rank(ref) < len(GENERIC_MEASURES)


def _generic_rank(ref: ColumnRef) -> int:
    generic = [stem(word) for word in GENERIC_MEASURES]
    ranks = (generic.index(one) for one in map(stem, name_words(ref.column.name)) if one in generic)
    return min(ranks, default=len(generic))


def names_nothing(ref: ColumnRef) -> bool:
    """Is it called a value or an amount, of whatever there is?"""
    return set(name_words(ref.column.name)) <= {"value", "amount", "reading", "measurement", "quantity"}


def is_reading(ref: ColumnRef) -> bool:
    """Is it what was measured, of whatever was measured?"""
    return set(name_words(ref.column.name)) <= {"value", "reading", "measurement"}


def in_unit_of(draft: Draft, ref: ColumnRef, number: float, unit: str) -> float:
    """A duration in the column's unit: by its name, else the one in which the number is among the column's; an amount in
    cents where the column has these."""
    cents = bool({"cent", "cents", "pence", "centimes", "centavos"} & set(name_words(ref.column.name)))
    if cents and unit.rstrip("s") not in ("cent", "pence"):
        known = draft.parts.index.ranges.get((draft.table_of(ref), ref.column.name))
        if unit.rstrip("s") in CURRENCIES or (known is not None and number < known.least <= number * 100):
            return number * 100
    seconds = TIME_UNITS.get(unit) or TIME_UNITS.get(unit.rstrip("s"))
    if seconds is None:
        return number
    named = [TIME_UNITS[one] for word in name_words(ref.column.name) if (one := word.rstrip("s")) in TIME_UNITS]
    if named:
        return number * seconds / named[0]
    known = draft.parts.index.ranges.get((draft.table_of(ref), ref.column.name))
    for size in (seconds, 60.0, 1.0, 3600.0, 0.001):
        converted = number * seconds / size
        if known is None or known.least <= converted <= known.greatest:
            return converted
    return number
