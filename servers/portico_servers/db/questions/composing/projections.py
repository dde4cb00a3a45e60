"""Which columns a list shows: those that are asked for, what a row is called by, a person for "who", a date for "when"."""

from __future__ import annotations

from collections.abc import Iterator

from portico_servers.db.questions.composing.draft import Draft
from portico_servers.db.questions.composing.measures import measure_by_adjective, names_nothing
from portico_servers.db.questions.language.lexicon import LIST_WORDS, MONEY_WORDS, PEOPLE
from portico_servers.db.questions.language.verbs import behind_auxiliary
from portico_servers.db.questions.language.words import name_words, stem
from portico_servers.db.questions.linking.names import NameLink
from portico_servers.db.rows.column_refs import ColumnRef, Join

_PERSON = frozenset(stem(word) for word in PEOPLE)
_NUMBERED = frozenset("number numbers id ids identifier identifiers".split())
_PLACE = frozenset(stem(word) for word in "place city town site location address country room building branch region".split())
_LEAST = 0.55  # of a link that is shown
MOST_COLUMNS = 8
SAME_NAMES = 0.5  # (share of rows) fewer different names than that tell no rows apart


def label_of(draft: Draft, table: str) -> list[ColumnRef]:
    """What rows of a table are called by, as seen from here."""
    if table not in draft.reach.joins:
        return []
    return draft.reach.labels(draft.reach.nearest(table, draft.parts.said, draft.place))


def asked_columns(draft: Draft) -> list[ColumnRef]:
    """The columns that words name and nothing else has used, in the question's order, one for each word."""
    links = [
        link
        for link in draft.parts.links
        if link.column is not None and link.score >= _LEAST and not link.words <= draft.used and not link.verb
    ]
    found: dict[str, ColumnRef] = {}
    taken: set[int] = set()
    names = {word.index for word in draft.parts.words if word.low in ("name", "names")}
    for link in sorted(links, key=lambda link: (-_worth(draft, link), link.first)):
        ref = draft.ref(link)
        of_rows = link.words <= names and draft.entity is not None and draft.entity.column is None
        if ref is not None and of_rows and draft.table_of(ref) != draft.entity_table:
            draft.use(link.words, 0.3)  # "the names of the students" are what these are called
            continue
        if ref is None or link.words & taken or ref.path in found or _worth(draft, link) < 0.4:
            continue
        if found and _is_verb(draft, link):
            draft.use(link.words)
            continue
        taken |= link.words
        for shown in draft.shown(ref):
            found.setdefault(shown.path, shown)
        use_roles(draft, draft.shown(ref)[0].join)
        draft.use(link.words, 0.6 + 0.5 * link.score)
    for word in draft.parts.words:
        if word.low in _NUMBERED and word.index not in draft.used and word.index not in taken:
            found |= {key.path: key for key in draft.reach.keys(draft.place)}
            draft.use({word.index}, 0.3)
    return list(found.values())[:MOST_COLUMNS]


def _is_verb(draft: Draft, link: NameLink) -> bool:
    """ "In what region does Ada work?": what is done there, and no work of hers."""
    at = link.first
    last = at + 1 == len(draft.parts.words) and len(link.words) == 1
    named = {i for other in draft.parts.links for i in other.words} | {i for v in draft.parts.values for i in v.words}
    return last and behind_auxiliary(draft.parts.question, at, named - {at})


def _worth(draft: Draft, link: NameLink) -> float:
    ref = draft.ref(link)
    if ref is None:
        return -1.0
    at_entity = 0.3 * (draft.table_of(ref) == draft.entity_table)
    filtered = {item.path for item, _, _ in draft.filters}
    beside = any(draft.table_of(item) == draft.table_of(ref) for item, _, _ in draft.filters)
    return link.score - draft.cost(ref) + at_entity + 0.2 * beside - 0.5 * (ref.path in filtered)


