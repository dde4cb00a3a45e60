"""A page cut into passages: never across a heading, at paragraph borders, never inside a fenced block if it fits.

Knows nothing of the index. A passage's text is exactly what stands in the page from its first line on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portico_servers.docs.ingest.pages import Page

TARGET_CHARS = 1_200
MAX_CHARS = 2_400
_BARE = 8  # characters below a heading that are no content yet
_FENCE = re.compile(r"^\s*(```|~~~)")


@dataclass(frozen=True, slots=True)
class PagePassage:
    """`section` is an index into `Page.sections`; `line` and `end` are the first and last line of `text`."""

    section: int
    line: int
    end: int
    text: str


def cut(page: Page) -> list[PagePassage]:
    lines = page.text.split("\n")
    passages: list[PagePassage] = []
    for section, first, last in _runs(page, len(lines)):
        for start, end in _pieces(lines, first, last):
            text = "\n".join(lines[start - 1 : end])
            if not any(c.isalnum() for c in text):
                continue
            if start == page.sections[section].line and not _says_more(text):
                # A bare heading says nothing: its passage goes on into what follows.
                start, end = _longer(lines, start, min(page.sections[section].end, len(lines)))
                text = "\n".join(lines[start - 1 : end])
            # One endless line becomes several passages that begin on it.
            step = MAX_CHARS if start == end else len(text)
            passages += [PagePassage(section, start, end, text[offset : offset + step]) for offset in range(0, len(text), step)]
    return passages


def _says_more(text: str) -> bool:
    """Whether there is anything below the heading (an underline is nothing)."""
    return any(c.isalnum() for line in text.split("\n")[1:] for c in line) and len(text.split("\n", 1)[-1]) > _BARE


def _longer(lines: list[str], start: int, last: int) -> tuple[int, int]:
    size, end = 0, start
    for number in range(start, last + 1):
        size += len(lines[number - 1]) + 1
        if size > TARGET_CHARS // 2:
            break
        end = number
    return _trimmed(lines, start, end)


def _runs(page: Page, count: int) -> Iterator[tuple[int, int, int]]:
    """(section, first line, last line): maximal runs of lines whose innermost section is the same."""
    owner = [0] * (count + 1)
    for index, section in enumerate(page.sections):
        # Later sections lie inside earlier ones or after them, so the last writer is the innermost.
        for line in range(section.line, min(section.end, count) + 1):
            owner[line] = index
    start = 1
    for line in range(2, count + 2):
        if line == count + 1 or owner[line] != owner[start]:
            yield owner[start], start, line - 1
            start = line


def _pieces(lines: list[str], first: int, last: int) -> Iterator[tuple[int, int]]:
    while first <= last and not lines[first - 1].strip():
        first += 1
    while last >= first and not lines[last - 1].strip():
        last -= 1
    start, size, border, fenced = first, 0, None, False
    for number in range(first, last + 1):
        line = lines[number - 1]
        if _FENCE.match(line):
            fenced = not fenced
        if not line.strip() and not fenced and number > start:
            border = number
        size += len(line) + 1
        if size > TARGET_CHARS and border is not None:
            yield _trimmed(lines, start, border)
            start, border = border + 1, None
            size = sum(len(x) + 1 for x in lines[start - 1 : number])
        if size > MAX_CHARS and number > start:
            yield _trimmed(lines, start, number - 1)
            start, border, size = number, None, len(line) + 1
    if start <= last:
        yield _trimmed(lines, start, last)


def _trimmed(lines: list[str], start: int, end: int) -> tuple[int, int]:
    while start < end and not lines[start - 1].strip():
        start += 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    return start, end
