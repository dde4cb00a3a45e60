"""The conditions of a query: values, times, comparisons, numbers beside what they number. `presence.py` has the others.

Each finds its column by the words beside it, by how near it is to what is asked for, and by what is known of its values.
"""

from __future__ import annotations

import calendar
import datetime
from collections.abc import Iterator, Sequence

from portico_servers.db.questions.composing.column_comparisons import add_column_comparisons
from portico_servers.db.questions.composing.draft import Draft
from portico_servers.db.questions.composing.measures import (
    in_unit_of,
    is_epoch,
    main_measure,
    measure_by_adjective,
    named_measure,
)
from portico_servers.db.questions.composing.presence import add_presence
from portico_servers.db.questions.composing.projections import use_roles
from portico_servers.db.questions.composing.states import add_states
from portico_servers.db.questions.language.comparisons import Comparison
from portico_servers.db.questions.language.lexicon import CURRENCIES, LENGTH, MONEY, MONEY_WORDS, TIME_UNITS
from portico_servers.db.questions.language.times import TimeCondition
from portico_servers.db.questions.language.words import name_words, stem
from portico_servers.db.questions.linking.bindings import FEW_VALUES, BoundValue
from portico_servers.db.questions.linking.names import NameLink
from portico_servers.db.questions.linking.value_index import IndexedValue
from portico_servers.db.rows.column_refs import ColumnRef

OUT_OF_RANGE = -1.0  # for a comparison that no value of the column can meet
VALUE = 1.5  # points for a value that found its column
EPOCH_YEARS = range(1970, 2100)
_NUMBERED = frozenset("number id code key".split())
_MONEY, _LENGTH = (frozenset(map(stem, words)) for words in (MONEY, LENGTH))
_BIRTH = frozenset(stem(word) for word in "birth born death died".split())


def add_conditions(draft: Draft) -> None:
    """All of them."""
    for value in draft.parts.values:
        _value(draft, value)
    for time in draft.parts.times:
        _time(draft, time)
    for comparison in draft.parts.cues.comparisons:
        _comparison(draft, comparison)
    for at, number in draft.parts.cues.numbers.items():
        if at not in draft.used:
            _number(draft, at, number)
    add_column_comparisons(draft)
    add_presence(draft)
    add_states(draft)


def _value(draft: Draft, value: BoundValue) -> None:
    ranked = sorted(((_fit(draft, value, option), n) for n, option in enumerate(value.options)), reverse=True)
    if not ranked or ranked[0][0] is None or ranked[0][0] <= -9:
        draft.failed.append(value.words)
        return
    fit, n = ranked[0]
    negated = bool({value.first - 1, value.first - 2} & set(draft.parts.cues.negations)) or (
        value.first and draft.parts.words[value.first - 1].low in ("except", "excluding", "besides")
    )
    aside = tuple(word.low for word in draft.parts.words[max(0, value.first - 2) : value.first])
    if aside in (("other", "than"), ("apart", "from"), ("not", "counting"), ("aside", "from")):
        negated = True
        draft.use({value.first - 1, value.first - 2})
    for one in value.options[n]:
        ref = _place(draft, one, value)
        assert ref is not None
        if one.whole and not negated and _or_another(draft, ref, one.text, value.first):
            continue
        in_list = (one.table, one.column) in draft.parts.index.lists
        op = "!=" if negated else "contains" if in_list else "=" if one.whole else "starts with"
        draft.filter(ref, op, one.text, value.first)
        draft.use_names_of(ref, value.first, 3 + len(value.words))
        use_roles(draft, ref.join)
    if negated:
        draft.use({i for i in (value.first - 1, value.first - 2) if i in draft.parts.cues.negations})
    draft.use(value.words, VALUE + 0.15 * len(value.words) + fit)


def _place(draft: Draft, one: IndexedValue, value: BoundValue) -> ColumnRef | None:
    """The column that has a value: of the row above, where that is meant; of where something goes, behind "to"."""
    if draft.above is not None and one.table == draft.reach.root.name:
        return draft.reach.refs.get(f"{draft.above.prefix}.{one.column}")
    return draft.reach.place(one.table, one.column, draft.parts.said | draft.parts.way(value.first), draft.place)


