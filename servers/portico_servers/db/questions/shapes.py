"""What a query gives: a count, a sum, the highest, groups, rows. Its conditions are there already, and their words used.

In turn: superlatives, averages, counts, sums, lists; each finds its columns among the words that are left.
"""

from __future__ import annotations

from dataclasses import replace

from portico_servers.db.questions.cues import Superlative
from portico_servers.db.questions.draft import Draft
from portico_servers.db.questions.lexicon import MONEY_WORDS
from portico_servers.db.questions.measures import is_flag, main_measure, measurable, measure_by_adjective, named_measure
from portico_servers.db.questions.names import NameLink
from portico_servers.db.questions.projections import add_projections, asked_columns, is_person, label_of, use_roles
from portico_servers.db.rows.column_refs import ColumnRef, parents_of

_COUNTING = frozenset("popular common frequent often rare".split())


def add_shape(draft: Draft) -> None:
    """Decide what the query gives, and account for the words that say so."""
    cues = draft.parts.cues
    draft.use(cues.used)
    superlative = next(iter(cues.superlatives), None)
    groups = _groups(draft)
    if superlative is not None:
        if _superlative(draft, superlative, groups):
            return
        draft.failed.append(superlative.words)
    if cues.average:
        _aggregate(draft, "avg", cues.average, groups)
    elif cues.asked == "count":
        _count(draft, groups)
    elif cues.sum or (cues.how_much and not _asks_a_value(draft)):
        _aggregate(draft, "sum", cues.sum, groups)
    elif groups and cues.asked is None:
        _count(draft, groups)
    else:
        add_projections(draft)


def _asks_a_value(draft: Draft) -> bool:
    """ "How much is the Goat Gouda": of one thing, which is named by what it is called."""
    labels = {label.path for label in draft.reach.labels(draft.place)}
    return any(ref.path in labels and op == "=" for ref, op, _ in draft.filters)


def _groups(draft: Draft) -> list[ColumnRef]:
    """ "Per city", "by status", "each author": the columns to group by."""
    for at in draft.parts.cues.groups:
        best: tuple[float, list[ColumnRef], NameLink] | None = None
        if part := _time_part(draft, at):
            return [part]
        for link in draft.parts.links:
            apart = link.first - at
            if not 1 <= apart <= 3 or link.words <= draft.used:
                continue
            refs = _group_columns(draft, link)
            score = link.score - 0.2 * apart - (draft.cost(refs[0]) if refs else 0.0)
            if refs and (best is None or score > best[0]):
                best = score, refs, link
        if best is not None:
            draft.use(best[2].words | {at}, 1.0 + 0.5 * best[0])
            for ref in best[1]:
                use_roles(draft, ref.join)
            return best[1]
    return []


def _group_columns(draft: Draft, link: NameLink) -> list[ColumnRef]:
    if link.column is not None:
        ref = draft.ref(link)
        if ref is None or ref.column.primary_key or (draft.parts.cues.superlatives and ref.column.kind == "number" and not ref.key):
            return []
        return draft.shown(ref)
    if link.table == draft.reach.root.name and draft.parts.cues.asked != "count":
        return []
    return label_of(draft, link.table)


def _time_part(draft: Draft, at: int) -> ColumnRef | None:
    """ "Per year", "each month": of the date that is first, or named."""
    words = draft.parts.words
    part = next((word.low for word in words[at + 1 : at + 3] if word.low in ("year", "month")), None)
    dates = [ref for ref in draft.reach.of(None) if ref.column.kind == "date"]
    if part is None or not dates:
        return None
    named = named_measure(draft, at, ("date",), 6)
    of = named[0] if named else dates[0]
    found = draft.reach.refs.get(f"{of.path}.{part}")
    if found is not None:
        place = next(word.index for word in words[at + 1 : at + 3] if word.low == part)
        draft.use({at, place} | (named[1].words if named else set()), 1.2)
    return found


def _count(draft: Draft, groups: list[ColumnRef]) -> None:
    """Rows of what is asked for; or, where a column is asked for, its sum, or its different values."""
    draft.use({i for i in draft.parts.cues.sum if draft.parts.words[i].low != "sum"})
    draft.group_by = groups
    if draft.entity is not None and draft.entity.column is not None:
        ref = draft.ref(draft.entity)
        if ref is not None and not (is_person(ref) and not draft.parts.cues.distinct):
            draft.columns = [ref]
            summed = ref.summable and not is_flag(draft, ref)
            draft.aggregate = "sum" if summed and not draft.parts.cues.distinct else "count_distinct"
            draft.use(draft.entity.words, 0.6 + draft.entity.score if summed or draft.parts.cues.distinct else 0.3)
            return
    draft.aggregate = "count"
    if draft.entity is not None:
        draft.use(draft.entity.words, 1.0 + draft.entity.score)
    if draft.place is not None:
        keys = draft.reach.keys(draft.place)
        if len(keys) == 1:
            draft.aggregate, draft.columns = "count_distinct", keys
        draft.score -= 0.1
    elif draft.parts.cues.distinct and (asked := asked_columns(draft)):
        draft.aggregate, draft.columns = "count_distinct", asked[:1]


