"""Arithmetic in a text, as an expression: `(125 + 75) / 8` as it stands, "17 times 23", "19% of 2350" and "square root of 1764"
written in signs. It knows English, evaluates nothing, and knows no tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from portico_gateway.guidance.copying.text.number_words import SMALL_NUMBERS as NUMBER_WORDS

_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
_TERM = rf"\({{0,4}}\s?-?{_NUMBER}\s?\){{0,4}}"
_SIGNS = re.compile(
    rf"(?<![\w.])\({{0,4}}\s?{_NUMBER}\s?\){{0,4}}(?:(?:\s*(?:\*\*|[*/^×÷+])\s*|\s+[-−]\s+){_TERM})+(?![\w.]*\w)"
)
_WORDS = {
    r"times|multiplied by": "*",
    r"plus|added to": "+",
    r"minus|less": "-",
    r"divided by|over": "/",
    r"to the power of|raised to(?: the power(?: of)?)?|to the": "**",
}
_SPOKEN = re.compile(rf"(?<![\w.])({_NUMBER})((?:,?\s+(?:{'|'.join(_WORDS)})\s+{_NUMBER})+)(?![\w.]*\w)", re.IGNORECASE)
_SHARE = re.compile(rf"(?<![\w.])({_NUMBER})\s?(?:%|percent)\s+of\s+({_NUMBER})(?![\w.]*\w)", re.IGNORECASE)
_ROOT = re.compile(rf"\bsquare root of\s+({_NUMBER})(?![\w.]*\w)", re.IGNORECASE)
_POWER = re.compile(rf"(?<![\w.])({_NUMBER})\s+(squared|cubed)\b", re.IGNORECASE)


_SECONDS = {  # of a unit of time
    "second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800,
}  # fmt: skip
_UNIT = "|".join(_SECONDS)
_IN_WORDS = "|".join(sorted(NUMBER_WORDS, key=len, reverse=True))
_AMOUNT = rf"{_NUMBER}|{_IN_WORDS}|an?"
_CONVERTED = (
    re.compile(
        rf"\bhow many (?P<to>{_UNIT})s (?:are (?:there )?|is |make |fit )?(?:in(?:to)?|up)? ?"
        rf"(?P<n>{_AMOUNT}) (?P<unit>{_UNIT})s?\b",
        re.IGNORECASE,
    ),
    re.compile(rf"\b(?P<n>{_AMOUNT}) (?P<unit>{_UNIT})s?\b[^?!]{{0,80}}?\b(?:in|how many) (?P<to>{_UNIT})s\b", re.IGNORECASE),
)
_LEFT_OVER = re.compile(
    rf"(?<![\w.])(?P<all>{_NUMBER})\b[^?!]{{0,60}}?\b(?:to|among|between|by|into)\s+(?P<each>{_NUMBER})\b[^?!]*\b"
    r"(?:left over|remain(?:s|ing|der)?|remainder)\b",
    re.IGNORECASE,
)
_SPOKEN_WORDS = re.compile(rf"\b(?:{_IN_WORDS})\b", re.IGNORECASE)


class Expression(NamedTuple):
    """An expression, and the characters [start, end) that say it."""

    text: str
    start: int
    end: int


def expressions(text: str) -> Iterator[Expression]:
    """Every expression that is said, what is written in signs first; they may overlap."""
    for match in _SIGNS.finditer(text):
        said = match[0].strip()
        if said.count("(") == said.count(")"):
            yield Expression(said, match.start() + match[0].index(said), match.start() + match[0].index(said) + len(said))
    for match in _SHARE.finditer(text):
        yield Expression(f"{_plain(match[1])} / 100 * {_plain(match[2])}", *match.span())
    for match in _ROOT.finditer(text):
        yield Expression(f"sqrt({_plain(match[1])})", *match.span())
    for match in _POWER.finditer(text):
        yield Expression(f"{_plain(match[1])} ** {2 if match[2].lower() == 'squared' else 3}", *match.span())
    yield from _spoken(text)
    for pattern in _CONVERTED:
        for match in pattern.finditer(text):
            size, of = _SECONDS[match["unit"].lower()], _SECONDS[match["to"].lower()]
            factor = f"* {size // of}" if size >= of else f"/ {of // size}"
            if size != of:
                yield Expression(f"{_amount(match['n'])} {factor}", *match.span())
    for match in _LEFT_OVER.finditer(text):
        yield Expression(f"{_plain(match['all'])} % {_plain(match['each'])}", *match.span())


def _spoken(text: str) -> Iterator[Expression]:
    """What is said with words for signs, and numbers in words too."""
    figures, at = "", 0
    for match in _SPOKEN_WORDS.finditer(text):
        figures += text[at : match.start()]
        figures += str(NUMBER_WORDS[match[0].lower()])
        at = match.end()
    figures += text[at:]
    for match in _SPOKEN.finditer(figures):
        start, end = _original(text, match.start()), _original(text, match.end())
        yield Expression(_in_signs(re.sub(r",\s+", " ", match[0])), start, end)


def _original(text: str, at: int) -> int:
    """Where a place in the text with figures for number words is in the text itself."""
    shift = 0
    for match in _SPOKEN_WORDS.finditer(text):
        grown = len(str(NUMBER_WORDS[match[0].lower()])) - len(match[0])
        if match.start() + shift >= at:
            break
        shift += grown
    return at - shift


def _amount(said: str) -> str:
    word = said.lower()
    return "1" if word in ("a", "an") else str(NUMBER_WORDS.get(word, _plain(said)))


def _in_signs(said: str) -> str:
    for words, sign in _WORDS.items():
        said = re.sub(rf"\s+(?:{words})\s+", f" {sign} ", said, flags=re.IGNORECASE)
    return _plain(said)


def _plain(number: str) -> str:
    return re.sub(r"(?<=\d),(?=\d{3})", "", number)
