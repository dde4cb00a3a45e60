"""Conditions without a value: what is missing or there, what is a flag or its opposite, what is free.

It finds columns by the words that are left when values, times and numbers have theirs.
"""

from __future__ import annotations

from collections.abc import Iterator

from portico_servers.db.questions.composing.draft import Draft
from portico_servers.db.questions.composing.measures import flag_value, is_flag, measure_by_adjective
from portico_servers.db.questions.language.lemmas import IRREGULAR
from portico_servers.db.questions.language.lexicon import EMPTY_WORDS, NEGATIVE_PREFIXES, TIMELY
from portico_servers.db.questions.language.verbs import alone_passive
from portico_servers.db.questions.language.words import name_words, stem
from portico_servers.db.questions.linking.names import NameLink
from portico_servers.db.rows.column_refs import ColumnRef

_PIECES = frozenset("units pieces items quantity much".split())
_NOTHING = frozenset("nothing nobody".split())
_HAVING = frozenset("have has having with get gets got receive receives received".split())


def add_presence(draft: Draft) -> None:
    """All of them, what is denied first."""
    for at in draft.parts.cues.negations:
        if at not in draft.used:
            _negation(draft, at)
    _empty(draft)
    _flags(draft)


def _empty(draft: Draft) -> None:
    """ "Left the phone field blank", "with a missing email": what is said to be there has no value."""
    for word in draft.parts.words:
        if word.low not in EMPTY_WORDS or word.index in draft.used:
            continue
        near = [
            (link.score - 0.1 * min(abs(i - word.index) for i in link.words), ref, link)
            for link in draft.parts.links
            if link.column is not None and min(abs(i - word.index) for i in link.words) <= 3 and not link.words <= draft.used
            for ref in [draft.ref(link)]
            if ref is not None and ref.column.nullable and draft.table_of(ref) == draft.entity_table
        ]
        if near:
            score, column, link = max(near, key=lambda one: one[0])
            draft.filter(column, "=", None, word.index)
            draft.use({word.index} | link.words, 1.2 + 0.5 * score)


def _negation(draft: Draft, at: int) -> None:
    """What is said to be missing: a value, a parent, all children."""
    ranked: list[tuple[float, ColumnRef, NameLink]] = []
    for link in draft.parts.links:
        apart = 1 + sum(word.content for word in draft.parts.words[at + 1 : link.first])
        if link.first <= at or apart > (4 if link.first - at <= 4 else 3) or link.words <= draft.used:
            continue
        for ref, score in _absent(draft, link):
            ranked.append((score - 0.1 * apart, ref, link))
    if not ranked and draft.parts.words[at].low in _NOTHING:  # "bought nothing", "reports to nobody"
        before = (link for link in draft.parts.links if 0 < at - max(link.words) <= 2 and not link.words <= draft.used)
        ranked = [(score, ref, link) for link in before for ref, score in _absent(draft, link)]
    if not ranked:
        draft.failed.append(frozenset({at}))
        return
    score, ref, link = max(ranked, key=lambda one: one[0])
    if ref.children is not None:
        draft.filter(ref, "=", 0, at)
    elif is_flag(draft, ref):
        draft.filter(ref, "=", flag_value(draft, ref, False), at)
    else:
        used_up = draft.parts.words[at].low == "out" and ref.column.kind == "number"  # "out of stock"
        draft.filter(ref, "=", None if ref.column.nullable and not used_up else 0, at)
    draft.use(link.words | {at}, 1.2 + 0.5 * score)
    draft.compared |= link.words if link.column is not None else set()
    draft.use_names_of(ref, at, 3)


def _absent(draft: Draft, link: NameLink) -> Iterator[tuple[ColumnRef, float]]:
    if link.column is not None:
        for ref in draft.reach.counts.get((draft.entity_table, link.table), []):  # "nothing installed": no such row
            yield ref, link.score - 0.2
        named = draft.ref(link)
        if named is None or named.column.primary_key:
            return
        number = named.column.kind == "number" and not named.key
        if named.column.nullable or is_flag(draft, named) or number:
            own = 0.2 * (draft.table_of(named) == draft.entity_table)
            own += 0.3 * (named.column.kind == "date" and _is_participle(draft, link))  # "not yet shipped" has no day
            yield named, link.score - draft.cost(named) + own - 0.2 * (number and not named.column.nullable)
        return
    for ref in draft.reach.counts.get((draft.entity_table, link.table), []):
        yield ref, link.score + 0.1
    yield from _absent_through(draft, link)
    for ref in draft.reach.of(draft.place):  # "no advisor": the key that would name one
        table = draft.reach.schema.by_name[draft.entity_table]
        if (
            any(key.parent == link.table and ref.column.name in key.columns for key in table.foreign_keys)
            and ref.column.nullable
        ):
            yield ref, link.score + 0.05 - 0.4 * _is_participle(draft, link)


