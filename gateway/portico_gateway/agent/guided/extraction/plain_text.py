"""Text that no document is known to hold: its paragraphs, or the sentences of its long ones, without headings and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portico_gateway.agent.guided.extraction.candidate import MAX_CHARACTERS, AnswerCandidate

_BLOCK = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`*\"(])")


def plain_text(text: str) -> Iterator[AnswerCandidate]:
    """The candidates of a text, in order."""
    for block in _BLOCK.split(text):
        block = block.strip().removeprefix("```").strip()
        if block.startswith(("#", "|", "---", "===")) or not block:
            continue
        pieces = [block] if len(block) <= MAX_CHARACTERS else _SENTENCE.split(block)
        for piece in pieces:
            yield AnswerCandidate(" ".join(piece.split()))
