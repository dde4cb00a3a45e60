"""What kind of code answers a question: a value, a raised exception, base classes, a signature, a call, a place.

It reads the question's own words, in English, and knows neither files nor scores.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from portico_gateway.guidance.stemming import stems_of


class CodeKind(Enum):
    """What stands in the code that answers."""

    BASES = "bases"  # the head of a class, with what it derives from
    SIGNATURE = "signature"  # the head of a function, with its parameters
    CALLS = "calls"  # where a name is called or used
    RAISES = "raises"  # what is raised or thrown
    RETURNS = "returns"
    IMPORTS = "imports"
    VALUE = "value"  # an assignment, a default, an entry
    CLASS = "class"  # which class
    FUNCTION = "function"  # which function or method
    PLACE = "place"  # where something is defined


# What is said, in the order of how much it decides; the first two count.
_SAID: tuple[tuple[CodeKind, str], ...] = (
    (CodeKind.BASES, r"inherits?|derives?|derived|subclass\w*|base class\w*|parent|superclass|extends?"),
    (
        CodeKind.CALLS,
        r"who (?:\w+ )?(?:calls?|uses?)|calls?|called (?:from|by)|callers?|usages?|used by|references|"
        r"where (?:is|are|do we) (?:\S+ ){1,4}?(?:used|called|use|call|imported|raised)",
    ),
    (CodeKind.PLACE, r"where (?:is|are|do|does|did) .*(?:defined?|implement(?:s|ed)?|located|declared?)|(?:which|what) file"),
    (
        CodeKind.SIGNATURE,
        r"parameters?|params?|arguments?|args|signature|constructor|(?:does|do|can) .*\btakes?\b(?! back| place| care)",
    ),
    (CodeKind.RAISES, r"raises?|raised|throws?|thrown|exceptions?|errors?|fails? with"),
    (CodeKind.IMPORTS, r"(?:which|what) (?:\w+ )?(?:package|library|module|dependency)|imports?|depends? on"),
    (CodeKind.RETURNS, r"returns?|returned|give back"),
    (
        CodeKind.VALUE,
        r"defaults?|value|constants?|how (?:many|much|long|large|big|wide|deep|often|old|fast)|number of|which size|"
        r"size|length|width|limit|timeout|port|version|status|encoding|at (?:most|least)|max\w*|min\w*|author|licen[cs]e",
    ),
    (CodeKind.CLASS, r"(?:which|what) (?:\w+ ){0,2}(?:class|type|loader|exception|error)"),
    (CodeKind.FUNCTION, r"(?:which|what) (?:\w+ ){0,2}(?:function|method|helper|decorator|hook|fixture|command)s?"),
    (CodeKind.PLACE, r"where|(?:which|what) (?:\w+ )?(?:file|module|place)"),
)
_PATTERNS = tuple((kind, re.compile(rf"\b(?:{said})\b", re.IGNORECASE)) for kind, said in _SAID)
_SEVERAL = re.compile(
    r"\b(?:which|what|list(?: all)?|(?:are|show) all)\s+(?:(?!of|is|are|does|do|the|for|to|in|was|has\b)[\w/.-]+\s+){0,2}?"
    r"(?!does\b|was\b|has\b|this\b|is\b)\w{2,}(?<![sui])s\b(?! (?:over|a|an|the|it|its|from|to)\b)|\bnames for\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\b(?:how (?:many|much|long|large|big|wide|deep|often|old|fast)|number of|sizes?|length|width|limit|timeout|port|status|"
    r"maximum|minimum|max|min|at (?:most|least))\b",
    re.IGNORECASE,
)
# Words that say which kind of code is meant rather than what it is about.
KIND_WORDS = frozenset(
    stem
    for text in (
        "inherits derives derived subclass base class parent extends calls called caller usage references used parameters "
        "params arguments args signature constructor takes raises raised throws thrown exception exceptions error package "
        "library module import imports depends return returns returned value default defaults constant function method file "
        "where defined implemented located definition code many long number say says happen happens happening come comes get "
        "go goes look looks find name names called tell take method"
    ).split()
    for stem in stems_of(text)
)


@dataclass(frozen=True, slots=True)
class ExpectedCode:
    """What a question is after. `several`: a list of things; `number`: a figure."""

    kinds: tuple[CodeKind, ...]
    several: bool
    number: bool


def expected_code(question: str) -> ExpectedCode:
    """What kind of code answers, the likeliest kind first."""
    kinds = tuple(dict.fromkeys(kind for kind, pattern in _PATTERNS if pattern.search(question)))
    if CodeKind.CALLS in kinds:
        kinds = tuple(kind for kind in kinds if kind is not CodeKind.PLACE)
    return ExpectedCode(kinds or (CodeKind.VALUE,), _SEVERAL.search(question) is not None, _NUMBER.search(question) is not None)


_LITERAL = r"""["'`\d\[({-]|True\b|False\b|None\b|true\b|false\b|null\b|nil\b"""
_FITS: dict[CodeKind, re.Pattern[str]] = {
    CodeKind.RAISES: re.compile(r"\b(?:raise|throw|throws|panic!?|reject|assert)\b|\b\w*(?:Error|Exception|Warning)\b"),
    CodeKind.RETURNS: re.compile(r"\breturns?\b|->|=>"),
    CodeKind.IMPORTS: re.compile(r"\b(?:import|require|include|use|from)\b|^\s*\"?[\w@/-]+\"?\s*[:=]?\s*[\"'][~^><=]"),
    CodeKind.VALUE: re.compile(rf"(?:[=:]|\breturn\b|[(,])\s*(?:{_LITERAL})"),
}


_ASSIGNMENT = re.compile(
    rf"""(?P<name>[A-Za-z_$][\w$-]*)["']?\]?\s*(?::(?:[^=,()\[]|\[[^\]=]*\])*)?[=:]\s*(?:{_LITERAL})  # x: t = 1, "x": 1
    | ["'](?P<said>[^"']+)["']\s*,\s*(?:{_LITERAL})                               # set("name", 1)
    """,
    re.VERBOSE,
)
_ASSIGNED_NUMBER = re.compile(r"(?:[=:(,]|\breturn\b)\s*-?\d")
_REFUSED = re.compile(r"^\s*(?:raise|throw|assert|warnings?\.|log\w*\.|print|console\.)\b")


def assigned_names(text: str) -> list[str]:
    """What is given a literal value in lines of code."""
    return [found["name"] or found["said"] for found in _ASSIGNMENT.finditer(text)]


def fits(kind: CodeKind, text: str, *, number: bool = False) -> float:
    """How much lines look like what that kind asks for, 0 to 1. For the kinds that lines by themselves can tell."""
    pattern = _FITS.get(kind)
    if pattern is None or not pattern.search(text):
        return 0.0
    if kind is CodeKind.VALUE and _REFUSED.match(text):
        return 0.3
    return 0.6 if kind is CodeKind.VALUE and number and not _ASSIGNED_NUMBER.search(text) else 1.0