def add_projections(draft: Draft) -> None:
    """The columns of a list. Different values only, where a column is asked for and no row."""
    cues = draft.parts.cues
    shown: list[ColumnRef] = []
    asked = _asks_when(draft)
    if (cues.when or asked) and draft.order_by is not None and draft.order_by.column.kind == "date":
        shown.append(draft.order_by)  # "when did she order last"
        draft.use(asked)
    elif cues.when or asked:
        shown += _when(draft)
        draft.use(asked if shown else set())
    if cues.how and not shown and (by := measure_by_adjective(draft, cues.how)):
        shown.append(by[0])
        draft.use({w.index for w in draft.parts.words if w.low == cues.how}, by[1])
    entity = draft.entity
    if entity is not None and entity.column is None:
        draft.use(entity.words, -0.6 if entity.words <= draft.compared else 0.6 + entity.score)
        draft.score -= draft.reach.cost(draft.place, draft.parts.said) * 0.5
    columns = asked_columns(draft)
    shown += [ref for ref in columns if ref.path not in {item.path for item in shown}]
    if entity is not None and entity.column is not None and (ref := draft.ref(entity)) is not None:
        shown += [one for one in draft.shown(ref) if one.path not in {item.path for item in shown}]
        draft.use(entity.words, 0.4 if entity.words <= draft.used else 0.8 + 0.5 * entity.score)
    if entity is None or entity.column is not None:
        if cues.where and not shown:
            shown = _where(draft)
    elif not shown or _labels_too(draft, columns):
        shown = [*_told_apart(draft), *shown]
    if cues.where and not any(ref.column.kind == "text" for ref in shown):  # no date or number says where
        shown += _where(draft)
    draft.columns = list({ref.path: ref for ref in shown}.values())[:MOST_COLUMNS]
    if cues.how_much:
        _price(draft)
    doer = entity is not None and any(
        link.verb and link.column is None and link.table == entity.table for link in draft.parts.links
    )
    if cues.who and not doer and not any(is_person(ref) for ref in draft.columns):
        draft.failed.append(frozenset(word.index for word in draft.parts.words if word.low in ("who", "whom", "whose")))
    if cues.where and not any(ref.column.kind == "text" for ref in draft.columns):
        draft.failed.append(frozenset(word.index for word in draft.parts.words if word.low == "where"))
    if cues.asked != "count" and _repeats(draft):
        draft.failed.append(frozenset(word.index for word in draft.parts.words if word.low in LIST_WORDS) or frozenset({0}))
    if _different(draft):
        draft.aggregate = "distinct"


def _told_apart(draft: Draft) -> list[ColumnRef]:
    """What rows are called by, with their key where many are called the same."""
    labels = draft.reach.labels(draft.place)
    table = draft.reach.schema.by_name[draft.entity_table]
    if len(labels) != 1 or labels[0].column.primary_key or not table.row_estimate:
        return labels
    known = draft.parts.index.distinct.get((table.name, labels[0].column.name))
    alike = known is not None and known < SAME_NAMES * table.row_estimate
    return [*(key for key in draft.reach.keys(draft.place) if alike), *labels]


def _repeats(draft: Draft) -> bool:
    """Would the answer only say again what the question gives?"""
    given = {ref.path for ref, op, value in draft.filters if op == "=" and isinstance(value, str | int)}
    return bool(draft.columns) and {ref.path for ref in draft.columns} <= given and draft.order_by is None


def _price(draft: Draft) -> None:
    """What something costs is a number; where there is none, it isn't known."""
    if any(ref.column.kind == "number" and not ref.key and not names_nothing(ref) for ref in draft.columns):
        return
    by = measure_by_adjective(draft, "expensive")
    if by and by[0].join == draft.place and not (draft.entity is None and names_nothing(by[0])):
        draft.columns.append(by[0])
        draft.use({word.index for word in draft.parts.words if word.low in MONEY_WORDS}, by[1])
    else:
        money = frozenset(word.index for word in draft.parts.words if word.low in MONEY_WORDS or word.low == "much")
        draft.failed.append(money)


