"""Superlatives: the row with the most of a measure, the value itself, what has the most rows, or what adds up to most."""

from __future__ import annotations

from dataclasses import replace

from portico_servers.db.questions.composing.draft import Draft
from portico_servers.db.questions.composing.measures import (
    is_flag,
    is_reading,
    main_measure,
    measurable,
    measure_by_adjective,
    named_measure,
    names_nothing,
)
from portico_servers.db.questions.composing.projections import add_projections, label_of
from portico_servers.db.questions.composing.reach import goes_through
from portico_servers.db.questions.language.lexicon import (
    EARNED_WORDS,
    MONEY_WORDS,
    NOUNS,
    PAID_WORDS,
    PHYSICAL,
    PRICED_WORDS,
    SALES_TABLES,
    SALES_WORDS,
    TIMELY,
)
from portico_servers.db.questions.language.superlatives import Superlative
from portico_servers.db.questions.language.words import name_words, stem
from portico_servers.db.questions.linking.names import NameLink
from portico_servers.db.rows.column_refs import ColumnRef, is_link_table, parents_of

SALES_NEAR = 3  # words between "sold" and "most"
_OF_SIZE = frozenset("big large small great".split())
_COUNTING = frozenset("popular common frequent often rare widespread prevalent".split())


def add_ranking(draft: Draft, one: Superlative, groups: list[ColumnRef]) -> bool:
    """The most or least of something; False where nothing here can be compared so."""
    if one.adjective in _COUNTING:
        return _most_frequent(draft, one)
    if one.adjective is None:
        return _most_of(draft, one, groups)
    return _by_measure(draft, one) or (one.adjective in _OF_SIZE and _by_size(draft, one))


def _by_size(draft: Draft, one: Superlative) -> bool:
    """ "The biggest playlist", where no column tells a size: what has the most rows, if it has rows of one kind alone."""
    children = draft.reach.schema.children.get(draft.entity_table, ())
    if (
        draft.entity is None
        or draft.entity.column is not None
        or len(children) != 1
        or children[0].name != draft.reach.root.name
    ):
        return False
    if any(measurable(ref, ("number",)) for ref in draft.reach.of(draft.place)):
        return False  # the size of a room is none of these
    draft.use(one.words, 0.8)
    return _entity_counts(draft, one)


def _by_measure(draft: Draft, one: Superlative) -> bool:
    assert one.adjective is not None
    timely = one.adjective in TIMELY
    by = measure_by_adjective(draft, one.adjective)
    of_value = one.adjective in ("high", "low") and any(value.first == one.last + 1 for value in draft.parts.values)
    if by is not None and of_value and not names_nothing(by[0]):
        return False  # "the highest pressure": of what is measured, and no height
    kinds = ("date", "number") if timely else ("number", "date")
    if timely and (dated := named_measure(draft, one.last, ("date",), 2)):  # "founded first"
        _ranked(draft, one, dated[0], dated[1].words, dated[1].score)
        return True
    named = named_measure(draft, one.last, kinds, 3, behind=True) or (None if by else named_measure(draft, one.last, kinds, 6))
    if (
        named
        and (named[1].score >= 0.7 or by is None)
        and not (timely and by and named[0].column.kind != "date" and by[1] > 0.6)
    ):
        ref, points, words = named[0], named[1].score, named[1].words
    elif by is not None:
        ref, points, words = by[0], by[1], frozenset()
    elif (main := main_measure(draft)) is not None and not timely and (one.adjective not in PHYSICAL or is_reading(main)):
        ref, points, words = main, 0.2, _quantities(draft, one) if names_nothing(main) else frozenset()
    else:
        return False
    if ref.column.kind == "date" and one.adjective in ("long", "short"):  # the longest is since the earliest
        one = replace(one, order="asc" if one.order == "desc" else "desc")
    _ranked(draft, one, ref, words, points)
    return True


def _quantities(draft: Draft, one: Superlative) -> frozenset[int]:
    """What a measure that is called "value" is of: "the highest wind speed"."""
    words = draft.parts.words[one.last + 1 : one.last + 4]
    return frozenset(word.index for word in words if word.low in NOUNS and word.index not in draft.used)


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
    if entity is None and not draft.columns:
        draft.columns = draft.reach.labels(None)
    if ref.path not in {column.path for column in draft.columns}:
        draft.columns.append(ref)


