"""What kind of answer a question asks for, and whether a text has one: a number, a version, an option, a class, a reason.

Patterns over English words, none over a documentation's own. A question may ask for several kinds at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_I = re.IGNORECASE


@dataclass(frozen=True, slots=True)
class AnswerType:
    """`asked` finds it in a question, `given` in a text that may answer."""

    name: str
    asked: re.Pattern[str]
    given: re.Pattern[str]


def _type(name: str, asked: str, given: str, flags: int = 0) -> AnswerType:
    return AnswerType(name, re.compile(asked, _I), re.compile(given, flags))


_NUMBER_WORDS = "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|hundred|thousand|once|twice|half"
_NUMBER = rf"(?<![\w.])\d[\d_,.]*|\b(?:{_NUMBER_WORDS})\b|\bunlimited\b"
TYPES = (
    _type(
        "number",
        r"\bhow (?:many|much|long|often|old|large|big|high|deep|fast|far|wide)\b|\b(?:number|amount|size|limit|port|length|"
        r"maximum|minimum|max|min|timeout|lifetime|duration|width|height|percentage|megabytes|bytes|seconds|count)\b",
        _NUMBER,
        _I,
    ),
    _type("status", r"\bstatus(?: code)?\b|\bhttp (?:error|code)\b|\bwhat happens\b", r"(?<![\w.:])[1-5]\d\d(?![\w.])"),
    _type("version", r"\bversions?\b|\bsince when\b|\bwhich release\b", r"\bv?\d+\.\d+(?:\.\d+)*\b|[Vv]ersion \d+"),
    _type(
        "list",
        r"\b(?:which|what) (?:\w+ )?\w{2,}s\b(?! (?:is|does|has|was)\b)|\bwhat are\b|\blist of\b",
        r",[^,.]{1,40},[^,.]{0,40}\b(?:and|or)\b|(?:\n- .*){2,}|`[^`]+`(?:, `[^`]+`)+|`[^`]+` (?:and|or) `",
    ),
    _type("date", r"\bwhen was\b|\bwhat (?:date|day|year)\b|\bwhich year\b|\buntil when\b", r"\b(?:19|20)\d\d\b"),
    _type(
        "default",
        r"\bdefaults?\b|\bunless\b|\bif i (?:don'?t|do not|give no)\b|\bif none\b",
        r"\bby default\b|\bdefaults? to\b|\bdefault:|\(default\)|"
        r"\bdefaults?\b.{0,60}\b(?:is|are)\b|\w=\S",
        _I,
    ),
    _type("option", r"\b(?:option|flag|switch)s?\b|\bcommand[- ]line\b", r"(?<![\w-])--?[A-Za-z][\w-]*"),
    _type("variable", r"\benvironment variable\b|\benv(?:ironment)? var\b", r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b"),
    _type(
        "setting",
        r"\b(?:setting|config(?:uration)? (?:key|value|option)|key)\b",
        r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b|`[\w.-]+`",
    ),
    _type("function", r"\b(?:function|method|helper|call|decorator|filter)s?\b", r"`@?[\w.]+(?:\([^`]*\))?`|\b[\w.]+\(\)"),
    _type("class", r"\b(?:class|type|object)(?:es|s)?\b", r"`?\b(?:\w+\.)*[A-Z][a-z0-9]+[A-Z]?\w*\b`?"),
    _type(
        "exception",
        r"\b(?:exception|error)s?\b|\braised?\b|\bfails?\b",
        r"\b\w*(?:Error|Exception|Warning|Required|Abort|Exit)\b|\braise[sd]?\b|`[A-Z][a-z]+[A-Z]\w+`|\berror\b",
    ),
    _type("message", r"\bmessage\b", r"\"[^\"]{6,}\"|'[^']{6,}'|`[^`]{10,}`"),
    _type(
        "argument",
        r"\b(?:argument|parameter|keyword|attribute|property|variable|field|modifier|operator)s?\b",
        r"`[^`]+`|\b\w+=\S",
    ),
    _type(
        "module",
        r"\b(?:module|package|librar(?:y|ies)|import|extension|plugin|namespace)s?\b",
        r"`?\b[a-z_]\w*\.[a-z_]\w*|\bimport \w+|`[\w-]+`",
    ),
    _type(
        "command", r"\bcommands?\b|\bhow (?:do|can) (?:i|you|we) (?:run|install|start|build|launch)\b", r"\$ \w+|`[a-z][\w -]+`"
    ),
    _type("standard", r"\b(?:PEP|RFC|ISO)\b", r"\b(?:PEP|RFC|ISO)[ -]?\d+|`\d{2,5}`"),
    _type("name", r"\b(?:name|named|called)\b|\bwhat is it called\b", r"`[^`]+`|\"[^\"]+\"|'[^']+'|\b[A-Z][a-z]+[A-Z]\w*"),
    _type(
        "how",
        r"^\W*(?:how|what'?s the way)\b(?! (?:many|much|long|often|old|large|big))",
        r"\b(?:use|using|by|call|pass|set|add|with|via|run|enable|disable|can)\b|`[^`]+`",
        _I,
    ),
    _type(
        "yes or no",
        r"^\W*(?:is|are|can|does|do|did|will|may|must|should|has|have|could)\b",
        r"\b(?:not|cannot|can't|doesn't|don't|yes|no|only|by default|never|always|must|supports?|supported|enabled|disabled|"
        r"safe|unless|however|error|allows?|can)\b",
        _I,
    ),
    _type("reason", r"^\W*why\b|\breason\b", r"\b(?:because|since|so that|in order to|otherwise|due to|reason)\b", _I),
    _type("definition", r"\bwhat (?:is|are|does|do)\b|\bmean(?:s|ing)?\b", r"\b(?:is|are) (?:an?|the)\b|^[`A-Z][\w`.]*: ", 0),
    _type(
        "condition",
        r"^\W*when\b|\bin which case\b|\bunder what\b",
        r"\b(?:if|when|unless|only|until|once|after|before|whenever)\b",
        _I,
    ),
    _type(
        "place",
        r"^\W*where\b|\bwhich (?:file|folder|directory|page)\b",
        r"\b(?:in|at|under|on|inside|from)\b|[\w.-]+/[\w./-]+",
        _I,
    ),
)


def asked_types(question: str) -> tuple[AnswerType, ...]:
    """The kinds of answer that the question asks for."""
    return tuple(kind for kind in TYPES if kind.asked.search(question))


def share_given(types: tuple[AnswerType, ...], text: str, question: str) -> float:
    """The share of the kinds that `text` has, 0 to 1. What the question says itself is no answer."""
    if not types:
        return 0.0
    said = question.lower()
    return sum(any(match[0].lower() not in said for match in kind.given.finditer(text)) for kind in types) / len(types)
