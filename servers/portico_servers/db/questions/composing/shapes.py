"""What a query gives: a count, a sum, the highest, groups, rows. Its conditions are there already, and their words used.

In turn: superlatives, averages, counts, sums, lists; each finds its columns among the words that are left.
"""

from __future__ import annotations

from portico_servers.db.questions.composing.draft import Draft
from portico_servers.db.questions.composing.measures import (
    is_flag,
    is_generic,
    main_measure,
    measure_by_adjective,
    named_measure,
)
from portico_servers.db.questions.composing.projections import add_projections, asked_columns, is_person, label_of, use_roles
from portico_servers.db.questions.composing.rankings import add_ranking, may_lack, quantity
from portico_servers.db.questions.language.lexicon import MONEY_WORDS, NOUNS
from portico_servers.db.questions.language.superlatives import Superlative
from portico_servers.db.questions.language.words import name_words
from portico_servers.db.questions.linking.names import NameLink
from portico_servers.db.rows.column_refs import ColumnRef

_WHERE = frozenset("in from into to across over within".split())
_BE_OR_HAVE = frozenset("is are was were be been has have had do does did got get gets came come comes".split())


def add_shape(draft: Draft) -> None:
    """Decide what the query gives, and account for the words that say so."""
    cues = draft.parts.cues
    draft.use(cues.used)
    if cues.percent:
        _percent(draft)
        return
    superlative = next(iter(cues.superlatives), None)
    groups = _groups(draft)
    if cues.contrast and not groups and (told := draft.alternatives()) is not None and draft.entity is None:
        groups = [told]
    if superlative is not None and cues.average and _best_average(draft, superlative, groups):
        return
    if superlative is not None:
        if add_ranking(draft, superlative, groups):
            if groups and not any(ref in draft.group_by for ref in groups):  # "the best-seller by country", of another thing
                draft.failed.append(frozenset(cues.groups))
            return
        draft.failed.append(superlative.words)
    if cues.average:
        _aggregate(draft, "avg", cues.average, groups)
    elif cues.asked == "count":
        _count(draft, groups or _each(draft))
    elif cues.sum or (cues.how_much and not _asks_a_value(draft)):
        _aggregate(draft, "sum", cues.sum, groups)
    elif groups and cues.asked is None:
        _count(draft, groups)
    else:
        add_projections(draft)


def _best_average(draft: Draft, one: Superlative, groups: list[ColumnRef]) -> bool:
    """ "Which department has the highest average salary?": of each of what is asked for, and the best of them first."""
    entity = draft.entity
    if not groups and entity is not None:
        ref = draft.ref(entity)
        groups = draft.shown(ref) if ref is not None else label_of(draft, entity.table) if draft.place is not None else []
        groups = [] if ref is not None and ref.column.kind == "number" and not ref.key else groups
    if not groups:
        return False
    draft.use(one.words | (entity.words if entity is not None else set()), 1.0)
    _aggregate(draft, "avg", draft.parts.cues.average, groups)
    if may_lack(draft, groups[0]):
        draft.filter(groups[0], "!=", None)
    draft.order, draft.limit = one.order, draft.parts.cues.limit or 1
    return bool(draft.columns)


def _percent(draft: Draft) -> None:
    """What part of the rows of what is asked for meets the conditions. What is said before the verb, or right before what is
    asked for, tells of which rows: "of the urgent tickets, what share was escalated?"."""
    entity = draft.entity
    if entity is None or entity.column is not None or draft.place is not None or not draft.filters:
        draft.failed.append(draft.parts.cues.percent)
        return
    draft.use(draft.parts.cues.percent | entity.words, 1.0 + entity.score)
    verb = next((w.index for w in draft.parts.words if w.index > entity.first and w.low in _BE_OR_HAVE), entity.first + 1)
    paths = {ref.path for ref, _, _ in draft.filters}
    whole = {path for path in paths if draft.said_at.get(path, verb) < verb}
    if whole == paths:  # "the share of urgent tickets": of all tickets
        whole = set()
    draft.aggregate = "percent"
    draft.whole = [one for one in draft.filters if one[0].path in whole]
    draft.filters = [one for one in draft.filters if one[0].path not in whole]