def _or_another(draft: Draft, ref: ColumnRef, value: str | int, at: int) -> bool:
    """A second value of one column is an alternative: "from Brazil or Japan", "Brazil and Japan" alike."""
    for n, (other, op, given) in enumerate(draft.filters):
        if other.path == ref.path and op in ("=", "in") and isinstance(given, str | int | list) and given != value:
            draft.filters[n] = (ref, "in", [*(given if isinstance(given, list) else [given]), value])
            draft.use({at - 1} if draft.parts.words[at - 1].low in ("or", "and") else set())
            return True
    return False


def _fit(draft: Draft, value: BoundValue, option: Sequence[IndexedValue]) -> float:
    """How well values stand at their columns; -10 where these can't be reached."""
    total = 0.0
    for one in option:
        ref = _place(draft, one, value)
        if ref is None:
            return -10.0
        if _is_of_another(draft, value, one):
            return -10.0
        near = _beside(draft, ref, value)
        few = draft.parts.index.distinct.get((one.table, one.column), 0) <= FEW_VALUES
        called = one.column in {label.column.name for label in draft.reach.labels(ref.join)}
        total += near - draft.cost(ref) + 0.1 * few + 0.15 * called + 0.2 * (one.table == draft.entity_table)
        total += 0.5 * any(_same_column(other, one) for other in draft.parts.values if other is not value)
        total -= 0.0 if one.whole else 0.8
        total -= 0.3 * _is_view(draft, one.table)
    return total / len(option)


def _is_of_another(draft: Draft, value: BoundValue, one: IndexedValue) -> bool:
    """ "Suppliers from Japan" are not those of whose goods some were shipped there: they have a country of their own."""
    before = draft.parts.words[value.first - 1].low if value.first else ""
    if before != "from" or one.table == draft.entity_table or draft.place is None:
        return False
    kind = stem(name_words(one.column)[-1])
    own = (stem(name_words(column.name)[-1]) for column in draft.place.parent.columns if column.kind == "text")
    return draft.entity is not None and draft.entity.first < value.first and kind in own


def _same_column(value: BoundValue, one: IndexedValue) -> bool:
    return any(other.table == one.table and other.column == one.column for option in value.options for other in option)


def _is_view(draft: Draft, table: str) -> bool:
    found = draft.reach.schema.by_name.get(table)
    return found is not None and found.view


def _beside(draft: Draft, ref: ColumnRef, value: BoundValue) -> float:
    """What is said right beside a value: its column's name, or its table's."""
    table, best = draft.table_of(ref), 0.0
    for link in (*draft.links_of(table, ref.column.name), *draft.links_of(table, None)):
        apart = min(min(abs(i - value.first), abs(i - value.last)) for i in link.words)
        if apart <= 3 and not link.words & value.words:
            best = max(best, (0.8 if link.column else 0.6) * link.score * (1 - 0.15 * (apart - 1)))
    return best


def _time(draft: Draft, time: TimeCondition) -> None:
    """A time on the date, or the number of a year, that is named beside it, or that comes first where it is asked."""
    best: tuple[float, ColumnRef] | None = None
    middle = min(time.words)
    for ref in _timely(draft, time):
        score = _time_score(draft, ref, middle)
        if best is None or score > best[0]:
            best = score, ref
    if best is None:
        draft.failed.append(time.words)
        return
    ref = best[1]
    for op, date in time.conditions:
        values = _as_values(draft, ref, op, date)
        if len(values) == 1 and values[0][0] == "=" and _or_another(draft, ref, values[0][1], middle):
            continue
        for one in values:
            draft.filter(ref, *one, middle)
    draft.use_names_of(ref, middle, 6)
    draft.use(time.words, 1.2 + best[0] * 0.5)


def _timely(draft: Draft, time: TimeCondition) -> Iterator[ColumnRef]:
    for refs in draft.reach.columns.values():
        ref = min(refs, key=draft.cost)
        if ref.column.kind == "date" or is_epoch(draft, ref) or (time.year and draft.is_year(ref)):
            yield ref