def _aggregate(draft: Draft, aggregate: str, words: frozenset[int], groups: list[ColumnRef]) -> None:
    """An average or a sum of the number that is named; else of the one that the rows are about."""
    near = max(words) if words else None
    named = named_measure(draft, near, within=30) if near is not None else named_measure(draft)
    ref = named[0] if named and not is_flag(draft, named[0]) else None
    if ref is not None and named is not None:
        draft.use(named[1].words, 1.0 + named[1].score - draft.cost(ref))
    else:
        ref, points = _unnamed_measure(draft, words)
        draft.score += points
    if ref is None:
        draft.failed.append(words or frozenset({0}))
        return
    draft.aggregate, draft.columns, draft.group_by = aggregate, [ref], groups
    draft.use(words, 0.8)
    draft.use_names_of(ref)
    draft.use({word.index for word in draft.parts.words if word.low in ("much", "money") and draft.parts.cues.how_much})
    if draft.entity is not None and draft.entity.column is None:
        draft.use(draft.entity.words, draft.entity.score * 0.8)
        draft.score -= 0.3 * (draft.table_of(ref) != draft.entity.table)


def _unnamed_measure(draft: Draft, words: frozenset[int]) -> tuple[ColumnRef | None, float]:
    every = draft.parts.words
    if draft.parts.cues.how_long and (by := measure_by_adjective(draft, "long")):
        draft.use({word.index for word in every if word.low in ("long", "take", "takes", "last", "lasts")})
        return by[0], by[1]
    if any(word.low in MONEY_WORDS for word in every):
        by = measure_by_adjective(draft, "expensive")
        draft.use({word.index for word in every if word.low in MONEY_WORDS} if by else set())
        return by or (None, 0.0)
    return main_measure(draft), 0.3


def _superlative(draft: Draft, one: Superlative, groups: list[ColumnRef]) -> bool:
    """The most or least of something; False where nothing here can be compared so."""
    if one.adjective in _COUNTING:
        return _most_frequent(draft, one)
    if one.adjective is None:
        return _most_of(draft, one, groups)
    return _by_measure(draft, one)


def _by_measure(draft: Draft, one: Superlative) -> bool:
    assert one.adjective is not None
    timely = one.adjective in ("old", "young", "early", "late", "new", "recent", "first", "last")
    by = measure_by_adjective(draft, one.adjective)
    kinds = ("date", "number") if timely else ("number", "date")
    if timely and (dated := named_measure(draft, one.last, ("date",), 2)):  # "founded first"
        _ranked(draft, one, dated[0], dated[1].words, dated[1].score)
        return True
    named = named_measure(draft, one.last, kinds, 3, behind=True) or (None if by else named_measure(draft, one.last, kinds, 6))
    if named and (named[1].score >= 0.7 or by is None) and not (timely and by and named[0].column.kind != "date" and by[1] > 0.6):
        ref, points, words = named[0], named[1].score, named[1].words
    elif by is not None:
        ref, points, words = by[0], by[1], frozenset()
    elif (main := main_measure(draft)) is not None and not timely:
        ref, points, words = main, 0.2, frozenset()
    else:
        return False
    if ref.column.kind == "date" and one.adjective in ("long", "short"):  # the longest is since the earliest
        one = replace(one, order="asc" if one.order == "desc" else "desc")
    _ranked(draft, one, ref, words, points)
    return True


def _ranked(draft: Draft, one: Superlative, ref: ColumnRef, words: frozenset[int], points: float) -> None:
    """The value itself where only that is asked for, else the rows that have it."""
    draft.use(one.words | words, 1.0 + points - draft.cost(ref))
    entity = draft.entity
    value_asked = (words and (entity is None or entity.words <= words)) or (
        entity is not None and entity.column is not None and draft.ref(entity) == ref
    )
    if value_asked and draft.parts.cues.limit in (None, 1) and not draft.parts.cues.who:
        draft.aggregate, draft.columns = ("min" if one.order == "asc" else "max"), [ref]
        return
    draft.order_by, draft.order, draft.limit = ref, one.order, draft.parts.cues.limit or 1
    add_projections(draft)
    if ref.path not in {column.path for column in draft.columns}:
        draft.columns.append(ref)


def _most_frequent(draft: Draft, one: Superlative) -> bool:
    """ "The most common status", "who visits most often": what most rows of the root have."""
    entity = draft.entity
    if entity is None:
        return False
    refs = draft.shown(ref) if entity.column is not None and (ref := draft.ref(entity)) else label_of(draft, entity.table)
    if entity.column is None and draft.place is None:
        return False
    draft.use(entity.words | one.words, 1.5 + entity.score)
    _count_by(draft, one, refs)
    return True