def _most_frequent(draft: Draft, one: Superlative) -> bool:
    """ "The most common status", "who visits most often": what most rows of the root have."""
    entity = draft.entity
    if entity is None:
        return False
    refs = draft.shown(ref) if entity.column is not None and (ref := draft.ref(entity)) else label_of(draft, entity.table)
    if entity.column is None and (draft.place is None or _names_column(draft, one)):
        return False
    if entity.column is not None and draft.place is not None:  # how common a value is, the rows that have it tell
        draft.score -= 0.6
    draft.use(entity.words | one.words, 1.5 + entity.score)
    done = (link for link in draft.parts.links if link.verb and (link.table, link.column) == (draft.reach.root.name, None))
    draft.score += 0.3 * max((link.score for link in done), default=0.0)  # "sold most often": sales are counted, and no stock
    _count_by(draft, one, refs)
    return True


def _names_column(draft: Draft, one: Superlative) -> bool:
    """ "The most common first name among actors": of the names, and no actor."""
    behind = [link for link in draft.parts.links if link.first == one.last + 1 and link.score >= 0.8 and not link.verb]
    return bool(behind) and all(link.column is not None for link in behind)


def _count_by(draft: Draft, one: Superlative, refs: list[ColumnRef]) -> None:
    draft.aggregate, draft.order, draft.limit = "count", one.order, draft.parts.cues.limit or 1
    add_projections(draft)
    near = {draft.reach.root.name, *(join.parent.name for join in parents_of(draft.reach.schema, draft.reach.root, None))}
    draft.use({i for link in draft.parts.links if link.column is None and link.table in near for i in link.words}, 0.0)
    apart = draft.place is not None or any(
        ref.join is not None or ref.part for ref in refs
    )  # a root's column would tell its rows apart
    shown = {item.path for item in refs}
    extra = [ref for ref in draft.columns if ref.path not in shown and not (apart and ref.join is None)]
    if kinds := [ref for ref in extra if _said_to_be_of(draft, ref)]:
        refs, extra = kinds, []
    if _category_of(draft, refs):  # "the kind of sensor with the most alerts": of all of a kind together
        own = {item.path for item in (*draft.reach.keys(draft.place), *draft.reach.labels(draft.place))}
        extra = [ref for ref in extra if ref.path not in own]
    strays = [ref for ref in extra if draft.place is not None and not goes_through(ref.join, draft.place)]
    for ref in strays:  # what is asked of something else would take apart what is counted together
        draft.failed += [link.words for link in draft.links_of(draft.table_of(ref), ref.column.name)][:1]
    for ref in refs[:1]:
        if may_lack(draft, ref):
            draft.filter(ref, "!=", None)  # what belongs to nothing is not the most of anything
    draft.columns = []
    draft.group_by = [*extra, *refs, *(key for key in _keys_of(draft, refs) if key not in refs)][:6]


def _said_to_be_of(draft: Draft, ref: ColumnRef) -> bool:
    """ "Which kind of sensor": what is asked for is a kind, and no single one. "The email of the customer" is one's own."""
    entity, words = draft.entity, draft.parts.words
    if entity is None or entity.column is not None or entity.first < 2 or words[entity.first - 1].low != "of":
        return False
    labels = {item.path for item in (*draft.reach.labels(draft.place), *draft.reach.keys(draft.place))}
    said = (link for link in draft.links_of(draft.entity_table, ref.column.name) if entity.first - 2 in link.words)
    return ref.path not in labels and ref.join == draft.place and any(said)


def _category_of(draft: Draft, refs: list[ColumnRef]) -> bool:
    """Is it asked by a column that tells no row apart?"""
    entity = draft.entity
    labels = {item.path for item in draft.reach.labels(draft.place)}
    return entity is not None and entity.column is not None and not any(ref.key or ref.path in labels for ref in refs)


def may_lack(draft: Draft, ref: ColumnRef) -> bool:
    """May rows of the root have no value there, because it is empty, or a key on the way is?"""
    join = ref.join
    if join is None:
        return ref.column.nullable and ref.part is None
    while join is not None:
        holder = join.via.parent if join.via is not None else draft.reach.root
        if any(holder.by_name[name].nullable for name in join.key.columns):
            return True
        join = join.via
    return False


def _keys_of(draft: Draft, refs: list[ColumnRef]) -> list[ColumnRef]:
    """The key beside a name that others may have, too."""
    named = {label.path for label in draft.reach.labels(draft.place)}
    return draft.reach.keys(draft.place) if draft.place is not None and {ref.path for ref in refs} <= named else []