def _time_score(draft: Draft, ref: ColumnRef, near: int) -> float:
    table, said = draft.table_of(ref), 0.0
    for link in draft.links_of(table, ref.column.name):
        apart = min(abs(i - near) for i in link.words)
        said = max(said, link.score * (1.0 if apart <= 5 else 0.5))
    stems = {stem(word) for word in name_words(ref.column.name)}
    before = draft.parts.words[max(0, near - 5) : near]  # "closed in 2024", a state too
    said = max([said, *(1.0 - 0.1 * (near - word.index) for word in before if word.content and word.stem in stems)])
    order = [one.name for one in draft.reach.schema.by_name[table].columns].index(ref.column.name)
    score = said - draft.cost(ref) + 0.3 * (table == draft.entity_table) + 0.1 * (ref.join is None)
    return score - 0.02 * order - 0.1 * ref.column.nullable - 0.5 * (bool(stems & _BIRTH) and not said)


def _as_values(draft: Draft, ref: ColumnRef, op: str, date: str) -> Sequence[tuple[str, str | int]]:
    """A date as the column keeps it: a date, a year, or seconds since 1970."""
    if ref.column.kind == "date":
        return [(op, date)]
    if draft.is_year(ref):
        return [(op, int(date[:4]))]
    start, end = _seconds(date)
    return {
        "=": [(">=", start), ("<", end)], "<": [("<", start)], ">=": [(">=", start)], "<=": [("<", end)], ">": [(">=", end)]
    }[op]  # fmt: skip


def _seconds(date: str) -> tuple[int, int]:
    """The seconds since 1970 at which a year, month or day (in UTC) begins and ends."""
    year, month, day = (*map(int, date.split("-")), 0, 0)[:3]
    start = datetime.datetime(year, month or 1, day or 1, tzinfo=datetime.UTC)
    days = 1 if day else calendar.monthrange(year, month)[1] if month else 365 + calendar.isleap(year)
    return int(start.timestamp()), int((start + datetime.timedelta(days=days)).timestamp())


def _comparison(draft: Draft, comparison: Comparison) -> None:
    words = draft.parts.words
    unit = words[comparison.last + 1].low if comparison.last + 1 < len(words) else ""
    if (counted := _counted_children(draft, comparison)) is not None:
        ref, link = counted
        draft.filter(ref, comparison.op, _plain(comparison.number), comparison.first)
        draft.use(comparison.words | link.words, 1.2 + link.score * 0.5)
        return
    found = _compared(draft, comparison)
    if found is None:
        draft.failed.append(comparison.words)
        return
    ref, used, score = found
    if ref.column.kind == "date" and not comparison.average:
        _age(draft, comparison, ref)
        return
    if comparison.average:
        draft.filter(ref, comparison.op, {"aggregate": "avg", "column": ref.path}, comparison.first)
    else:
        number = in_unit_of(draft, ref, comparison.number, unit)
        known = draft.parts.index.ranges.get((draft.table_of(ref), ref.column.name))
        if known is not None and (
            (comparison.op == ">" and number >= known.greatest) or (comparison.op == "<" and number <= known.least)
        ):
            draft.score += OUT_OF_RANGE
        draft.filter(ref, comparison.op, _plain(number), comparison.first)
        is_unit = unit and (number != comparison.number or _is_unit_of(ref, unit.rstrip("s")))
        used = used | ({comparison.last + 1} if is_unit else set())
    draft.use(comparison.words | used, 1.0 + 0.5 * score)


def _is_unit_of(ref: ColumnRef, unit: str) -> bool:
    """ "10 dollars" of a price, "90 minutes" of a length: what the number is in anyway."""
    stems = {stem(word) for word in name_words(ref.column.name)}
    return (unit in CURRENCIES and bool(stems & _MONEY)) or (unit in TIME_UNITS and bool(stems & _LENGTH))


def _age(draft: Draft, comparison: Comparison, ref: ColumnRef) -> None:
    """ "Older than 15": born more than so many years ago."""
    if comparison.adjective not in ("old", "young") or not 0 < comparison.number < 200:
        draft.failed.append(comparison.words)
        return
    today, years = datetime.date.today(), int(comparison.number)
    try:
        day = today.replace(year=today.year - years)
    except ValueError:  # the 29th of February
        day = today.replace(year=today.year - years, day=28)
    draft.filter(ref, comparison.op, day.isoformat(), comparison.first)
    follows = draft.parts.words[comparison.last + 1 : comparison.last + 2]
    draft.use(comparison.words | {word.index for word in follows if word.low in ("year", "years")}, 1.3)