def _asks_a_value(draft: Draft) -> bool:
    """ "How much is the Goat Gouda": of one thing, which is named by what it is called."""
    labels = {label.path for label in draft.reach.labels(draft.place)}
    costs = any(word.low in ("cost", "costs") for word in draft.parts.words) and not draft.parts.cues.sum
    return costs or any(ref.path in labels and op == "=" for ref, op, _ in draft.filters)


def _groups(draft: Draft) -> list[ColumnRef]:
    """ "Per city", "by status", "each author": the columns to group by."""
    asked = (
        [i for i, word in enumerate(draft.parts.words) if word.low in ("which", "what")]
        if draft.parts.cues.superlatives
        else []
    )
    if part := next((found for at in asked if (found := _time_part(draft, at))), None):
        return [part]  # "in which month were the most rentals made?"
    for at in draft.parts.cues.groups:
        if _is_in_a_name(draft, at):
            continue
        best: tuple[float, list[ColumnRef], NameLink] | None = None
        if part := _time_part(draft, at):
            return [part]
        if at + 1 < len(draft.parts.words) and draft.parts.words[at + 1].low in ("number", "count", "amount", "numbers"):
            continue  # "by number of members": that is measured
        next_to_it = any(at + 1 in link.words for link in draft.parts.links)
        for link in draft.parts.links:
            apart = link.first - at
            if not 1 <= apart <= (1 if next_to_it else 3) or link.words <= draft.used:
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


def _is_in_a_name(draft: Draft, at: int) -> bool:
    """ "Quantity per unit" of `QuantityPerUnit`: what is named so is no grouping."""
    word = draft.parts.words[at].low
    return any(
        link.column is not None and word in name_words(link.column) and {at - 1, at + 1} <= link.words
        for link in draft.parts.links
    )


def _each(draft: Draft) -> list[ColumnRef]:
    """Where the same is asked of several things, the column that tells them apart."""
    ref = draft.alternatives() if draft.parts.cues.parallel else None
    if ref is not None and ref.column.kind == "date":
        ref = draft.reach.refs.get(f"{ref.path}.year")
    return [ref] if ref is not None else []


def _group_columns(draft: Draft, link: NameLink) -> list[ColumnRef]:
    if link.column is not None:
        ref = draft.ref(link)
        if (
            ref is None
            or ref.column.primary_key
            or (draft.parts.cues.superlatives and ref.column.kind == "number" and not ref.key)
        ):
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
            draft.score -= 1.0 * any(
                link.words <= draft.entity.words and link.score >= 0.95 for link in draft.links_of(draft.reach.root.name, None)
            )  # "how many readings": these, and no sum of what they tell
            summed = ref.summable and not is_flag(draft, ref) and not draft.is_year(ref)
            draft.aggregate = "sum" if summed and not draft.parts.cues.distinct else "count_distinct"
            sure = summed or draft.parts.cues.distinct or _is_where(draft)
            draft.use(draft.entity.words, 0.6 + draft.entity.score if sure else 0.3)
            return
    draft.aggregate = "count"
    if draft.entity is not None:
        draft.use(draft.entity.words, 1.0 + draft.entity.score)
    elif (said := _happened(draft)) is not None:
        draft.use(said.words, 1.0 + said.score)
    if (sold := _sold(draft)) is not None:
        draft.aggregate, draft.columns = "sum", [sold[0]]
        draft.use(sold[1], 1.0)
    elif draft.place is not None:
        keys = draft.reach.keys(draft.place)
        if len(keys) == 1:
            draft.aggregate, draft.columns = "count_distinct", keys
        draft.score -= 1.1 if _is_named(draft) else 0.1  # it is one
    elif _is_named(draft) and draft.unused():
        draft.score -= 1.0  # "how many members does the Chess club have": not how many clubs are called so
    elif draft.parts.cues.distinct and (asked := asked_columns(draft)):
        draft.aggregate, draft.columns = "count_distinct", asked[:1]


