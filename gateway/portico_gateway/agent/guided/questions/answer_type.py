"""What kind of thing a question asks for, and whether an answer has one that the question did not say itself.

It knows the question words of English. A question that asks for nothing in particular fits any answer.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import StrEnum

from portico_gateway.guidance.question import Question


class AnswerType(StrEnum):
    """What is asked for."""

    NUMBER = "number"
    DATE = "date"
    NAME = "name"  # of a person, a place, a thing
    IDENTIFIER = "identifier"  # as code and options have them
    ANY = "any"


_ASKED = (
    (AnswerType.DATE, r"\b(when|what (date|day|year|month)|which (date|day|year|month)|until when|since when)\b"),
    (
        AnswerType.NUMBER,
        r"\b(how (many|much|long|old|often|high|big|large|far|fast|heavy|tall)|number of|count|average|total|sum of|percentage"
        r"|what (percentage|share|size|price|amount|number)|maximum|minimum)\b",
    ),
    (
        AnswerType.IDENTIFIER,
        r"\b(which|what|name of the|name the) (\w+ )?(class|function|method|exception|error|option|flag|command|parameter"
        r"|argument|module|variable|constant|decorator|attribute|key|setting|filter|column|header|keyword|hook|field|type)s?\b",
    ),
    (AnswerType.NAME, r"\b(who|whose|whom|which|where|name)\b"),
)
_NUMBER = re.compile(r"(?<![\w.:/-])-?\d[\d,_]*(?:\.\d+)?(?![\w:/]|\.\d)")
_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()
_CALENDAR = (
    r"\b(?:january|february|march|april|may|june|july|august|september|october|november|december"
    r"|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b"
)
_DATE = re.compile(rf"\d{{4}}|\d{{1,2}}[:/.]\d{{2}}|{_CALENDAR}", re.IGNORECASE)
_IDENTIFIER = re.compile(
    r"--?[a-z][\w-]+|\b\w+_\w+\b|\b[a-z]+[A-Z]\w*|\b[A-Z][a-z]+[A-Z]\w*|`[^`]+`|\b\w+\(|\bclass \w+|\b[A-Z_]{3,}\b"
)
_NAME = re.compile(r"\b[^\W\d_]*[A-Z]\w+")
_ASKS_WHEN = re.compile(
    r"(?:^|[.!?]\s)\W*(?:and\s+)?when(?:['’]s|\s+(?:was|were|did))\b|\b(?:on\s+)?(?:what|which)\s+(?:date|day)\b|\bin\s+(?:what|which)\s+year\b",
    re.IGNORECASE,
)
_COUNTS = re.compile(r"\b(?:how\s+many|count\s+(?:of|the|all|them|how)|wie\s+viele)\b", re.IGNORECASE)
_COLUMNS = re.compile(r"^[^\n|]*\bcolumns:", re.IGNORECASE)
_ASKS_COLUMNS = re.compile(r"\b(?:columns?|fields?|schema|structure|attributes?|describe|layout|type)\b", re.IGNORECASE)
_ASKS_WHO = re.compile(r"^\W*(?:and\s+)?(?:who|whom|whose)\b", re.IGNORECASE)
_SOMEBODY = re.compile(r"\b[^\W\d_]*[A-Z]\w+|\w+_\w+|[\w.]+@\w+|\d+")
_WHO_DOES = re.compile(r"\bwho(?:\s+(?:has|have|had))?\s+(?P<verb>[a-z]{3,})\b", re.IGNORECASE)
_DOER = re.compile(
    r"\b(?:author|by|owner|name|customer|member|user|assignee|assigned|manager|person|creator|committer|employee|contact|from)s?\b",
    re.IGNORECASE,
)  # what fields are called that say who did something
_JOINED = re.compile(r"(?<!\w)\d+(?:-\d+)+(?!\w)")
_CONSTANT = re.compile(r"\b[A-Z][A-Z\d]*_[A-Z\d_]+\b")
_ASKS_WAY = re.compile(r"\bhow\s+(?:do|can|could|would|should)\s+(?:i|you|we|one)\b", re.IGNORECASE)
_PLACE = re.compile(r"[\w./-]*\w\.\w{1,5}:\d+(?:-\d+)?")
_POINT_IN_TIME = re.compile(  # a year, a version, a time or a day
    rf"(?<![\w-])(?:1[5-9]|20)\d\d(?!\d)|(?<![\w.])v?\d+\.\d+|\d{{1,2}}[:/.]\d{{2}}|{_CALENDAR}", re.IGNORECASE
)


_IS = r"what(?:['’]s|\s+is|\s+are|\s+was|\s+were)"
_OWN = r"my|our|your|his|her|their"
_WHAT = re.compile(
    rf"""\b(?:which|what|whose|how\s+many|how\s+much)\s+(?!(?:is|are|was|were|does|do|did|the|a)\b)(?P<noun>[\w-]+)
    | \b(?:{_IS}|tell\s+me|show\s+me|show|give\s+me)\s+(?:(?:the|{_OWN})\s+)?
      (?P<nouns>(?:[\w-]+\s+){{1,3}}?)(?:of|for|in|on|at)\b
    | \b{_IS}\s+(?:(?:[\w-]+\s+)?[\w-]+['’]s|{_OWN})\s+(?P<owned>(?:[\w-]+\s*){{1,3}})\W*$""",
    re.IGNORECASE | re.VERBOSE,
)


def asked_words(question: Question) -> frozenset[str]:
    """The words, lower case, that name what is asked for: "phone number" of "What is the phone number of Ada?"."""
    return frozenset(word.lower() for found in _WHAT.finditer(question.text) for word in (found["noun"] or _of(found)).split())


def asked_attribute(question: Question) -> frozenset[str]:
    """Those that name it as something that a thing has, which the answer's place would name, too: "seat" of "What's my seat?",
    and not "languages" of "Which languages does she speak?", whose answer is "German"."""
    return frozenset(word.lower() for found in _WHAT.finditer(question.text) for word in _of(found).split())


def asks_when(question: Question) -> bool:
    """Is a point in time all that is asked for? "When does it retry?" asks for a condition."""
    return _ASKS_WHEN.search(question.text) is not None


def says_when(text: str) -> bool:
    """Does it name a date, a time or a version? The places that it is printed with say none."""
    text = _PLACE.sub(" ", text)
    return _POINT_IN_TIME.search(text) is not None


def _of(found: re.Match[str]) -> str:
    return found["nouns"] or found["owned"] or ""


def asked_for(question: Question) -> AnswerType:
    """What kind of thing answers the question."""
    low = question.text.lower()
    return next((kind for kind, words in _ASKED if re.search(words, low)), AnswerType.ANY)


def asks_for_one(question: Question) -> bool:
    """Does it ask which thing, where, how many or by which way? Of these there is always one near by: whether it is the one
    that is meant, only what describes it tells."""
    return asked_for(question) in (AnswerType.NUMBER, AnswerType.IDENTIFIER, AnswerType.NAME) or (
        _ASKS_WAY.search(question.text) is not None
    )


def asks_count(question: Question) -> bool:
    """Is it asked how many there are, which only a number answers?"""
    return _COUNTS.search(question.text) is not None


def undone(question: Question, unused: Collection[str], answer: str) -> str | None:
    """What somebody is asked to have done ("leads" of "who leads it"), where it is among the `unused` words and the answer has
    no field that says who did something: whom it names is anybody then."""
    found = _WHO_DOES.search(question.text)
    return found["verb"] if found and found["verb"] in unused and not _DOER.search(answer) else None


def lacks_number(question: Question, answer: str) -> bool:
    """Is a number asked for, and none told that the question does not hold itself, nor a constant of code, which may be one?
    Neither the places that it is printed with tell one, nor what is called by digits: telephone numbers, dates."""
    kind, told = asked_for(question), _JOINED.sub(" ", _PLACE.sub(" ", answer))
    return kind is AnswerType.NUMBER and not fits(question, kind, told) and not _CONSTANT.search(told)


def names_nobody(question: Question, answer: str) -> bool:
    """Is it asked who, and nobody told that the question does not name itself? Names have capitals, digits, or are joined."""
    return _ASKS_WHO.search(question.text) is not None and not any(
        found.lower() not in question.text.lower() for found in _SOMEBODY.findall(answer)
    )


def lists_columns(question: Question, answer: str) -> bool:
    """Is it what the columns of a table are called, which nobody has asked for?"""
    return _COLUMNS.search(answer) is not None and _ASKS_COLUMNS.search(question.text) is None


def fits(question: Question, kind: AnswerType, answer: str) -> bool:
    """Has the answer something of the kind that the question does not hold itself?"""
    said = question.text.lower()
    if kind is AnswerType.ANY:
        return True
    if kind is AnswerType.NUMBER:
        words = [w for w in re.findall(r"[a-z]+", answer.lower()) if w in _WORDS]
        return any(found not in said for found in [*_NUMBER.findall(answer), *words])
    pattern = {AnswerType.DATE: _DATE, AnswerType.IDENTIFIER: _IDENTIFIER, AnswerType.NAME: _NAME}[kind]
    return any(found[0].strip("`(").lower() not in said for found in pattern.finditer(answer))
