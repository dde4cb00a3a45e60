"""What a reader makes of a page: its text, and the outline that gives every line a heading trail and an anchor.

Knows nothing of files, formats or the index. Lines are counted from 1 in `Page.text`, which is exactly what `read` and
the `docs://` resources show, so that a citation can be opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MAX_PAGE_CHARS = 4_000_000


@dataclass(frozen=True, slots=True)
class Heading:
    """A place that can be linked to: a heading, a documented object, a page of a PDF.

    `line` is its first line. `end` is the last line that belongs to it, its subsections included; None means up to the
    next heading of the same or a higher level. `aliases` are further anchors that lead here.
    """

    level: int
    title: str
    anchor: str
    line: int
    end: int | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with its place in the tree worked out. `trail` holds the titles from the page's first heading to this one."""

    level: int
    title: str
    anchor: str
    line: int
    end: int
    trail: tuple[str, ...]
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it will be shown. `sections` are in order of `line`; the first one begins at line 1."""

    title: str
    text: str
    kind: str
    sections: tuple[Section, ...] = field(default=())
    note: str = ""


def make_page(title: str, text: str, kind: str, headings: Iterable[Heading], *, note: str = "") -> Page:
    """A page from the headings found in it. Without a title the first heading gives it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > MAX_PAGE_CHARS:
        text = text[: text.rfind("\n", 0, MAX_PAGE_CHARS) + 1] or text[:MAX_PAGE_CHARS]
        note = note or f"cut after {MAX_PAGE_CHARS:,} characters"
    count = text.count("\n") + 1
    ordered = sorted((h for h in headings if h.line <= count), key=lambda h: (h.line, h.level))
    title = title or next((h.title for h in ordered if h.title), "")
    return Page(title=title, text=text, kind=kind, sections=_outline(title, ordered, count), note=note)


def _outline(title: str, headings: Sequence[Heading], count: int) -> tuple[Section, ...]:
    sections: list[Section] = []
    if not headings or headings[0].line > 1:
        # What stands before the first heading belongs to the page itself.
        before = headings[0].line - 1 if headings else count
        sections.append(Section(0, title, "", 1, before, (title,) if title else ()))
    open_: list[tuple[int, int, str]] = []  # (level, end, title) of the headings that enclose the current line
    for index, heading in enumerate(headings):
        end = heading.end or _end(headings, index, count)
        while open_ and (open_[-1][0] >= heading.level or open_[-1][1] < heading.line):
            open_.pop()
        if open_:
            end = min(end, open_[-1][1])
        trail = (*(t for _, _, t in open_), heading.title)
        sections.append(Section(heading.level, heading.title, heading.anchor, heading.line, end, trail, heading.aliases))
        open_.append((heading.level, end, heading.title))
    return tuple(sections)


def _end(headings: Sequence[Heading], index: int, count: int) -> int:
    level = headings[index].level
    return next((h.line - 1 for h in headings[index + 1 :] if h.level <= level and h.line > headings[index].line), count)
