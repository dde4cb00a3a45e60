"""The three tools as MCP sees them: names, descriptions, parameters, and errors that a model can act on.

Their signatures are what hosts and the local model see: short, flat, few. All work is `search.library`'s.
"""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult
from pydantic import Field

from portico_servers.common import cursors
from portico_servers.common.text_budget import one_line
from portico_servers.common.tools import read_only_tool
from portico_servers.docs.deadline import DeadlineRunner
from portico_servers.docs.search.library import MAX_QUERY, Excerpt, Library, SearchPage, citation
from portico_servers.docs.tools.results import (
    CursorAt,
    ListResult,
    PageEntry,
    ReadResult,
    SearchResult,
    SectionEntry,
    answer,
    doc_hit,
    hits_text,
    library_entry,
    within_budget,
)

_LIST_PAGE = 100
_TITLE_CHARS = 120
_MAX_SECTIONS = 200  # that `read` lists of a page


def build_tools(library: Library, deadline: DeadlineRunner) -> list[Tool]:
    """search, read and list over one library."""
    tools = _Tools(library, deadline)
    return [
        read_only_tool(
            tools.search,
            title="Search documentation",
            description="Search documentation: guides, manuals, how to do something. How do I install, configure or "
            "use it? What does the manual say? What are the requirements? Is there a guide? What changed in the latest "
            "version? Which licence? Explain how it works.",
        ),
        read_only_tool(tools.read, title="Read documentation", description="Read a documentation page or section by its path."),
        read_only_tool(tools.list, title="List documentation", description="List documentation libraries and their pages."),
    ]


class _Tools:
    """Their methods are the tools: a signature is a tool's input schema."""

    def __init__(self, library: Library, deadline: DeadlineRunner) -> None:
        self._library = library
        self._deadline = deadline

    async def search(
        self,
        query: Annotated[str, Field(min_length=1, max_length=MAX_QUERY)],
        library: Annotated[str, Field(description="name or name@version")] = "",
        max_tokens: Annotated[int, Field(ge=100, le=8000)] = 1000,
        cursor: str = "",
    ) -> Annotated[CallToolResult, SearchResult]:
        offset = _offset(cursor, "search", query, library)
        found: SearchPage = await self._deadline.run(self._library.search, query, library, budget=max_tokens, offset=offset)
        following = cursors.encode(offset + len(found.hits), "search", query, library) if found.more and found.hits else None
        result = SearchResult(
            hits=[doc_hit(hit) for hit in found.hits],
            complete=found.complete,
            note=found.note,
            next_cursor=following,
            words=found.words,
            passages=found.passages,
        )
        return answer(hits_text(query, found, lambda n: cursors.encode(offset + n, "search", query, library)), result)

    async def read(
        self,
        path: Annotated[str, Field(description="page or page#anchor, as search gives it", min_length=1, max_length=1000)],
        library: str = "",
        cursor: str = "",
    ) -> Annotated[CallToolResult, ReadResult]:
        line = _offset(cursor, "read", path, library)
        got: Excerpt = await self._deadline.run(self._library.read, path, library, from_line=line)
        following = cursors.encode(got.end + 1, "read", path, library) if got.end < got.last else None
        uri = citation(got.library, got.version, got.path, got.anchor)
        result = ReadResult(
            library=got.library,
            version=got.version,
            path=got.path,
            anchor=got.anchor,
            title_trail=list(got.title_trail),
            uri=uri,
            source=got.source,
            line=got.line,
            end_line=got.end,
            text=got.text,
            sections=[
                SectionEntry(anchor=s.anchor, title=s.title, level=s.level, line=s.line) for s in got.sections[:_MAX_SECTIONS]
            ],
            complete=following is None,
            note=got.note,
            next_cursor=following,
        )
        more = f"\n\n(lines {got.line}-{got.end} of {got.last}; more with cursor {following})" if following else ""
        return answer(f"{uri} line {got.line}\n\n{got.text}{more}", result)

    async def list(
        self,
        library: str = "",
        cursor: str = "",
    ) -> Annotated[CallToolResult, ListResult]:
        offset = _offset(cursor, "list", library)
        library_versions = await self._deadline.run(self._library.library_versions)
        pages: list[PageEntry] = []
        following = None
        heading = ""
        if library or len(library_versions) == 1:
            library_version, rows = await self._deadline.run(self._library.pages, library, offset=offset, limit=_LIST_PAGE + 1)
            pages = [PageEntry(path=p, title=t, kind=k, sections=n) for p, t, k, n in rows[:_LIST_PAGE]]
            following = cursors.encode(offset + _LIST_PAGE, "list", library) if len(rows) > _LIST_PAGE else None
            heading = f"{library_version.name}: {library_version.pages} pages"
        progress = self._library.progress
        result = ListResult(
            libraries=[library_entry(s) for s in library_versions],
            pages=pages,
            complete=progress.searchable,
            note=str(progress) or None,
            next_cursor=following,
        )
        if heading:
            lines = [f"{p.path} - {one_line(p.title, _TITLE_CHARS)}" for p in pages]
            at: CursorAt = lambda n: cursors.encode(offset + n, "list", library)  # noqa: E731
            return answer(within_budget(lines, result.note, at, heading=heading, more=following is not None), result)
        lines = [f"{s.name}: {s.pages} pages" for s in library_versions] or ["no documentation is indexed"]
        return answer(within_budget(lines, result.note), result)


def _offset(cursor: str, *question: Any) -> int:
    try:
        return cursors.decode(cursor, *question)
    except cursors.BadCursor as error:
        raise ToolError(str(error)) from None
