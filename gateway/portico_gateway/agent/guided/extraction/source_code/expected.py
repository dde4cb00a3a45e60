"""What kind of code answers a question: a value, a raised exception, base classes, a signature, a call, a place.

It reads the question's own words, in English, and knows neither files nor scores.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from portico_gateway.guidance.stemming import stems_of


class CodeKind(Enum):
    """What stands in the code that answers."""

    BASES = "bases"  # the head of a class, with what it derives from
    SIGNATURE = "signature"  # the head of a function, with its parameters
    CALLS = "calls"  # where a name is called or used
    RAISES = "raises"  # what is raised or thrown
    RETURNS = "returns"
    SINCE = "since"  # the version that something came or went with
    IMPORTS = "imports"
    VALUE = "value"  # an assignment, a default, an entry
    CLASS = "class"  # which class
    FUNCTION = "function"  # which function or method
    PLACE = "place"  # where something is defined
    REASON = "reason"  # why something is so, which a comment says


_BY_DEFAULT = (
    r"by default|defaults?|out of the box|initial(?:ly)?|left out|omitted|(?:unless|(?:when|if) (?:nobody|nothing|none|no \w+)|"
    r"(?:if|when) (?:i|you|we) (?:don['’]?t|do not|never)) (?:\w+ )?"
    r"(?:set|configur\w*|touch|pass|passes|passed|give|gives|given|say|says|said|told|specif\w+|otherwise)|"
    r"(?:if|when) (?:i|you|we) leave (?:\S+ ){1,3}?(?:out|alone|away|unset)"
)
# What is said, in the order of how much it decides; the first two count.
_SAID: tuple[tuple[CodeKind, str], ...] = (
    (
        CodeKind.SINCE,
        r"(?:which|what) (?:release|version)s? (?:\w+ )?(?:brought|added?|introduced?|removed?|deprecated?|dropped|changed?|"
        r"renamed?|gained|first|did|does|was|were|is)|when (?:was|were|did|is|has) .*\b(?:add(?:ed)?|introduced?|removed?|"
        r"deprecated?|dropped|renamed?|appear(?:ed)?|arrived?|come)|since (?:when|which|what)|as of which|new in|"
        r"(?:added|introduced|removed|deprecated|dropped|available|exists?) (?:in|since)",
    ),
    (
        CodeKind.REASON,
        r"(?:^|[.,:;?!]\s+|\band )(?:why|how come|for what reason|what for)|what is the (?:reason|purpose|point)",
    ),
    (
        CodeKind.BASES,
        r"inherits?|inheritance|derives?|derived|descends?|subclass\w*|base (?:class|type)\w*|built on top of|ancestors?|"
        r"parent|superclass\w*|super class\w*|extends?|is .* (?:kind|subtype) of",
    ),
    (
        CodeKind.CALLS,
        r"who (?:\w+ )?(?:calls?|uses?|invokes?)|calls?|called (?:from|by)|invoked (?:from|by)|callers?|usages?|used by|"
        r"references|where (?:is|are|do we) (?:\S+ ){1,4}?(?:used|called|use|call|imported|raised|invoked)",
    ),
    (
        CodeKind.PLACE,
        r"where (?:is|are|do|does|did) .*(?:defined?|implement(?:s|ed)?|located|declared?|live)|(?:which|what) file",
    ),
    (
        CodeKind.SIGNATURE,
        r"parameters?|params?|(?<!without )(?:arguments?|args)|signature|constructor|"
        r"(?:does|do|can) .*\b(?:takes?|accepts?)\b(?! back| place| care)",
    ),
    (
        CodeKind.RAISES,
        r"raises?|raised|raising|throws?|thrown|throwing|exceptions?|errors?|fails?|failed|failure|crash(?:es|ed)?|"
        r"blows? up|complains?|complaint|refuses?|refused|rejects?|rejected|aborts?|aborted|panics?|explodes?|goes? wrong|"
        r"what happens (?:if|when)|(?:which|what) warning|warns?|warned|catch(?:es)?|caught",
    ),
    (
        CodeKind.IMPORTS,
        r"(?:which|what) (?:\w+ )?(?:package|library|module|dependency)|imports?|depends? on|dependenc(?:y|ies)",
    ),
    (CodeKind.RETURNS, r"returns?|returned|gives? back|(?:do|will|would) (?:i|you|we) get(?: back)?|yields?"),
    (
        CodeKind.VALUE,
        r"defaults?|value|constants?|how (?:many|much|long|large|big|wide|deep|often|old|fast|high|far|tall|small|few|short)|"
        r"number of|which size|size|length|width|limit|timeout|port|version|status|encoding|at (?:most|least)|max\w*|min\w*|"
        rf"author|licen[cs]e|prefix|suffix|assumed|pinned|{_BY_DEFAULT}",
    ),
    (CodeKind.CLASS, r"(?:which|what) (?:\w+ ){0,2}(?:class|type|loader|exception|error)"),
    (
        CodeKind.FUNCTION,
        r"(?:which|what) (?:\w+ ){0,2}(?:function|method|helper|decorator|hook|fixture|command|routine|property)s?",
    ),
    (CodeKind.PLACE, r"where|(?:which|what) (?:\w+ )?(?:file|module|place)"),
)
_PATTERNS = tuple((kind, re.compile(rf"\b(?:{said})\b", re.IGNORECASE)) for kind, said in _SAID)
_SEVERAL = re.compile(
    r"\b(?:which|what|list(?: all)?|(?:are|show) all)\s+(?:(?!of|is|are|does|do|the|for|to|in|was|has\b)[\w/.-]+\s+){0,2}?"
    r"(?!does\b|was\b|has\b|this\b|is\b)\w{2,}(?<![sui])s\b(?! (?:over|a|an|the|it|its|from|to)\b)|\bnames for\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\b(?:how (?:many|much|long|large|big|wide|deep|often|old|fast|high|far|tall|small|few|short)|number of|sizes?|length|"
    r"(?:exit|status|return|close|error) codes?|"
    r"width|limit|timeout|port|status|version|release|percent(?:age)?|seconds|bytes|maximum|minimum|max|min|"
    r"at (?:most|least))\b",
    re.IGNORECASE,
)
_TEXT = re.compile(
    r"\b(?:prefix|suffix|(?:start|begin|end)s? (?:with|in)|(?:which|what) (?:\w+ )?(?:folder|directory|path|string|text|"
    r"message|header|charset|encoding|format|separator|delimiter|extension|mode|scheme|url|character|letters?|word|prefix|suffix|"
    r"content type|media type|mime type))\b",
    re.IGNORECASE,
)
_ASKS_WHETHER = re.compile(
    r"(?:^|[.,:;?!]\s+)\W*(?:is|are|was|will|would|does|do|did|can|has|have)\s+(?!i\b|you\b)", re.IGNORECASE
)
_OF_DEFAULT = re.compile(rf"\b(?:{_BY_DEFAULT})\b", re.IGNORECASE)
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


_SPELLED = tuple(
    "exception exceptions function parameter parameters argument arguments default defaults method attribute signature version "
    "constant decorator inherits inherit subclass library package raised thrown returns returned constructor maximum minimum "
    "timeout length value module defined implemented".split()
)


def spelled(question: str) -> str:
    """The question, with the words that say which kind of code is meant spelled right: "exeption", "paramter"."""
    return re.sub(r"(?<![\w.])[A-Za-z]{6,}(?![\w.(])", lambda found: _right(found[0]), question)


@lru_cache(maxsize=2_000)
def _right(word: str) -> str:
    low = word.lower()
    if low in _SPELLED or (stems_of(low)[:1] and KIND_WORDS.issuperset(stems_of(low))):
        return word
    return next((known for known in _SPELLED if one_slip(low, known)), word)


def one_slip(said: str, meant: str) -> bool:
    """Is the one the other with a letter left out, added, changed, or two neighbours swapped? The first is never wrong."""
    if said[:1] != meant[:1] or abs(len(said) - len(meant)) > 1 or said == meant:
        return False
    at = next((i for i, (a, b) in enumerate(zip(said, meant, strict=False)) if a != b), min(len(said), len(meant)))
    left, right = said[at:], meant[at:]
    if len(left) == len(right):
        return left[1:] == right[1:] or (left[:2] == right[1::-1] and left[2:] == right[2:])
    return left[1:] == right or left == right[1:]


@dataclass(frozen=True, slots=True)
class ExpectedCode:
    """What a question is after. `several`: a list of things; `number`: a figure; `text`: a string that code has in quotes;
    `switch`: whether something is on by default, which code says by a truth value; `default`: what is so where nobody says
    anything."""

    kinds: tuple[CodeKind, ...]
    several: bool
    number: bool
    text: bool = False
    switch: bool = False
    default: bool = False


def expected_code(question: str) -> ExpectedCode:
    """What kind of code answers, the likeliest kind first."""
    question = spelled(question)
    kinds = tuple(dict.fromkeys(kind for kind, pattern in _PATTERNS if pattern.search(question)))
    if CodeKind.CALLS in kinds:
        kinds = tuple(kind for kind in kinds if kind is not CodeKind.PLACE)
    several, number, text = (pattern.search(question) is not None for pattern in (_SEVERAL, _NUMBER, _TEXT))
    text = text and not number
    default = _OF_DEFAULT.search(question) is not None
    switch = not (number or text) and default and _ASKS_WHETHER.search(question) is not None
    return ExpectedCode(kinds or (CodeKind.VALUE,), several, number, text, switch, default)


_LITERAL = r"""["'`\d\[({-]|True\b|False\b|None\b|true\b|false\b|null\b|nil\b"""
_FITS: dict[CodeKind, re.Pattern[str]] = {
    CodeKind.SINCE: re.compile(
        r"\b(?:version(?:added|changed)|deprecated|removed|since|added|new|introduced)\b.*\d+\.\d+|@since", re.IGNORECASE
    ),
    CodeKind.RAISES: re.compile(r"\b(?:raise|throw|throws|panic!?|reject|assert)\b|\b\w*(?:Error|Exception|Warning)\b"),
    CodeKind.RETURNS: re.compile(r"\breturns?\b|->|=>"),
    CodeKind.IMPORTS: re.compile(
        r"""\b(?:import|require|include|use|from)\b|^\s*"?[\w@/-]+"?\s*[:=]?\s*["'][~^><=]
        | ["'][\w@/.-]+(?:\[[^\]]*\])?\s*[~^><=!]=?\s*\d""",
        re.VERBOSE,
    ),
    CodeKind.VALUE: re.compile(rf"(?:[=:]|\breturn\b|[(,])\s*(?:{_LITERAL})"),
}


_ASSIGNMENT = re.compile(
    rf"""(?P<name>[A-Za-z_$][\w$-]*)["']?\]?\s*(?::(?:[^=,()\[]|\[[^\]=]*\])*)?[=:]\s*(?:{_LITERAL})  # x: t = 1, "x": 1
    | ["'](?P<said>[^"']+)["']\s*,\s*(?:{_LITERAL})                               # set("name", 1)
    """,
    re.VERBOSE,
)
_ASSIGNED_NUMBER = re.compile(r"(?:[=:(,]|\breturn\b)\s*[\"']?-?\d")
_RELEASE = re.compile(r"(?<![\w.])v?\d+(?:\.\d+)*")
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
    if kind is CodeKind.IMPORTS and number and not _RELEASE.search(text):
        return 0.3
    return 0.6 if kind is CodeKind.VALUE and number and not _ASSIGNED_NUMBER.search(text) else 1.0