def _count_by(draft: Draft, one: Superlative, refs: list[ColumnRef]) -> None:
    draft.aggregate, draft.order, draft.limit = "count", one.order, draft.parts.cues.limit or 1
    add_projections(draft)
    near = {draft.reach.root.name, *(join.parent.name for join in parents_of(draft.reach.schema, draft.reach.root, None))}
    draft.use({i for link in draft.parts.links if link.column is None and link.table in near for i in link.words}, 0.0)
    apart = draft.place is not None or any(ref.join is not None for ref in refs)  # a root's column would tell its rows apart
    shown = {item.path for item in refs}
    extra = [ref for ref in draft.columns if ref.path not in shown and not (apart and ref.join is None)]
    draft.columns = []
    draft.group_by = [*extra, *refs, *(key for key in _keys_of(draft, refs) if key not in refs)][:6]


def _keys_of(draft: Draft, refs: list[ColumnRef]) -> list[ColumnRef]:
    """The key beside a name that others may have, too."""
    named = {label.path for label in draft.reach.labels(draft.place)}
    return draft.reach.keys(draft.place) if draft.place is not None and {ref.path for ref in refs} <= named else []


def _most_of(draft: Draft, one: Superlative, groups: list[ColumnRef]) -> bool:
    """The most pages (a number), the most loans (rows), spent the most (a sum)."""
    top = any(draft.parts.words[i].low in ("top", "bottom") for i in one.words)
    behind = named_measure(draft, one.last, behind=True, within=6 if top else 3)
    counted = _counted(draft, one)
    if behind and not is_flag(draft, behind[0]) and (counted is None or behind[1].score >= counted.score):
        if draft.place is None or draft.table_of(behind[0]) == draft.entity_table:
            _ranked(draft, one, behind[0], behind[1].words, behind[1].score)
            return True
        return _sum_by(draft, one, behind[0], behind[1].words, behind[1].score)
    if counted is not None and draft.place is not None:
        draft.use(one.words | counted.words, 1.2 + counted.score)
        return _entity_counts(draft, one)
    if counted is not None and (groups or draft.entity is not None) and draft.place is None:
        refs = groups or (draft.shown(ref) if draft.entity and draft.entity.column and (ref := draft.ref(draft.entity)) else [])
        if refs and draft.entity is not None:
            draft.use(one.words | counted.words | draft.entity.words, 1.0 + counted.score)
            _count_by(draft, one, refs)
            return True
    return _by_verb(draft, one, groups)


def _counted(draft: Draft, one: Superlative) -> NameLink | None:
    """The rows that are counted, said behind "most" or by the verb before: those of the root."""
    best: tuple[float, NameLink] | None = None
    for link in draft.parts.links:
        if link.column is not None or link.table != draft.reach.root.name:
            continue
        own = link.words - (draft.entity.words if draft.entity else frozenset())
        if own and not own & one.words:
            apart = min(own) - one.last
            score = link.score - (0.1 * apart if apart > 0 else 0.3 - 0.1 * apart)
            if -3 <= apart <= 4 and (best is None or score > best[0]):
                best = score, link
    return best[1] if best else None


def _entity_counts(draft: Draft, one: Superlative) -> bool:
    """Count the root's rows for each of what is asked for."""
    refs = label_of(draft, draft.entity_table)
    if draft.entity is not None:
        if draft.entity.column is not None and (ref := draft.ref(draft.entity)):
            refs = [ref]
        draft.use(draft.entity.words, draft.entity.score)
    _count_by(draft, one, refs)
    return True


def _sum_by(draft: Draft, one: Superlative, ref: ColumnRef, words: frozenset[int], points: float) -> bool:
    refs = label_of(draft, draft.entity_table)
    draft.use(one.words | words | (draft.entity.words if draft.entity else set()), 1.0 + points)
    _count_by(draft, one, refs)
    draft.aggregate, draft.columns = "sum", [ref]
    return True


def _by_verb(draft: Draft, one: Superlative, groups: list[ColumnRef]) -> bool:
    """ "Who paid the most", "which customer spent the most", "the one with the most"."""
    before = named_measure(draft, min(one.words), ("number",), 4)
    words = draft.parts.words
    verbs = {word.index for word in words if word.low in MONEY_WORDS and abs(word.index - one.last) <= 4}
    if before and measurable(before[0], ("number",)) and not is_flag(draft, before[0]):
        ref, used, points = before[0], before[1].words, before[1].score
    elif verbs and (by := measure_by_adjective(draft, "expensive")):
        ref, used, points = by[0], frozenset(verbs), by[1]
    elif groups and draft.place is None:
        draft.use(one.words, 0.8)
        _count_by(draft, one, groups)
        return True
    else:
        return False
    if draft.place is not None and draft.table_of(ref) != draft.entity_table:
        return _sum_by(draft, one, ref, used, points)
    _ranked(draft, one, ref, used, points)
    return True