def _happened(draft: Draft) -> NameLink | None:
    """ "How many times was it rented?": the verb that tells of the root's rows."""
    focus = draft.parts.words[draft.parts.cues.focus : draft.parts.cues.focus + 1]
    if not focus or focus[0].low != "times":
        return None
    return max(draft.links_of(draft.reach.root.name, None), key=lambda link: link.score, default=None)


def _sold(draft: Draft) -> tuple[ColumnRef, frozenset[int]] | None:
    """ "How many tracks were sold?": as many as the lines of the sales say, and the words for it."""
    words = draft.parts.words
    done = {word.index for word in words if word.low in ("sold", "purchased", "bought")}
    done |= {word.index for word in words if word.low == "sell" and any(one.low == "did" for one in words)}
    pieces = any(word.low in ("units", "pieces", "copies") for word in words)
    of_line = draft.place.depth == 1 if draft.place is not None else pieces or _of_one_thing(draft)
    of_line = of_line and not draft.parts.cues.negations
    amount = quantity(draft) if of_line and done and not draft.parts.cues.distinct else None
    return None if amount is None else (amount, frozenset(done))


def _of_one_thing(draft: Draft) -> bool:
    """ "How many Baguettes were sold?": is it the lines of what is called so?"""
    called = [ref for ref, op, _ in draft.filters if op == "=" and ref.join is not None and ref.join.depth == 1]
    return any(ref.path in {label.path for label in draft.reach.labels(ref.join)} for ref in called)


def _is_where(draft: Draft) -> bool:
    """ "In how many countries do we have customers?": the different ones, and no customers."""
    words, at = draft.parts.words, draft.parts.cues.focus - 3
    return (
        at >= 0
        and words[at].low in _WHERE
        and words[at + 1].low == "how"
        and draft.entity is not None
        and (draft.entity.first == at + 3)
    )


def _is_named(draft: Draft) -> bool:
    """Is what is asked for one thing, by what it is called?"""
    labels = {label.path for label in draft.reach.labels(draft.place)}
    return any(ref.path in labels and op == "=" for ref, op, _ in draft.filters)


def _aggregate(draft: Draft, aggregate: str, words: frozenset[int], groups: list[ColumnRef]) -> None:
    """An average or a sum of the number that is named; else of the one that the rows are about."""
    near = max(words) if words else None
    if aggregate == "avg" and near is not None and _averages_counts(draft, near):
        draft.failed.append(words)
        return
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


def _averages_counts(draft: Draft, at: int) -> bool:
    """ "The average number of tracks per album": a mean of counts, which no query here gives."""
    lows = [word.low for word in draft.parts.words[at + 1 : at + 3]]
    return lows == ["number", "of"] and any(link.column is None and at + 3 in link.words for link in draft.parts.links)


def _unnamed_measure(draft: Draft, words: frozenset[int]) -> tuple[ColumnRef | None, float]:
    every = draft.parts.words
    if (how := draft.parts.cues.how) and (by := measure_by_adjective(draft, how)):
        draft.use({word.index for word in every if word.low in (how, "take", "takes", "last", "lasts")})
        return by[0], by[1]
    for word in every:
        noun = NOUNS.get(word.low)
        if noun and word.index not in draft.used and (by := measure_by_adjective(draft, noun)):
            draft.use({word.index})
            return by
    if any(word.low in MONEY_WORDS for word in every):
        by = measure_by_adjective(draft, "expensive")
        draft.use({word.index for word in every if word.low in MONEY_WORDS} if by else set())
        return by or (None, 0.0)
    main = main_measure(draft)
    return main, 0.3 if main is not None and is_generic(main) else -0.3  # that it is the only one says little