def _labels_too(draft: Draft, columns: list[ColumnRef]) -> bool:
    """Rows by name besides what is asked of them, unless one row is named by the question, or only values are asked for."""
    labels = {label.path for label in draft.reach.labels(draft.place)}
    named = any(
        ref.path in labels or (ref.column.primary_key and ref.join == draft.place) for ref, op, _ in draft.filters if op == "="
    )
    focus = draft.parts.cues.focus
    first = min((i for link in draft.parts.links if link.column for i in link.words if i >= focus), default=10**6)
    of_value = draft.entity is not None and first < draft.entity.first
    return not named and not of_value and not any(ref.path in labels for ref in columns)


def _different(draft: Draft) -> bool:
    if draft.order_by is not None or not draft.columns or draft.aggregate != "none":
        return False
    labels = {label.path for label in draft.reach.labels(None)}
    if draft.place is None and len(draft.columns) > 1:
        return False
    return draft.place is not None or not any(ref.path in labels or ref.column.primary_key for ref in draft.columns)


def _asks_when(draft: Draft) -> set[int]:
    """ "On what day", "in which year", where no column is called so."""
    words = draft.parts.words
    found = {
        word.index
        for word in words[1:]
        if word.low in ("day", "date", "year", "month", "time")
        and words[word.index - 1].low in ("what", "which")
        and word.index not in draft.used
    }
    near = (draft.entity_table, draft.reach.root.name)
    return found - {i for link in draft.parts.links if link.column and link.table in near for i in link.words}


def _when(draft: Draft) -> list[ColumnRef]:
    """The date that a verb names, else the first that there is."""
    best: tuple[float, ColumnRef, NameLink | None] | None = None
    for refs in draft.reach.columns.values():
        ref = min(refs, key=draft.cost)
        if (ref.column.kind != "date" and not draft.is_year(ref)) or not _is_spoken_of(draft, draft.table_of(ref)):
            continue
        links = list(draft.links_of(draft.table_of(ref), ref.column.name))
        link = max(links, key=lambda one: one.score, default=None)
        score = (link.score if link else 0.0) - draft.cost(ref) + 0.3 * (draft.table_of(ref) == draft.entity_table)
        if best is None or score > best[0]:
            best = score, ref, link
    if best is None:
        return []
    if best[2] is None and len(_dates_beside(draft, best[1])) > 1:
        draft.failed.append(frozenset(word.index for word in draft.parts.words if word.low in ("when", "day", "date")))
    draft.use(best[2].words if best[2] else set(), 0.8 + best[0])
    return [best[1]]


def _dates_beside(draft: Draft, ref: ColumnRef) -> list[ColumnRef]:
    """The dates of a row, any of which "when" may mean."""
    return [one for one in draft.reach.of(ref.join) if one.column.kind == "date" and one.part is None]


def _is_spoken_of(draft: Draft, table: str) -> bool:
    """Does the question name the table, or a row of it?"""
    given = {draft.table_of(ref) for ref, _, _ in draft.filters} | {link.table for link in draft.parts.links}
    return (table == draft.entity_table and draft.entity is not None) or table in given


def is_person(ref: ColumnRef) -> bool:
    return ref.column.kind == "text" and bool({stem(word) for word in name_words(ref.column.name)} & _PERSON)


def _places(draft: Draft) -> Iterator[Join | None]:
    for ways in draft.reach.joins.values():
        yield min(ways, key=lambda join: draft.reach.cost(join, draft.parts.said))


def use_roles(draft: Draft, join: Join | None) -> None:
    """The words by which a key is chosen: "leads" for `leader_id`."""
    while join is not None:
        role = draft.reach.role(join)
        draft.use({word.index for word in draft.parts.words if word.stem in role}, 0.0)
        join = join.via


def _where(draft: Draft) -> list[ColumnRef]:
    """What a place that is pointed to is called by, and the first column that tells a place."""
    for join in sorted(_places(draft), key=lambda join: draft.reach.cost(join, draft.parts.said)):
        table = join.parent if join else draft.reach.root
        is_place = bool({stem(word) for word in name_words(table.relation)} & _PLACE)
        told = (ref for ref in draft.reach.of(join) if {stem(word) for word in name_words(ref.column.name)} & _PLACE)
        place = next(([ref] for ref in told if ref.column.kind == "text"), [])
        if place or is_place:
            return [*(draft.reach.labels(join) if is_place and (join or not place) else ()), *place]
    return []
