"""Messages that a question quotes, "Unable to convert ... to an item", and whether lines of code hold them.

What a program has put into a message, the question may leave out by three dots. It knows neither files nor scores.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

FEWEST_WORDS = 3  # of a piece of a message: fewer stand in other places, too
_QUOTED = re.compile(r"\"([^\"]{8,})\"|\u201c([^\u201d]{8,})\u201d|`([^`]{8,})`|(?<!\w)'([^']{8,})'(?!\w)")
_LEFT_OUT = re.compile(r"\.{3}|\u2026")
_JOINT = re.compile(r"[^\W\d_]+|\d+")

Message = tuple[str, ...]  # its pieces, each words and spaces alone


def messages(question: str) -> list[Message]:
    """The quotations of several words, in order."""
    found = []
    for groups in _QUOTED.findall(question):
        pieces = [_plain(piece) for piece in _LEFT_OUT.split("".join(groups))]
        whole = tuple(piece for piece in pieces if piece.count(" ") >= FEWEST_WORDS - 1)
        if whole:
            found.append(whole)
    return found


def holds_message(text: str, message: Sequence[str]) -> bool:
    """Are all pieces of the message in the text, however it is quoted and broken?"""
    plain = f" {_plain(text)} "
    return all(f" {piece} " in plain for piece in message)


def _plain(text: str) -> str:
    return " ".join(_JOINT.findall(text.lower()))
