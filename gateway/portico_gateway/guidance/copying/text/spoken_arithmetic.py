"""Arithmetic in a text, as an expression: `(125 + 75) / 8` as it stands, "17 times 23", "19% of 2350" and "square root of 1764"
written in signs. It knows English, evaluates nothing, and knows no tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
_TERM = rf"\({{0,4}}\s?-?{_NUMBER}\s?\){{0,4}}"
_SIGNS = re.compile(
    rf"(?<![\w.])\({{0,4}}\s?{_NUMBER}\s?\){{0,4}}(?:(?:\s*(?:\*\*|[*/^×÷+])\s*|\s+[-−]\s+){_TERM})+(?![\w.]*\w)"
)
_WORDS = {
    r"times|multiplied by": "*",
    r"plus|added to": "+",
    r"minus": "-",
    r"divided by|over": "/",
    r"to the power of|raised to(?: the power(?: of)?)?|to the": "**",
}
_SPOKEN = re.compile(rf"(?<![\w.])({_NUMBER})((?:\s+(?:{'|'.join(_WORDS)})\s+{_NUMBER})+)(?![\w.]*\w)", re.IGNORECASE)
_SHARE = re.compile(rf"(?<![\w.])({_NUMBER})\s?(?:%|percent)\s+of\s+({_NUMBER})(?![\w.]*\w)", re.IGNORECASE)
_ROOT = re.compile(rf"\bsquare root of\s+({_NUMBER})(?![\w.]*\w)", re.IGNORECASE)
_POWER = re.compile(rf"(?<![\w.])({_NUMBER})\s+(squared|cubed)\b", re.IGNORECASE)


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
    for match in _SPOKEN.finditer(text):
        yield Expression(_in_signs(match[0]), *match.span())


def _in_signs(said: str) -> str:
    for words, sign in _WORDS.items():
        said = re.sub(rf"\s+(?:{words})\s+", f" {sign} ", said, flags=re.IGNORECASE)
    return _plain(said)


def _plain(number: str) -> str:
    return re.sub(r"(?<=\d),(?=\d{3})", "", number)
