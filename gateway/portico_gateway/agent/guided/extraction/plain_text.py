"""Text that no document is known to hold: sections under headings, records of `key: value` lines, lists whole, paragraphs.

What a command prints is read like that: a log of several records, a status with sections, a listing. It knows no command.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from portico_gateway.agent.guided.extraction.candidate import MAX_CHARACTERS, AnswerCandidate
from portico_gateway.agent.guided.extraction.structured import structured

_BLOCK = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`*\"(])")
_FIELD = re.compile(r"([A-Z][\w -]{0,30}):\s+(\S.*)")
_HINT = re.compile(r"\s*\(use \".*\"\s.*\)\s*")  # what a command advises
_ADDED = re.compile(r"\+(?!\+\+ )\s*(\S.*)")


def plain_text(text: str) -> Iterator[AnswerCandidate]:
    """The candidates of a text, in order of its structure."""
    lines = [line for line in text.splitlines() if not _HINT.fullmatch(line)]
    if sum(map(bool, map(str.strip, lines))) == 1:
        yield AnswerCandidate(text.strip())
    if records := line_records(lines):
        yield from structured(records)
    for piece in (*_sections(lines), *_added(lines), *_paragraphs("\n".join(lines))):
        yield AnswerCandidate(piece)
    for line in map(str.strip, lines):
        if len(lines) > 1 and 0 < len(line) <= MAX_CHARACTERS and not line.startswith("#") and not line.endswith(":"):
            yield AnswerCandidate(line)


def line_records(lines: Sequence[str]) -> list[dict[str, str]]:
    """Repeated groups of lines `Key: value` with the same first key; none where there is but one."""
    found: list[dict[str, str]] = []
    for line in lines:
        match = _FIELD.fullmatch(line.strip())
        if match is None:
            continue
        if not found or match[1] in found[-1]:
            found.append({})
        found[-1][match[1]] = match[2]
    first = next(iter(found[0]), "") if found else ""
    return found if len(found) > 1 and all(first in record for record in found) else []


def _sections(lines: Sequence[str]) -> Iterator[str]:
    """Lines that end in a colon, with the lines behind them as a list."""
    heading, items = "", list[str]()
    for line in (*lines, ""):
        said = line.strip()
        if said and not said.endswith(":"):
            items.append(said)
            continue
        if heading and items:
            yield f"{heading} {', '.join(items)}"
        if said:
            heading, items = said, []
        elif items:
            heading, items = "", []


def _added(lines: Sequence[str]) -> Iterator[str]:
    """Of a difference, all lines that it adds."""
    found = [match[1] for line in lines if (match := _ADDED.fullmatch(line))]
    if found and any(line.startswith(("@@ ", "diff --git")) for line in lines):
        yield "added: " + "; ".join(found)


def _paragraphs(text: str) -> Iterator[str]:
    for block in _BLOCK.split(text):
        block = block.strip().removeprefix("```").strip()
        if block.startswith(("#", "|", "---", "===")) or not block:
            continue
        listed = "\n" in block and all(len(line.split()) <= 3 for line in block.splitlines())
        pieces = [block] if len(block) <= MAX_CHARACTERS else _SENTENCE.split(block)
        for piece in pieces:
            yield ", ".join(line.strip(" *") for line in piece.split("\n")) if listed else " ".join(piece.split())
