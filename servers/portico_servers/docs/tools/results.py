"""What the tools answer: structured results, and beside each the short text that a person and a small model read.

Pydantic models of the wire; knows nothing of how answers are found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from portico_servers.common.text_budget import one_line, within
from portico_servers.common.tools import tool_result
from portico_servers.docs.index.models import LibraryVersion
from portico_servers.docs.search.library import PassageHit, SearchPage

_SHOWN_CHARS = 1_200
_HIT_CHARS = 230
_REST_CHARS = 60  # of the text: kept for what is said of the rest
CursorAt = Callable[[int], str]


class DocHit(BaseModel):
    library: str
    version: str
    path: str
    anchor: str = Field(description="Fragment that opens the section; empty for the page's beginning")
    title_trail: list[str] = Field(description="Headings from the page's first to this section's")
    line: int = Field(description="First line of text in the page, as read shows it")
    text: str
    score: float


class SearchResult(BaseModel):
    hits: list[DocHit]
    complete: bool = Field(description="False while the index is still being built")
    note: str | None
    next_cursor: str | None
    words: dict[str, int] = Field(description="Of the query's words, how many passages hold each")
    passages: int = Field(description="How many passages there are")


class SectionEntry(BaseModel):
    anchor: str
    title: str
    level: int
    line: int


class ReadResult(BaseModel):
    library: str
    version: str
    path: str
    anchor: str
    title_trail: list[str]
    uri: str
    source: str = Field(description="Address on the web, for a page that came from there")
    line: int
    end_line: int
    text: str
    sections: list[SectionEntry] = Field(description="Sections inside what was asked for")
    complete: bool = Field(description="False if the text goes on: pass next_cursor")
    note: str | None
    next_cursor: str | None


class LibraryEntry(BaseModel):
    library: str
    version: str
    pages: int
    indexed_at: str | None
    complete: bool


class PageEntry(BaseModel):
    path: str
    title: str
    kind: str
    sections: int


class ListResult(BaseModel):
    libraries: list[LibraryEntry]
    pages: list[PageEntry]
    complete: bool
    note: str | None
    next_cursor: str | None


def answer(text: str, result: BaseModel) -> CallToolResult:
    return tool_result(text, result.model_dump(mode="json"))


def doc_hit(hit: PassageHit) -> DocHit:
    return DocHit(
        library=hit.library,
        version=hit.version,
        path=hit.path,
        anchor=hit.anchor,
        title_trail=list(hit.title_trail),
        line=hit.line,
        text=hit.text,
        score=hit.score,
    )


def library_entry(library_version: LibraryVersion) -> LibraryEntry:
    return LibraryEntry(
        library=library_version.library,
        version=library_version.version,
        pages=library_version.pages,
        indexed_at=library_version.indexed_at,
        complete=library_version.complete,
    )


def hits_text(query: str, found: SearchPage, cursor_at: CursorAt) -> str:
    """A line a hit, as many as fit; `cursor_at` gives the cursor that goes on after so many of them."""
    if not found.hits:
        return within_budget([f"not found: {one_line(query, 100)}"], found.note)
    lines = []
    for hit in found.hits:
        place = f"{hit.path}#{hit.anchor}" if hit.anchor else hit.path
        lines.append(f"{place} (line {hit.line}): {one_line(hit.text, _HIT_CHARS)}")
    return within_budget(lines, found.note, cursor_at, more=found.more)


def within_budget(
    lines: Sequence[str], note: str | None, cursor_at: CursorAt | None = None, *, heading: str = "", more: bool = False
) -> str:
    """The short text that a person and a small model read; whole lines, never more than the budget. What is left out is said,
    with the cursor that goes on from there; `more`: so it is after the last of the lines."""
    tail = f"({note})" if note else ""
    text, shown = within(lines, _SHOWN_CHARS - len(heading) - len(tail) - _REST_CHARS)
    left = len(lines) - shown
    rest = f"(+{left} more" if left else "(more" if more else ""
    if rest:
        rest += f", with cursor {cursor_at(shown)})" if cursor_at else ")"
    return "\n".join(filter(None, (heading, text, rest, tail)))
