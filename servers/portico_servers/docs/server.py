"""The documentation server's face: tools, resources, prompts and completion over MCP. All work is `library`'s."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
from anyio.from_thread import BlockingPortal
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types import (
    CallToolResult,
    InputRequiredResult,
    Resource,
)
from pydantic import AnyUrl, Field

from portico_servers.common import cursors
from portico_servers.common.list_changed import ListChangedNotifier
from portico_servers.common.server import PorticoServer
from portico_servers.common.tools import read_only_tool
from portico_servers.common.version import package_version
from portico_servers.docs.deadline import Bounded
from portico_servers.docs.index.indexer import Listener
from portico_servers.docs.index.models import Shelf
from portico_servers.docs.resources import LIBRARIES, add_prompts, add_resources, library_resources
from portico_servers.docs.search.library import Excerpt, Found, Library, citation
from portico_servers.docs.service import Service
from portico_servers.docs.tools.results import (
    ListResult,
    PageEntry,
    ReadResult,
    SearchResult,
    SectionEntry,
    answer,
    doc_hit,
    hits_text,
    library_entry,
    shown,
)

_LIST_PAGE = 100
_MAX_EVENTS = 100


class DocsServer(PorticoServer[Any]):
    """A server that lists the libraries as they are now, and opens a citation as `read` gives it, section and all."""

    def __init__(self, library: Library, bounded: Bounded, **settings: Any) -> None:
        super().__init__(**settings)
        self._library, self._bounded = library, bounded

    async def list_resources(self) -> list[Resource]:
        """The list of libraries, and the contents of each."""
        return [*await super().list_resources(), *await self._bounded.call(library_resources, self._library)]

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[Any, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """The page, or the section that the URI's fragment names."""
        # The SDK matches no template against a bare "#", and hands the path on decoded.
        return await super().read_resource(str(uri).replace("#", "%23", 1), context)


class _Tools:
    """The three tools. Their signatures are what hosts and the local model see: short, flat, few."""

    def __init__(self, library: Library, bounded: Bounded) -> None:
        self._library = library
        self._bounded = bounded

    async def search(
        self,
        query: Annotated[str, Field(min_length=1, max_length=400)],
        library: Annotated[str, Field(description="name or name@version")] = "",
        max_tokens: Annotated[int, Field(ge=100, le=8000)] = 1000,
        cursor: str = "",
    ) -> Annotated[CallToolResult, SearchResult]:
        offset = _offset(cursor, "search", query, library)
        found: Found = await self._bounded.run(self._library.search, query, library, budget=max_tokens, offset=offset)
        following = cursors.encode(offset + len(found.hits), "search", query, library) if found.more and found.hits else None
        result = SearchResult(
            hits=[doc_hit(hit) for hit in found.hits], complete=found.complete, note=found.note, next_cursor=following
        )
        return answer(hits_text(query, found), result)

    async def read(
        self,
        path: Annotated[str, Field(description="page or page#anchor, as search gives it", min_length=1, max_length=1000)],
        library: str = "",
        cursor: str = "",
    ) -> Annotated[CallToolResult, ReadResult]:
        line = _offset(cursor, "read", path, library)
        got: Excerpt = await self._bounded.run(self._library.read, path, library, from_line=line)
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
            sections=[SectionEntry(anchor=s.anchor, title=s.title, level=s.level, line=s.line) for s in got.sections[:200]],
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
        shelves = await self._bounded.run(self._library.shelves)
        pages: list[PageEntry] = []
        following = None
        heading = ""
        if library or len(shelves) == 1:
            shelf, rows = await self._bounded.run(self._library.pages, library, offset=offset, limit=_LIST_PAGE + 1)
            pages = [PageEntry(path=p, title=t, kind=k, sections=n) for p, t, k, n in rows[:_LIST_PAGE]]
            following = cursors.encode(offset + _LIST_PAGE, "list", library) if len(rows) > _LIST_PAGE else None
            heading = f"{shelf.name}: {shelf.pages} pages"
        progress = self._library.progress
        result = ListResult(
            libraries=[library_entry(s) for s in shelves],
            pages=pages,
            complete=progress.searchable,
            note=str(progress) or None,
            next_cursor=following,
        )
        if heading:
            lines = [heading, *(f"{p.path} - {p.title}" for p in pages)]
        else:
            lines = [f"{s.name}: {s.pages} pages" for s in shelves] or ["no documentation is indexed"]
        return answer(shown(lines, result.note), result)


def build_server(roots: Sequence[Path], *, cache_dir: Path | None = None, watch: bool = True) -> MCPServer[Any]:
    """The server over `roots`, or over the added libraries if there are none; the index is built once a client comes.

    Raises SourceError if a root isn't there.
    """
    service = Service(roots, cache_dir, watch=watch)

    bus = InMemorySubscriptionBus()
    notifier = ListChangedNotifier(bus)

    @asynccontextmanager
    async def lifespan(_: MCPServer[Any]) -> AsyncIterator[None]:
        async with BlockingPortal() as portal:

            def pages_changed(shelf: Shelf, paths: Sequence[str]) -> None:
                """From the indexer's thread: who listens hears which pages are to be read again."""
                for uri in (LIBRARIES, *(citation(shelf.library, shelf.version, path) for path in paths[:_MAX_EVENTS])):
                    portal.start_task_soon(bus.publish, ResourceUpdated(uri))

            def shelves_changed() -> None:
                portal.start_task_soon(partial(notifier.changed, resources=True))

            listener = Listener(pages_changed, shelves_changed)
            service.start(listener)
            try:
                yield
            finally:
                await anyio.to_thread.run_sync(service.stop, listener)

    bounded = Bounded(service.store)
    tools = _Tools(service.library, bounded)
    server = DocsServer(
        service.library,
        bounded,
        name="portico-docs",
        title="Documentation",
        version=package_version(),
        instructions="Local documentation: search finds passages, read opens one by its path#anchor, list shows what there is.",
        tools=[
            read_only_tool(
                tools.search,
                title="Search documentation",
                description="Search documentation: guides, manuals, how to do something. How do I install, configure or "
                "use it? What does the manual say? What are the requirements? Is there a guide? What changed in the latest "
                "version? Which licence? Explain how it works.",
            ),
            read_only_tool(
                tools.read, title="Read documentation", description="Read a documentation page or section by its path."
            ),
            read_only_tool(tools.list, title="List documentation", description="List documentation libraries and their pages."),
        ],
        lifespan=lifespan,
        subscriptions=bus,
        middleware=[notifier.remember],
        log_level="WARNING",
    )
    add_resources(server, service.library, bounded)
    add_prompts(server)
    return server


def _offset(cursor: str, *question: Any) -> int:
    try:
        return cursors.decode(cursor, *question)
    except cursors.BadCursor as error:
        raise ToolError(str(error)) from None
