"""Text in which somebody asks the very question, as an example or a test does: it has all of the words, and no answer."""

from __future__ import annotations

import re

_MIN_WORDS = 3  # "in use?" between quotation marks may be an answer
_WORD = re.compile(r"\w+")
_QUOTE = r"[\"'`“”‘’«»]"


def asks_the_same(question: str, text: str) -> bool:
    """Does the whole question stand between quotation marks there, whatever its case, spaces and marks?"""
    words = _WORD.findall(question)
    if len(words) < _MIN_WORDS:
        return False
    said = r"\W{1,3}".join(map(re.escape, words))
    return re.search(rf"{_QUOTE}\W{{0,2}}{said}\W{{0,2}}{_QUOTE}", text, re.IGNORECASE) is not None
