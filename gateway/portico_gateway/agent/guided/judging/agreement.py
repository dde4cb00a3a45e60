"""Do answers from different tools say the same? What documents and code both name is hardly found by chance.

It compares names, options and numbers that the question does not say itself; plain words prove nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_TOLD = re.compile(r"--?[A-Za-z][\w-]*|(?<![\w.-])\d[\d_.,]*\d|(?<![\w.-])\d\b|[A-Za-z_][\w.]*")
_PLACE = re.compile(r"^[^\s:]+:\d+(?:-\d+)?:?")  # what a line of source code is printed with


def told(text: str) -> frozenset[str]:
    """The names with a mark inside, the options and the numbers of a text, in small letters."""
    found = (match.strip(".,").replace(",", "").lower() for match in _TOLD.findall(_PLACE.sub("", text)))
    return frozenset(one for one in found if one[:1] == "-" or one[:1].isdigit() or "_" in one.strip("_") or "." in one)


def agrees(question: str, tool: str, text: str, drafts: Sequence[tuple[str, str]]) -> bool:
    """Does an answer say something that the answer of another tool says, and the question does not? `drafts`: tool and text."""
    mine = told(text) - told(question)
    return any(mine & told(other) for of, other in drafts if of != tool)