def _most_of(draft: Draft, one: Superlative, groups: list[ColumnRef]) -> bool:
    """The most pages (a number), the most loans (rows), spent the most (a sum)."""
    top = any(draft.parts.words[i].low in ("top", "bottom") for i in one.words)
    sold = _of_sales(draft, one)
    if sold and draft.place is None and not groups:
        return False  # what is in stock, or what it costs, tells of no sale
    if draft.place is not None and (at := _time_spent(draft, one)) and (by := measure_by_adjective(draft, "long")):
        return _sum_by(draft, one, by[0], frozenset({at}), by[1])
    behind = named_measure(draft, one.last, behind=True, within=6 if top else 3)
    if sold and behind is not None and behind[0].join is not None:
        behind = None
    ranked_by = (i for i in draft.parts.cues.groups if top and draft.parts.words[i].low == "by" and i < one.last)
    if behind is None and (at := next(ranked_by, None)) is not None:  # "rank them by price and give me the top three"
        behind = named_measure(draft, at, behind=True, within=3)
        draft.use({at} if behind else set())
    counted = _counted(draft, one, beside_groups=bool(groups) and draft.place is None)
    if draft.place is not None and (paid := _money(draft, one)) and (counted is None or counted.verb or counted.words <= paid):
        by = measure_by_adjective(draft, "expensive")
        if by is not None and by[0].join is None and not _is_list_price(draft, by[0]):
            return _sum_by(draft, one, by[0], paid | (counted.words if counted else frozenset()), by[1])
    if behind and not is_flag(draft, behind[0]) and (counted is None or behind[1].score >= counted.score):
        if (kind := _category(draft)) is not None:  # "the countries with the most revenue": of each all together
            draft.use(one.words | behind[1].words | (draft.entity.words if draft.entity else set()), 1.0 + behind[1].score)
            _count_by(draft, one, [kind])
            draft.aggregate, draft.columns = "sum", [behind[0]]
            return True
        if draft.place is None or draft.table_of(behind[0]) == draft.entity_table:
            _ranked(draft, one, behind[0], behind[1].words, behind[1].score)
            return True
        return _sum_by(draft, one, behind[0], behind[1].words, behind[1].score)
    if counted is not None and draft.place is not None:
        draft.use(one.words | counted.words, 1.2 + counted.score)
        _entity_counts(draft, one)
        if counted.verb and (amount := quantity(draft)) is not None:  # "sold the most": as many as were sold, not as often
            draft.aggregate, draft.columns = "sum", [amount]
        return True
    if counted is not None and (groups or draft.entity is not None) and draft.place is None:
        refs = groups or (draft.shown(ref) if draft.entity and draft.entity.column and (ref := draft.ref(draft.entity)) else [])
        if refs and draft.entity is not None:
            draft.use(one.words | counted.words | draft.entity.words, 1.0 + counted.score + draft.entity.score)
            _count_by(draft, one, refs)
            return True
    if draft.place is not None and _different_of(draft, one):
        return True
    return _by_verb(draft, one, groups)


def _of_sales(draft: Draft, one: Superlative) -> bool:
    """ "Sold the most units", "best-selling"."""
    return any(word.low in SALES_WORDS and abs(word.index - one.last) <= SALES_NEAR for word in draft.parts.words)


def _different_of(draft: Draft, one: Superlative) -> bool:
    """ "Which doctor treats the most patients": of each, how many others the root's rows bring together with it."""
    assert draft.place is not None
    for link in draft.parts.links:
        behind = one.last < link.first <= one.last + 3
        if link.column is not None or not behind or link.score < 0.8 or link.table == draft.entity_table:
            continue
        for join in parents_of(draft.reach.schema, draft.reach.root, None):
            keys = draft.reach.keys(join) if join.parent.name == link.table and draft.place.depth == 1 else []
            if len(keys) == 1:
                draft.use(one.words | link.words, 1.0 + link.score)
                _entity_counts(draft, one)
                draft.aggregate, draft.columns = "count_distinct", keys
                return True
    return False


def _category(draft: Draft) -> ColumnRef | None:
    """The root's own column that is asked for, where several rows share a value of it."""
    ref = draft.ref(draft.entity) if draft.entity is not None and draft.entity.column is not None else None
    if ref is None or ref.join is not None or ref.key or ref.column.kind != "text":
        return None
    return None if ref.path in {label.path for label in draft.reach.labels(None)} else ref


def _counted(draft: Draft, one: Superlative, *, beside_groups: bool = False) -> NameLink | None:
    """The rows that are counted, said behind "most" or by the verb before: those of the root. `beside_groups`: what is asked
    for is a group, so that they are all that is named."""
    best: tuple[float, NameLink] | None = None
    counted = {draft.reach.root.name}
    if draft.place is not None and is_link_table(draft.reach.root):  # it tells of each pair: "the author of the most books"
        counted |= {key.parent for key in draft.reach.root.foreign_keys} - {draft.entity_table}
    for link in draft.parts.links:
        if link.column is not None or link.table not in counted:
            continue
        own = link.words - (draft.entity.words if draft.entity and not beside_groups else frozenset())
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
    if ref.join is not None:
        return False  # it stands once there, and would be added for each row here
    asked = draft.ref(draft.entity) if draft.entity is not None and draft.entity.column is not None else None
    refs = draft.shown(asked) if asked is not None else label_of(draft, draft.entity_table)
    draft.use(one.words | words | (draft.entity.words if draft.entity else set()), 1.0 + points)
    _count_by(draft, one, refs)
    draft.aggregate, draft.columns = "sum", [ref]
    return True


