"""docs:// resources with their completion, and the prompts: pages, the contents of each library, the list of libraries."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import Completion, CompletionArgument, CompletionContext, PromptReference, Resource, ResourceTemplateReference

from portico_servers.docs.deadline import Bounded
from portico_servers.docs.errors import DocsError, PageNotFound
from portico_servers.docs.index.models import Shelf
from portico_servers.docs.search.library import Library, citation

LIBRARIES = "docs://libraries"
_MAX_CONTENTS = 1_000  # pages that a library's contents list


def library_resources(library: Library) -> list[Resource]:
    """The contents of every library in every version. Blocks."""
    return [
        Resource(
            uri=contents_uri(shelf),
            name=shelf.name,
            title=f"Contents of {shelf.name}",
            description="The titles of its pages, with their addresses.",
            mime_type="text/markdown",
        )
        for shelf in library.shelves()
    ]


def contents_uri(shelf: Shelf) -> str:
    """`docs://numpy/1.26`"""
    return citation(shelf.library, shelf.version, "").rstrip("/")


def add_resources(server: MCPServer[Any], shelves: Library, bounded: Bounded) -> None:
    """Pages, contents and libraries, and the completion of their names and of the prompts' arguments."""

    @server.resource(
        "docs://{library}/{version}/{+path}",
        name="page",
        title="Documentation page",
        description="A page of a library's documentation as text.",
        mime_type="text/markdown",
    )
    async def page(library: str, version: str, path: str) -> str:
        name, _, anchor = path.partition("#")
        try:
            if anchor:
                return (await bounded.call(shelves.read, f"{name}#{anchor}", f"{library}@{version}", max_chars=100_000)).text
            return (await bounded.call(shelves.page, library, version, name)).text
        except PageNotFound as error:
            raise ResourceNotFoundError(str(error)) from None
        except DocsError as error:
            raise ResourceError(str(error)) from None

    @server.resource(
        "docs://{library}/{version}",
        name="contents",
        title="Contents of a library",
        description="The titles of a library's pages, with their addresses.",
        mime_type="text/markdown",
    )
    async def contents(library: str, version: str) -> str:
        try:
            return await bounded.call(_contents, shelves, f"{library}@{version}")
        except PageNotFound as error:
            raise ResourceNotFoundError(str(error)) from None

    @server.resource(
        LIBRARIES,
        name="libraries",
        title="Libraries",
        description="The libraries whose documentation can be searched, one a line.",
        mime_type="text/plain",
    )
    async def libraries() -> str:
        found = await bounded.call(shelves.shelves)
        return "\n".join(f"{s.name}: {s.pages} pages" for s in found) or "no documentation is indexed"

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(
        ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: CompletionContext | None
    ) -> Completion | None:
        chosen = (context.arguments if context else None) or {}
        return await bounded.call(_completions, shelves, argument.name, argument.value, chosen)


def _contents(library: Library, name: str) -> str:
    shelf, pages = library.pages(name, limit=_MAX_CONTENTS)
    lines = [f"- [{title or path}]({citation(shelf.library, shelf.version, path)})" for path, title, _, _ in pages]
    if shelf.pages > len(pages):
        lines.append(f"- ... and {shelf.pages - len(pages):,} more: the tool `list` goes on")
    return "\n".join([f"# {shelf.name}", "", *lines])


def _completions(library: Library, name: str, value: str, chosen: dict[str, str]) -> Completion:
    shelves = library.shelves()
    if name == "library":
        values = sorted({s.library for s in shelves if s.library.lower().startswith(value.lower())})
    elif name == "version":
        of = chosen.get("library")
        values = sorted({s.version for s in shelves if (not of or s.library == of) and s.version.startswith(value)})
    elif name in ("path", "page"):
        values = library.complete_path(chosen.get("library", ""), chosen.get("version", ""), value, 101)
    else:
        values = []
    return Completion(values=values[:100], total=len(values) if len(values) <= 100 else None, has_more=len(values) > 100)


def add_prompts(server: MCPServer[Any]) -> None:
    @server.prompt(
        name="answer", title="Answer from the documentation", description="Answer a question, citing the documentation."
    )
    def answer_question(question: str) -> str:
        return (
            f"Answer this question from the documentation alone: {question}\n\n"
            "Use search to find passages and read to open those that matter. Cite each statement by its path#anchor. "
            "If the documentation does not say, say so."
        )

    @server.prompt(title="Summarize a page", description="Summarize one documentation page.")
    def summarize(page: str) -> str:
        return (
            f"Read the documentation page {page} with read, to its end, and summarize it in five sentences, citing path#anchor."
        )