def _compared(draft: Draft, comparison: Comparison) -> tuple[ColumnRef, frozenset[int] | set[int], float] | None:
    """The number that is compared: named beside, told by the comparison's adjective, by a verb of money, or the main one."""
    at = comparison.last
    if named := named_measure(draft, at, behind=True, within=2) or named_measure(draft, comparison.first, within=4):
        return named[0], named[1].words, named[1].score - draft.cost(named[0])
    if comparison.adjective and (by := measure_by_adjective(draft, comparison.adjective)):
        return by[0], set(), by[1]
    words = draft.parts.words
    near = {words[i].low for i in range(max(0, comparison.first - 3), min(len(words), at + 3))}
    if near & MONEY_WORDS and (by := measure_by_adjective(draft, "cheap")):
        return by[0], {i for i in range(max(0, comparison.first - 3), comparison.first) if words[i].low in MONEY_WORDS}, by[1]
    unit = words[at + 1].low.rstrip("s") if at + 1 < len(words) else ""
    if unit in TIME_UNITS and (by := measure_by_adjective(draft, "long")):
        return by[0], {at + 1}, by[1]
    ref = main_measure(draft)
    return (ref, set(), 0.0) if ref else None


def _counted_children(draft: Draft, comparison: Comparison) -> tuple[ColumnRef, NameLink] | None:
    """ "More than 5 orders": the rows of a child table, of what is asked for; "in more than one club": those that lead to a
    table; "rented more than 3 times": those that the verb tells of."""
    best: tuple[float, ColumnRef, NameLink] | None = None
    words = draft.parts.words
    times = comparison.last + 1 < len(words) and words[comparison.last + 1].low in ("time", "times")
    for link in draft.parts.links:
        behind = comparison.last < link.first <= comparison.last + 2
        before = times and comparison.first - 4 <= link.first < comparison.first
        if link.column is not None or not (behind or before) or link.score < 0.6:
            continue
        refs, less = draft.reach.counts.get((draft.entity_table, link.table), []), 0.0
        if not refs:
            refs, less = draft.reach.counts_through(draft.entity_table, link.table), 0.1
        if refs and (best is None or link.score - less > best[0]):
            best = link.score - less, refs[0], link
    if best is not None and times:
        draft.use({comparison.last + 1})
    return best[1:] if best else None


def _number(draft: Draft, at: int, number: int) -> None:
    """ "Grade 9", "3 runways", "order 10250": what stands right beside a number is numbered by it."""
    words = draft.parts.words
    front = at - 1 - (at > 1 and words[at - 1].low in (*_NUMBERED, "of"))  # "alert number 63", "a score of 1"
    if at + 1 < len(words) and words[at + 1].low in ("numbers", "figures", "values", "names", "things"):  # so many answers
        draft.use({at, at + 1})
        return
    behind = at + 1 + (at + 2 < len(words) and words[at + 1].low in ("in", "on", "of"))  # "zero in stock"
    beside = [link for link in draft.parts.links if {front, behind} & link.words and not link.sense]
    ranked: list[tuple[float, ColumnRef, NameLink]] = []
    for link in beside:
        before = front in link.words
        ref = draft.ref(link) if link.column else _key_of(draft, link.table) if before else None
        if ref is None or ref.column.kind != "number" or (ref.key and link.column is not None and not before):
            continue
        known = draft.parts.index.ranges.get((draft.table_of(ref), ref.column.name))
        if known is not None and not known.least <= number <= known.greatest and not ref.key:
            continue
        own = draft.table_of(ref) == draft.entity_table
        ranked.append((link.score - draft.cost(ref) + 0.2 * before - 0.1 * ref.key + 0.3 * own, ref, link))
    if not ranked:
        return
    score, ref, link = max(ranked, key=lambda one: one[0])
    draft.filter(ref, "=", number, at)
    draft.use(link.words | {at, *range(front + 1, at)}, 1.2 + 0.5 * score)


def _key_of(draft: Draft, table: str) -> ColumnRef | None:
    if table not in draft.reach.joins:
        return None
    keys = draft.reach.keys(draft.reach.nearest(table, draft.parts.said, draft.place))
    return keys[0] if len(keys) == 1 else None


def _plain(number: float) -> float | int:
    return int(number) if float(number).is_integer() else number