def _by_children(draft: Draft, one: Superlative) -> bool:
    """ "Sold the most": by how many of the rows that belong to each, or how much these add up to."""
    if draft.place is None or draft.place.depth != 1 or not draft.reach.schema.children.get(draft.entity_table):
        return False
    if _names_counted(draft, one):
        return False
    amount = quantity(draft)
    if amount is None and _of_sales(draft, one) and not _tells_of_sales(draft):
        return False  # a stock or a repair is no sale
    draft.use(one.words | (draft.entity.words if draft.entity else set()), 0.6)
    if amount is not None:
        draft.use({i for link in draft.links_of(draft.reach.root.name, amount.column.name) for i in link.words})
    _count_by(draft, one, label_of(draft, draft.entity_table))
    if amount is not None:
        draft.aggregate, draft.columns = "sum", [amount]
        draft.score += 0.3
    return True


def _tells_of_sales(draft: Draft) -> bool:
    return bool({stem(word) for word in name_words(draft.reach.root.relation)} & {stem(word) for word in SALES_TABLES})


def quantity(draft: Draft) -> ColumnRef | None:
    """How many pieces a row of the root is of, where it tells."""
    named = (ref for ref in draft.reach.of(None) if ref.summable and stem(ref.column.name.lower()) == stem("quantity"))
    return next(named, None)


def _names_counted(draft: Draft, one: Superlative) -> bool:
    """Does a table's name stand right behind "most"? Then its rows are counted; "the top customers" are ranked."""
    top = any(draft.parts.words[i].low in ("top", "bottom") for i in one.words)
    behind = set(range(one.last + 1, one.last + 4))
    behind -= draft.entity.words if draft.entity is not None and _of_sales(draft, one) else set()  # "the best-selling product"
    return not top and any(link.column is None and link.words & behind for link in draft.parts.links)


def _money(draft: Draft, one: Superlative) -> frozenset[int]:
    """ "Paid the most", "the most money": sums are compared, and not how often something was paid."""
    words = draft.parts.words
    behind = words[one.last + 1 : one.last + 2]
    paid = [word for word in words[max(0, one.last - 4) : one.last] if word.low in PAID_WORDS]
    said = [word for word in behind if word.low == "money"]
    open_end = not behind or not behind[0].content
    return frozenset(word.index for word in (*paid, *said)) if said or (paid and open_end) else frozenset()


def _time_spent(draft: Draft, one: Superlative) -> int | None:
    """Where "the most time" says that durations are added up."""
    after = one.last + 1
    return after if after < len(draft.parts.words) and draft.parts.words[after].low == "time" else None


def _is_list_price(draft: Draft, ref: ColumnRef) -> bool:
    """Is it what each thing costs, where the question is about what was earned or spent? Of that it tells nothing."""
    said = {word.low for word in draft.parts.words}
    if not said & EARNED_WORDS or said & PRICED_WORDS:
        return False
    table = draft.reach.schema.by_name[draft.table_of(ref)]
    sold = any(stem(column.name.lower()) == stem("quantity") for column in table.columns)
    return not sold and bool(set(name_words(ref.column.name)) & PRICED_WORDS)


def _by_verb(draft: Draft, one: Superlative, groups: list[ColumnRef]) -> bool:
    """ "Who paid the most", "which customer spent the most", "the one with the most"."""
    before = named_measure(draft, min(one.words), ("number",), 4)
    if before is not None and before[0].join is not None and _of_sales(draft, one):
        before = None
    words = draft.parts.words
    verbs = {word.index for word in words if word.low in MONEY_WORDS and abs(word.index - one.last) <= 4}
    if before and measurable(before[0], ("number",)) and not is_flag(draft, before[0]):
        ref, used, points = before[0], before[1].words, before[1].score
    elif verbs and (by := measure_by_adjective(draft, "expensive")):
        if _is_list_price(draft, by[0]):
            return False
        ref, used, points = by[0], frozenset(verbs), by[1]
    elif groups and draft.place is None:
        draft.use(one.words, 0.8)
        _count_by(draft, one, groups)
        return True
    else:
        return not any(words[i].low in EARNED_WORDS for i in verbs) and _by_children(draft, one)
    if draft.place is not None and draft.table_of(ref) != draft.entity_table:
        return _sum_by(draft, one, ref, used, points)
    _ranked(draft, one, ref, used, points)
    return True
