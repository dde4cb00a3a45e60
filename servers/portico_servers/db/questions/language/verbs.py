"""Which words of a question are verbs, by their form and by where they stand. It knows English grammar, and no database.

There is no dictionary: a regular past or a participle ends in -ed or -ing, irregular ones are a closed class, and a bare verb
stands behind "do", "to" or a modal and its subject, or agrees with a noun before it ("which shops stock", "who runs").
"""

from __future__ import annotations

from collections.abc import Collection

from portico_servers.db.questions.language.lemmas import IRREGULAR
from portico_servers.db.questions.language.words import QuestionWords, Word

# What these verbs tell is a state of its own, which most databases keep: nobody may pass over them.
STATES = frozenset(
    "cancel return refund reject approve complete expire fail lose break damage delete archive retire renew extend delay "
    "postpone dispute confirm finish close open resolve pay ship deliver leave quit resign fire dismiss graduate drop win die "
    "cease stop discontinue suspend withdraw remove replace repair miss skip overdue exceed reserve retake repeat".split()
)
# What these measure is asked for by them.
MEASURING = frozenset("cost weigh earn measure last pay spend owe score charge sell lack exceed total average".split())
_AUXILIARIES = frozenset("do does did can could will would shall should may might must to".split())
_BE = frozenset("is are was were be been being get gets got gotten".split())
_PRONOUNS = frozenset("i we you he she it they who that whoever us them one".split())
_OPENS_NOUN = frozenset(
    "a an the this that these those my our your his her its their no some any each every of in at on by for with from".split()
)
_FOLLOWS_VERB = frozenset(
    "a an the this that these those my our your his her its their in at on by for with from to us me".split()
)


def verbs(question: QuestionWords, named: Collection[int]) -> frozenset[int]:
    """The places of the content words that are verbs. `named`: words that name or spell something of the database."""
    return frozenset(
        word.index
        for word in question.words
        if word.content and word.index not in named and not word.text[0].isupper() and _is_verb(question, word, named)
    )


def is_state(word: Word) -> bool:
    """Does the verb tell of a state, or measure something?"""
    return any(_form_of(word.low, verb) for verb in STATES | MEASURING)


def alone_passive(question: QuestionWords, at: int, arguments: Collection[int]) -> bool:
    """ "Orders that were cancelled": a passive with nothing behind it says of what stands before it what became of it."""
    before = {word.low for word in question.words[max(0, at - 3) : at]}
    return bool(before & _BE) and not any(i > at for i in arguments)


def _is_verb(question: QuestionWords, word: Word, named: Collection[int]) -> bool:
    words, at = question.words, word.index
    before = words[at - 1] if at else None
    after = words[at + 1] if at + 1 < len(words) else None
    if before is not None and before.low in _OPENS_NOUN and before.low != "that":
        return False
    if word.low in IRREGULAR or (len(word.low) > 4 and word.low.endswith(("ed", "ing"))):
        return True
    if not _is_plural(word) and behind_auxiliary(question, at, named):
        return True
    if before is None:
        return False
    subject = before.low in _PRONOUNS or before.index in named
    plural = before.low.endswith("s") and before.index in named
    agrees = word.low.endswith("s") != plural or before.low in _PRONOUNS
    ends = after is None or after.low in _FOLLOWS_VERB or after.index in named
    return subject and agrees and ends and (plural or word.low.endswith("s") or before.low in _PRONOUNS)


def _is_plural(word: Word) -> bool:
    """What ends like one is no bare verb: "does it have subtitles"."""
    return word.low.endswith("s") and not word.low.endswith(("ss", "us", "is"))


def behind_auxiliary(question: QuestionWords, at: int, named: Collection[int]) -> bool:
    """Is there an auxiliary before it, and nothing but a subject between?"""
    for i in range(at - 1, max(-1, at - 8), -1):
        word = question.words[i]
        if word.low in _AUXILIARIES:
            return True
        if word.content and i not in named and not word.capital and not word.low.endswith("ly"):
            return False
        if i == at - 1 and word.low in _OPENS_NOUN:
            return False
    return False


def _form_of(word: str, verb: str) -> bool:
    bare = verb.removesuffix("e")
    doubled = verb + verb[-1]
    forms = {verb, verb + "s", verb + "es", bare + "ed", bare + "ing", doubled + "ed", doubled + "ing"}
    forms |= {verb[:-1] + "ies", verb[:-1] + "ied"} if verb.endswith("y") else set()
    return word in forms or IRREGULAR.get(word) == verb