def _absent_through(draft: Draft, link: NameLink) -> Iterator[tuple[ColumnRef, float]]:
    """Rows that lead to a table: tracks that nobody bought are on no line of an invoice."""
    for ref in draft.reach.counts_through(draft.entity_table, link.table):
        yield ref, link.score - 0.1


def _flags(draft: Draft) -> None:
    """Words that are a flag's name ("discontinued", "inactive"), or say that a date is there ("retired")."""
    for link in sorted(draft.parts.links, key=lambda link: -link.score):
        if link.column is None or link.words & draft.used or link.sense or link.score < 0.6:
            continue
        ref = draft.ref(link)
        if ref is None or draft.table_of(ref) != draft.entity_table:
            continue
        if is_flag(draft, ref):
            draft.filter(ref, "=", flag_value(draft, ref, True), link.first)
            draft.use(link.words, 1.0)
        elif (
            ref.column.kind == "date"
            and ref.column.nullable
            and _is_participle(draft, link)
            and not _is_ranked(draft, link)
            and (draft.parts.cues.asked == "count" or _reckons(draft) or _is_alone(draft, link))
        ):
            draft.filter(ref, "!=", None, link.first)
            draft.use(link.words, 0.8)
    _negative_flags(draft)
    _in_stock(draft)
    _present(draft)
    _free(draft)


def _present(draft: Draft) -> None:
    """ "With an email", "get a scholarship": whatever the value."""
    words = draft.parts.words
    for link in draft.parts.links:
        if link.column is None or link.words & draft.used or link.first < 2:
            continue
        verb, article = words[link.first - 2], words[link.first - 1]
        ref = draft.ref(link)
        if ref is None or not ref.column.nullable or article.low not in ("a", "an", "any") or ref.column.primary_key:
            continue
        if verb.low in _HAVING and draft.table_of(ref) == draft.entity_table:
            draft.filter(ref, "!=", None, link.first)
            draft.use(link.words, 1.2)


def _in_stock(draft: Draft) -> None:
    """ "Discontinued but still in stock": some are left; how many, nobody asks."""
    words = draft.parts.words
    if draft.entity is None or draft.entity.column is not None or any(word.low in _PIECES for word in words):
        return
    for link in draft.parts.links:
        said = [i for i in link.words if words[i].low == "stock" and i and words[i - 1].low == "in"]
        ref = draft.ref(link) if said and not link.words & draft.used else None
        if ref is not None and ref.column.kind == "number" and not ref.key and draft.table_of(ref) == draft.entity_table:
            draft.filter(ref, ">", 0, said[0])
            draft.use(link.words, 1.2)


def _free(draft: Draft) -> None:
    """What is free costs nothing, and what costs money does."""
    words = draft.parts.words
    for word in words:
        before = words[word.index - 1].low if word.index else ""
        costs = word.low == "money" and before in ("cost", "costs")
        if not (word.low == "free" or costs) or word.index in draft.used:
            continue
        if by := measure_by_adjective(draft, "cheap"):
            draft.filter(by[0], ">" if costs else "=", 0, word.index)
            draft.use({word.index, word.index - 1} if costs else {word.index}, by[1])


def _is_participle(draft: Draft, link: NameLink) -> bool:
    return all(draft.parts.words[i].low.endswith(("ed", "en")) or draft.parts.words[i].low in IRREGULAR for i in link.words)


def _is_ranked(draft: Draft, link: NameLink) -> bool:
    """ "Hired first": by that date, and not only that there is one."""
    return any(0 < one.last - max(link.words) <= 2 for one in draft.parts.cues.superlatives if one.adjective in TIMELY)


def _reckons(draft: Draft) -> bool:
    """Is a share or a sum asked for: "how much has been paid"?"""
    cues = draft.parts.cues
    return bool(cues.percent or cues.sum or (cues.how_much and "much" in {word.low for word in draft.parts.words}))


def _is_alone(draft: Draft, link: NameLink) -> bool:
    """ "Which sensors have been retired?": said of what is asked for, with nothing behind it that would be asked of it."""
    entity = draft.entity
    first = entity is not None and entity.column is None and entity.first < link.first
    names = {i for other in draft.parts.links for i in other.words} - link.words
    return first and alone_passive(draft.parts.question, link.first, names) and not draft.parts.cues.when


def _negative_flags(draft: Draft) -> None:
    """ "Inactive", "unexcused": a flag's name with what denies it."""
    for ref in draft.reach.of(draft.place):
        if not is_flag(draft, ref):
            continue
        stems = {stem(word) for word in name_words(ref.column.name)}
        for word in draft.parts.words:
            bare = next((word.low.removeprefix(front) for front in NEGATIVE_PREFIXES if word.low.startswith(front)), "")
            if word.index not in draft.used and bare and stem(bare) in stems:
                draft.filter(ref, "=", flag_value(draft, ref, False), word.index)
                draft.use({word.index}, 1.0)
