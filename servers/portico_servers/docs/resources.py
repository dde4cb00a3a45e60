"""docs:// resources and their completion: pages, the contents of each library, the list of libraries."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import Completion, CompletionArgument, CompletionContext, PromptReference, Resource, ResourceTemplateReference

from portico_servers.docs.deadline import DeadlineRunner
from portico_servers.docs.errors import DocsError, PageNotFound
from portico_servers.docs.index.models import LibraryVersion
from portico_servers.docs.search.library import Library, citation

LIBRARIES = "docs://libraries"
_MAX_CONTENTS = 1_000  # pages that a library's contents list


def library_resources(library: Library) -> list[Resource]:
    """The contents of every library in every version. Blocks."""
    return [
        Resource(
            uri=contents_uri(library_version),
            name=library_version.name,
            title=f"Contents of {library_version.name}",
            description="The titles of its pages, with their addresses.",
            mime_type="text/markdown",
        )
        for library_version in library.library_versions()
    ]


def contents_uri(library_version: LibraryVersion) -> str:
    """`docs://numpy/1.26`"""
    return citation(library_version.library, library_version.version, "").rstrip("/")


def add_resources(server: MCPServer[Any], documentation: Library, deadline: DeadlineRunner) -> None:
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
                return (
                    await deadline.call(documentation.read, f"{name}#{anchor}", f"{library}@{version}", max_chars=100_000)
                ).text
            return (await deadline.call(documentation.page, library, version, name)).text
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
            return await deadline.call(_contents, documentation, f"{library}@{version}")
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
        found = await deadline.call(documentation.library_versions)
        return "\n".join(f"{s.name}: {s.pages} pages" for s in found) or "no documentation is indexed"

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(
        ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: CompletionContext | None
    ) -> Completion | None:
        chosen = (context.arguments if context else None) or {}
        return await deadline.call(_completions, documentation, argument.name, argument.value, chosen)


def _contents(library: Library, name: str) -> str:
    library_version, pages = library.pages(name, limit=_MAX_CONTENTS)
    lines = [
        f"- [{title or path}]({citation(library_version.library, library_version.version, path)})"
        for path, title, _, _ in pages
    ]
    if library_version.pages > len(pages):
        lines.append(f"- ... and {library_version.pages - len(pages):,} more: the tool `list` goes on")
    return "\n".join([f"# {library_version.name}", "", *lines])


def _completions(library: Library, name: str, value: str, chosen: dict[str, str]) -> Completion:
    library_versions = library.library_versions()
    if name == "library":
        values = sorted({s.library for s in library_versions if s.library.lower().startswith(value.lower())})
    elif name == "version":
        of = chosen.get("library")
        values = sorted({s.version for s in library_versions if (not of or s.library == of) and s.version.startswith(value)})
    elif name in ("path", "page"):
        values = library.complete_path(chosen.get("library", ""), chosen.get("version", ""), value, 101)
    else:
        values = []
    return Completion(values=values[:100], total=len(values) if len(values) <= 100 else None, has_more=len(values) > 100)
