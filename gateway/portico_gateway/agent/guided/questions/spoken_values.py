"""The values that a question says, with their kinds: what a follow-up may change. It knows no tool and no conversation.

Kinds are coarse on purpose: two values that could stand in each other's place must be of one kind, or of two that are alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

ValueKind: TypeAlias = Literal["quoted", "version", "date", "year", "number", "identifier", "name"]

_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|Januar|Februar|März|Mai|Juni|Juli|Oktober|Dezember)"
)
_PATTERNS: tuple[tuple[ValueKind, str], ...] = (
    ("quoted", r"\"[^\"]+\"|`[^`]+`|“[^”]+”|(?<!\w)'[^']+'(?!\w)"),
    ("date", rf"\d{{4}}-\d\d(?:-\d\d)?|(?:\d{{1,2}}\.? )?{_MONTH}(?: \d{{1,2}},)?(?: \d{{4}})?"),
    ("version", r"v?\d+(?:\.\d+){2,}(?:[-.]?(?:rc|a|b|beta|alpha|dev|post)\d*)?|v\d+(?:\.\d+)*|\d+\.\d+(?:rc|a|b)\d+"),
    (
        "identifier",
        r"(?:[\w.-]*/)+[\w.-]+|\w+(?:\.\w+)+(?:\(\))?(?<!\d)|\w+\(\)|_*[A-Za-z]+_\w+|[a-z]+[A-Z]\w*|[A-Z][a-z]+[A-Z]\w*",
    ),
    ("year", r"(?:1[89]|2[01])\d\d(?![\d.]*\d)"),
    ("number", r"\d+(?:,\d{3})+|\d+(?:\.\d+)?%?"),
    ("name", rf"[A-Z][\w'’&-]*(?: (?:of |de |van )?(?!{_MONTH})[A-Z][\w'’&-]*)*"),
)
_VALUE = re.compile("|".join(rf"(?P<{kind}>(?<![\w.]){pattern}(?![\w]))" for kind, pattern in _PATTERNS))
_ALIKE: frozenset[frozenset[ValueKind]] = frozenset(
    frozenset(pair)
    for pair in (
        ("version", "number"), ("date", "year"), ("quoted", "identifier"), ("quoted", "name"), ("identifier", "name"),
    )
)  # fmt: skip
_NOT_NAMES = frozenset(
    "i and or but what how who which where when why is are was were do does did und oder was wer wie et".split()
)


@dataclass(frozen=True, slots=True)
class SpokenValue:
    """A value at [start, end) of its text, and the word before it ("" where there is none)."""

    kind: ValueKind
    text: str
    start: int
    end: int
    before: str


def values_in(text: str, *, first_word: bool = False) -> list[SpokenValue]:
    """The values of a text, in order. A capital makes a name; that of the text's first word only with `first_word`."""
    return list(_values(text, first_word))


def likeness(a: ValueKind, b: ValueKind) -> int:
    """Can one stand in the other's place? 2: they are of one kind; 1: of two that are alike; 0: no."""
    return 2 if a == b else 1 if frozenset((a, b)) in _ALIKE else 0


def _values(text: str, first_word: bool) -> Iterator[SpokenValue]:
    for match in _VALUE.finditer(text):
        kind: ValueKind = match.lastgroup  # type: ignore[assignment]
        start, value = match.start(), match[0]
        if kind == "name":
            value = re.sub(r"['’]s$", "", value)
            head, _, rest = value.partition(" ")
            if head.lower() in _NOT_NAMES or (start == 0 and not first_word):
                if not rest or not rest[0].isupper():
                    continue
                start, value = start + len(head) + 1, rest  # "Is Germany ...": the second word is the name
        before = re.search(r"(\w+)\W*$", text[:start])
        yield SpokenValue(kind, value, start, start + len(value), before[1].lower() if before else "")
