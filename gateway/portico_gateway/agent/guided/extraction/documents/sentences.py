"""A paragraph's sentences. It knows the abbreviations of English and that names have dots."""

from __future__ import annotations

import re

_END = re.compile(r"(?<=[.!?])[\"')\]]?\s+(?=[A-Z0-9`*\"'(\[{.<-])|(?<=[。！？])")
_ABBREVIATED = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|resp|approx|incl|no|fig|sec|ca|Mr|Dr|St)|\b[A-Z])\.[\"')\]]?\s*$")


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph, in order; joined by a space they are the paragraph."""
    found: list[str] = []
    start = 0
    for match in _END.finditer(text):
        if _ABBREVIATED.search(text[start : match.end()]):
            continue
        found.append(text[start : match.end()].strip())
        start = match.end()
    found.append(text[start:].strip())
    return [sentence for sentence in found if sentence]
