"""Whether something is still open or over, late or in time: what dates tell that stand for states.

Most databases keep no word for "outstanding" or "late": a loan without a date of return is out, an order shipped after the
date when it was required was late. It finds these dates by their names.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from portico_servers.db.questions.composing.draft import Draft
from portico_servers.db.questions.language.lexicon import CLOSED_WORDS, ENDINGS, IN_TIME_WORDS, LATE_WORDS, OPEN_WORDS, PROMISES
from portico_servers.db.questions.language.words import name_words, stem
from portico_servers.db.rows.column_refs import ColumnRef

_ENDINGS = frozenset(map(stem, ENDINGS))
_ARRIVALS = frozenset({stem("arrived")})
_BE = frozenset("still currently is are was were be".split())
_PROMISES = frozenset(map(stem, PROMISES))


def add_states(draft: Draft) -> None:
    """All of them, of what is asked for; else of the root."""
    for word in draft.parts.words:
        taken = word.index in draft.used or word.index in draft.parts.cues.negations
        if taken or any(word.index in value.words for value in draft.parts.values):
            continue
        if not word.content and not _is_predicate(draft, word.index):
            continue
        if word.low in OPEN_WORDS or word.low in CLOSED_WORDS:
            _ended(draft, word.index, over=word.low in CLOSED_WORDS)
        elif word.low == "overdue":
            _overdue(draft, word.index)
        elif word.low in LATE_WORDS or word.low in IN_TIME_WORDS:
            _late(draft, word.index, late=word.low in LATE_WORDS)
        elif word.low.startswith("un"):
            _undone(draft, word.index, stem(word.low.removeprefix("un")))


def _is_predicate(draft: Draft, at: int) -> bool:
    """ "Are out" and "still out" say a state, "came out" doesn't."""
    return at > 0 and draft.parts.words[at - 1].low in _BE


def _ended(draft: Draft, at: int, *, over: bool) -> None:
    """Open is what has no date yet on which it ended; where several dates could tell, none does, and the word is left over. Who
    has left has arrived before."""
    found = [ref for ref in _own(draft) if ref.column.nullable and _stems(ref) & _ENDINGS]
    found = [ref for ref in found if ref.column.kind == "date"] or found  # and an amount paid is no end
    found = [ref for ref in found if not _stems(ref) & _ARRIVALS or len(found) == 1]
    same = [ref for ref, op, value in draft.filters if value is None and (op == "!=") is over]
    if same and not over:  # "still out, not returned": said twice
        draft.use({at}, 0.2)
    elif len(found) == 1:
        draft.filter(found[0], "!=" if over else "=", None, at)
        draft.use({at}, 1.0)
    elif found:
        draft.failed.append(frozenset({at}))


def _overdue(draft: Draft, at: int) -> None:
    """Not done yet, and the day for which it was promised is over; or, where it is said beside, only that it is not done."""
    promised = [ref for ref in _own(draft) if ref.column.kind == "date" and _stems(ref) & _PROMISES]
    done = [ref for ref in _own(draft) if ref.column.nullable and _stems(ref) & _ENDINGS and ref not in promised]
    if any(value is None and op == "=" and _stems(ref) & _ENDINGS for ref, op, value in draft.filters):
        draft.use({at}, 0.2)
    elif len(promised) == 1 and len(done) == 1:
        draft.filter(done[0], "=", None, at)
        draft.filter(promised[0], "<", datetime.date.today().isoformat(), at)
        draft.use({at}, 1.0)


def _late(draft: Draft, at: int, *, late: bool) -> None:
    """What was done after the day for which it was promised."""
    dates = [ref for ref in _own(draft) if ref.column.kind == "date"]
    promised = [ref for ref in dates if _stems(ref) & _PROMISES]
    done = [ref for ref in dates if _stems(ref) & _ENDINGS and ref not in promised]
    if len(promised) == 1 and len(done) == 1:
        draft.filters = [one for one in draft.filters if one != (done[0], "!=", None)]
        draft.filter(done[0], ">" if late else "<=", {"column": promised[0].path}, at)
        names = {
            i
            for ref in (done[0], promised[0])
            for link in draft.links_of(draft.table_of(ref), ref.column.name)
            for i in link.words
        }
        draft.use({at} | names, 1.2)


def _undone(draft: Draft, at: int, done: str) -> None:
    """ "Unpaid", "unreturned": without a date or a name of who or when."""
    for ref in _own(draft):
        if ref.column.nullable and done in _stems(ref):
            draft.filter(ref, "=", None, at)
            draft.use({at}, 1.0)
            return


def _own(draft: Draft) -> Iterator[ColumnRef]:
    """The columns of what is asked for, else of the root."""
    places = dict.fromkeys((draft.place, None))
    for place in places:
        found = [ref for ref in draft.reach.of(place) if ref.part is None and ref.children is None]
        if any(ref.column.nullable and _stems(ref) & _ENDINGS for ref in found) or place is None:
            yield from found
            return


def _stems(ref: ColumnRef) -> frozenset[str]:
    return frozenset(map(stem, name_words(ref.column.name)))
