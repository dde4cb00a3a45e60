"""Which of the words that a query leaves out would change its answer. The others only carry on the question.

A word that stands for nothing is passed over where grammar tells that it adds no condition: an adverb, a politeness, a verb
between two things that the query has brought together, the noun that says of what kind a value is, a sentence that only sets
the scene. Nouns, adjectives, names, numbers, and verbs that tell of a state are never passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import dropwhile, pairwise, takewhile
from typing import TYPE_CHECKING

from portico_servers.db.questions.language.lemmas import IRREGULAR
from portico_servers.db.questions.language.lexicon import (
    DISCOURSE,
    MEASURES,
    NOUNS,
    PEOPLE,
    PERSON_WORDS,
    PLAIN_VERBS,
    SALES_TABLES,
)
from portico_servers.db.questions.language.verbs import alone_passive, behind_auxiliary, is_state, verbs
from portico_servers.db.questions.language.words import QuestionWords, Word, name_words, names_nothing, number_of, stem
from portico_servers.db.schema import Table

if TYPE_CHECKING:
    from portico_servers.db.questions.composing.draft import Draft

NAMED = 0.8  # the score of a link from which on a noun is one of the database
WHOLE = 0.95  # and of one whose name is said as it is
_PLAIN = frozenset(stem(verb) for verb in PLAIN_VERBS)
_SALES = frozenset(stem(word) for word in SALES_TABLES)
_RESTRICTING = frozenset("early daily weekly monthly yearly hourly quarterly family reply supply recently lately".split())
_ENDS = frozenset(".?!;:()–—")
_REFINING = frozenset("only just but not except excluding without and or with".split())
_INTENTS = frozenset("want wants plan planning going trying like need must should".split())
_TO_KNOW = frozenset("know see find get learn check hear look ask have find tell count list".split())
_HAVING = frozenset("with without have has no not".split())
_ASKING = frozenset("which what whose".split())
_BEFORE_OBJECT = frozenset("for with in to from about".split())
_BE = frozenset("is are was were am be s re m".split())
_AUXILIARIES = _BE | frozenset("do does did has have had can could will would shall should may might must".split())
_KINDS = frozenset("kind kinds sort sorts type types of".split())  # "what kind of": what it is, the noun behind it says
_IN_PHRASE = frozenset("in of from at by on for with to under within".split())


def leftovers(draft: Draft) -> list[Word]:
    """The words that matter and are not accounted for."""
    return list(_left(draft)) if draft.used else [word for word in draft.parts.words if word.content]


def _left(draft: Draft) -> Iterator[Word]:
    words = draft.parts.words
    nouns = set(_nouns(draft))
    unused = [
        word
        for word in words
        if _matters(word) and word.index not in draft.used and not names_nothing(draft.parts.question, word.index)
    ]
    asked = _asked_for(draft)
    open_words = [
        word
        for word in unused
        if not _is_plain(word)
        or (word.index in nouns and word.low not in DISCOURSE)
        or _is_of_sales(draft, word)
        or word.index in asked
    ]
    if not open_words:
        return
    spans = _spans(draft)
    arguments = {i for span in spans for i in span}
    named = arguments | {i for link in draft.parts.links if not link.verb and not link.sense for i in link.words}
    acting = verbs(draft.parts.question, named)
    scene = _scenes(draft) | _intentions(draft)
    for word in open_words:
        if word.index in asked:
            yield word
            continue
        if word.index in scene and not _stands_out(draft, word) and word.index not in named:
            continue
        passed = word.index in acting and not is_state(word) and not _tells_which(draft, word)
        if (passed and _joins(draft, word, spans)) or _tells_of_absence(draft, word):
            continue
        if (
            _is_of_parent(draft, word, beside=word.index in scene and not draft.parts.cues.said_before)
            or _says_what_kind(draft, word)
            or _counts_values(draft, word)
            or _calls_rows(draft, word)
            or _is_shortened(draft, word)
            or _holds_of_all(draft, word)
            or _calls_people(draft, word)
            or _is_a_time(draft, word)
            or _calls_measure(draft, word)
            or _gives_reason(draft, word)
        ):
            continue
        yield word


def _nouns(draft: Draft) -> Iterator[int]:
    """The words that name a table, and in other words somebody who does something ("writers"), whatever verb they look like."""
    for link in draft.parts.links:
        for i in link.words if link.column is None and not link.verb and not link.sense else ():
            agent = draft.parts.words[i].low.endswith(("er", "ers", "or", "ors"))
            if link.score >= (NAMED if agent else WHOLE):
                yield i


def _asked_for(draft: Draft) -> frozenset[int]:
    """The noun of "what operating system do ...", where it is not accounted for: that of which it is asked is no answer."""
    words, focus = draft.parts.words, draft.parts.cues.focus
    if not 0 < focus < len(words) or words[focus - 1].low not in ("what", "which"):
        return frozenset()
    noun = list(takewhile(lambda word: word.low not in _AUXILIARIES, words[focus:]))
    ends = focus + len(noun) < len(words)
    noun = list(dropwhile(lambda word: word.low in DISCOURSE, reversed(noun)))[::-1]  # "on what day exactly did ..."
    if not noun or not ends or any(not word.content or word.low in _KINDS for word in noun):
        return frozenset()
    return frozenset({noun[-1].index} - draft.used) if not noun[-1].low.isdigit() else frozenset()


def _tells_which(draft: Draft, word: Word) -> bool:
    """A verb that says what is counted ("how often was it streamed"), or as what somebody has to do with it ("who translated
    it"): passed over, another thing would be counted, and somebody else told."""
    words = draft.parts.words
    lows = [one.low for one in words[: word.index]]
    if any(pair in (["how", "often"], ["many", "times"]) for pair in ([a, b] for a, b in pairwise(lows))):
        return True
    return bool(lows) and lows[-1] in PERSON_WORDS and draft.entity is not None and word.index - 1 in draft.entity.words


def _is_of_sales(draft: Draft, word: Word) -> bool:
    """ "Sold", where rows that the query does not read tell of that: what there is to sell is no answer."""
    if word.low != "sold" or draft.aggregate == "none" or tells_of_sales(draft.reach.root):
        return False
    return any(tells_of_sales(table) for table in draft.reach.schema.tables)


def _matters(word: Word) -> bool:
    return word.content or word.low.isdigit()


def _is_of_parent(draft: Draft, word: Word, *, beside: bool) -> bool:
    """ "Alerts from sensors": of a table to which each row points anyway. `beside`: in a clause that asks nothing."""
    parents = {
        join.parent.name for ways in draft.reach.joins.values() for join in ways if join is not None and join.via is None
    }
    front = {one.low for one in draft.parts.words[max(0, word.index - 2) : word.index]}
    named = {
        link.table for link in draft.parts.links if link.words == {word.index} and link.column is None and link.score >= 0.8
    }
    return bool(named & parents) and (beside or bool(front & _IN_PHRASE)) and not front & (_HAVING | _ASKING)


def _is_plain(word: Word) -> bool:
    adverb = word.low.endswith("ly") and len(word.low) > 4 and word.low not in _RESTRICTING
    return word.stem in _PLAIN or word.low in DISCOURSE or adverb


def _spans(draft: Draft) -> list[frozenset[int]]:
    """The things that the query has brought together: names, values, times, numbers that it used."""
    parts = draft.parts
    found = [value.words for value in parts.values] + [time.words for time in parts.times]
    found += [link.words for link in parts.links if not link.verb] + [one.words for one in parts.cues.comparisons]
    used = [span for span in found if span <= draft.used]
    whole = [span for span in dict.fromkeys(used) if not any(span < other for other in used)]
    return whole


def _joins(draft: Draft, word: Word, spans: list[frozenset[int]]) -> bool:
    """Is it a verb between two things of the query, or behind both?"""
    if len(spans) < 2 and not (spans and draft.parts.cues.superlatives):
        return bool(spans) and _pronoun_subject(draft, word)
    clause = next(clause for clause in _clauses(draft.parts.question) if word in clause)
    return not alone_passive(draft.parts.question, word.index, {i for span in spans for i in span} & {w.index for w in clause})


def tells_of_sales(table: Table) -> bool:
    """By what it is called, or since its rows have a quantity."""
    quantity = any(stem(column.name.lower()) == stem("quantity") for column in table.columns)
    return quantity or bool({stem(word) for word in name_words(table.relation)} & _SALES)


def _tells_of_absence(draft: Draft, word: Word) -> bool:
    """ "Never opened a ticket", "not used for an appointment": what those do of which there are none; but not where a column
    tells of it, too, for some and not for others: "never paid an invoice"."""
    absent = [ref.children.table for ref, op, value in draft.filters if ref.children and op == "=" and value == 0]
    before = {w.index for w in draft.parts.words[max(0, word.index - 3) : word.index]}
    done = word.low.endswith("ed") or word.low in IRREGULAR
    if not absent or not done or not before & set(draft.parts.cues.negations):
        return False
    columns = (column for table in absent for column in table.columns if column.kind != "date" or column.nullable)
    stems = {stem(part) for column in columns for part in name_words(column.name)}
    return word.stem not in stems


def _holds_of_all(draft: Draft, word: Word) -> bool:
    """ "Alerts that were raised by ...", "did it raise": all were, since every row has the date."""
    table = draft.reach.schema.by_name[draft.entity_table]
    dates = (column for column in table.columns if column.kind == "date" and not column.nullable)
    named = {i for link in draft.parts.links for i in link.words - {word.index}} | {
        i for v in draft.parts.values for i in v.words
    }
    done = word.low.endswith("ed") or behind_auxiliary(draft.parts.question, word.index, named)
    return done and any(word.stem in map(stem, name_words(column.name)) for column in dates)


def _calls_people(draft: Draft, word: Word) -> bool:
    """ "Staff member": somebody, right behind the name of those who are meant."""
    return draft.entity is not None and word.index - 1 in draft.entity.words and word.low.rstrip("s") in PEOPLE


def _is_a_time(draft: Draft, word: Word) -> bool:
    """ "Publishing year", "year of birth": what kind of value it is, beside the name of the column that is told."""
    if word.low not in ("date", "year"):
        return False
    told = {ref.path for ref in draft.columns if ref.column.kind == "date" or (word.low == "year" and draft.is_year(ref))}
    after = draft.parts.words[word.index + 1 : word.index + 2]
    beside = {word.index - 1, word.index + 2 if after and after[0].low == "of" else -1}
    told |= {draft.order_by.path} if draft.order_by is not None and draft.is_year(draft.order_by) else set()
    return any(
        link.column is not None and beside & link.words and (ref := draft.ref(link)) is not None and ref.path in told
        for link in draft.parts.links
    )


def _calls_measure(draft: Draft, word: Word) -> bool:
    """ "The average length in milliseconds": what a number that is told is a measure of."""
    adjective = NOUNS.get(word.low)
    told = [*draft.columns, *([draft.order_by] if draft.order_by else [])] if adjective else []
    wanted = {stem(one) for one in MEASURES[adjective].words} if adjective else set()
    return any(ref.column.kind == "number" and wanted & set(map(stem, name_words(ref.column.name))) for ref in told)


def _gives_reason(draft: Draft, word: Word) -> bool:
    """ "Absences due to illness": the value behind it says why."""
    after = draft.parts.words[word.index + 1 : word.index + 2]
    return word.low == "due" and bool(after) and after[0].low == "to"


def _is_shortened(draft: Draft, word: Word) -> bool:
    """ "Satisfaction score" of `satScore`: what is said beside the rest of a name begins with what the name has of it."""
    for link in draft.parts.links:
        if link.column is None or not link.words <= draft.used or not {word.index - 1, word.index + 1} & link.words:
            continue
        said = {draft.parts.words[i].stem for i in link.words}
        rest = {part for part in name_words(link.column) if stem(part) not in said}
        if any(len(part) >= 3 and word.low.startswith(part) for part in rest):
            return True
    return False


def _calls_rows(draft: Draft, word: Word) -> bool:
    """ "R-rated titles": what each row is called stands for the rows."""
    labels = {ref.path for ref in draft.reach.labels(draft.place)}
    return word.low.endswith("s") and any(
        link.words == {word.index} and link.column is not None and (ref := draft.ref(link)) is not None and ref.path in labels
        for link in draft.parts.links
    )


def _pronoun_subject(draft: Draft, word: Word) -> bool:
    """ "That we stock", "do you offer": who asks does it, and so with all of them."""
    before = draft.parts.words[max(0, word.index - 2) : word.index]
    return any(one.low in ("we", "you", "us", "i") for one in before)


def _says_what_kind(draft: Draft, word: Word) -> bool:
    """ "In the Horror section": a noun right behind a value, within a phrase that only says which."""
    words, at = draft.parts.words, word.index
    value = next((one for one in draft.parts.values if one.last == at - 1 and one.words <= draft.used), None)
    if value is None or draft.entity is None or not draft.parts.question.gap(at - 1).isspace():
        return False
    front = [words[i].low for i in range(max(0, value.first - 2), value.first)]
    return bool(front) and (front[-1] in _IN_PHRASE or (front[-1] in ("the", "our") and front[0] in _IN_PHRASE))


def _counts_values(draft: Draft, word: Word) -> bool:
    """ "Two installation dates: WA-041's and HU-024's"."""
    return number_of(word) is not None and number_of(word) == len(draft.parts.values)


def _clauses(question: QuestionWords) -> Iterator[list[Word]]:
    """Sentences, and their parts by colons, semicolons, dashes and brackets; what stands behind "if" ends at its comma."""
    clause: list[Word] = []
    for word in question.words:
        clause.append(word)
        gap = question.gap(word.index)
        ends = (set(gap) & _ENDS and not gap[-1:].isalnum() and (" " in gap or "(" in gap)) or " - " in gap
        if ends or ("," in gap and clause[0].low in ("if", "when", "since", "as", "because")):
            yield clause
            clause = []
    if clause:
        yield clause


def _scenes(draft: Draft) -> set[int]:
    """The words of clauses that ask nothing, where another asks: they tell why, or say it again."""
    cues, every, words = draft.parts.cues, list(_clauses(draft.parts.question)), draft.parts.words
    if len(every) < 2:
        return set()
    asking = next((clause for clause in every if any(w.index == cues.focus - 1 for w in clause)), every[-1])
    beside = (clause for clause in every if clause is not asking and clause[0].low not in _REFINING)
    scene = {word.index for clause in beside for word in clause}
    of_it = any(word.low == "it" and words[word.index - 1].low in _BEFORE_OBJECT for word in asking[1:])
    return set() if of_it and not scene & draft.used else scene  # else what is asked is about a thing that was not understood


def _intentions(draft: Draft) -> set[int]:
    """What somebody means to do with the answer: "we want to send a gift to whoever ..."; not what that of which it is asked
    does: "which sensor is going to fail"."""
    words, found = draft.parts.words, set[int]()
    for word in words[:-2]:
        subject = next((one for one in reversed(words[: word.index]) if one.low not in _BE), None)
        if subject is not None and subject.index in draft.used and subject.content:
            continue
        if word.low in _INTENTS and words[word.index + 1].low == "to" and words[word.index + 2].low not in _TO_KNOW:
            for i in range(word.index, len(words)):
                if i in draft.used and words[i].content:
                    break
                found.add(i)
    return found


def _stands_out(draft: Draft, word: Word) -> bool:
    """Is it a name, a number, or quoted?"""
    quoted = any(word.index in inside for inside in draft.parts.question.quoted)
    sentence_start = word.index == 0 or bool(set(draft.parts.question.gap(word.index - 1)) & _ENDS)
    return (
        quoted
        or any(c.isdigit() for c in word.text)
        or (word.index in draft.parts.cues.numbers and word.low.isdigit())
        or (word.capital and not sentence_start)
    )
