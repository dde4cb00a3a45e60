"""portico-code as an MCP server: tools, resources, completion and prompts over one `Workspace`. It answers nothing itself."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError, ToolError
from mcp.server.mcpserver.resources.templates import ResourceSecurity
from mcp.server.mcpserver.tools import Tool
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types import (
    CallToolResult,
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
    ToolAnnotations,
)
from platformdirs import user_cache_path
from pydantic import BaseModel

from portico_servers.code import history
from portico_servers.code.errors import CodeError
from portico_servers.code.results import Hits, Outline, Passage, hits_text, outline_text, passage_text
from portico_servers.code.snippets import read_text
from portico_servers.code.workspace import Workspace
from portico_servers.common.cursor import BadCursor
from portico_servers.common.jail import NotFound

logger = logging.getLogger(__name__)
T = TypeVar("T")
READ_ONLY = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
URI = "code://{root}/{+path}"
_INSTRUCTIONS = (
    "Finds and reads source code under fixed directories. Begin with search; find_symbol and find_references follow a name; "
    "read shows lines. Results marked incomplete say why in their note; next_cursor continues them."
)


def build_server(roots: Sequence[Path], *, cache_dir: Path | None = None) -> MCPServer[Workspace]:
    """A server over `roots`, which must be directories (NotADirectoryError). Indexing begins when it starts to run and goes
    on in the background. `cache_dir` holds the index between runs; the user's cache directory by default."""
    bus = InMemorySubscriptionBus()
    notifier = _Notifier(bus)
    workspace = Workspace(roots, cache_dir or user_cache_path("portico") / "code", changed=notifier.files_changed)

    @asynccontextmanager
    async def lifespan(_: MCPServer[Workspace]) -> AsyncIterator[Workspace]:
        notifier.attach()
        workspace.start()
        try:
            yield workspace
        finally:
            notifier.detach()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(workspace.close)

    server: MCPServer[Workspace] = MCPServer(
        "portico-code",
        title="Portico code search",
        instructions=_INSTRUCTIONS,
        version=_version(),
        tools=_tools(workspace),
        lifespan=lifespan,
        subscriptions=bus,
        log_level="WARNING",
    )
    _add_resources(server, workspace)
    _add_prompts(server, workspace)
    return server


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("portico-mcp")
    except PackageNotFoundError:
        return "0"


class _Notifier:
    """Carries the index's news from its thread to the event loop, and there to whoever listens to a resource."""

    def __init__(self, bus: InMemorySubscriptionBus) -> None:
        self._bus = bus
        self._loop: anyio.lowlevel.EventLoopToken | None = None

    def attach(self) -> None:
        self._loop = anyio.lowlevel.current_token()

    def detach(self) -> None:
        self._loop = None

    def files_changed(self, root: str, paths: Sequence[str]) -> None:
        loop = self._loop
        if loop is not None:
            try:
                anyio.from_thread.run(self._publish, root, paths, token=loop)
            except anyio.RunFinishedError:  # the server is ending
                self._loop = None

    async def _publish(self, root: str, paths: Sequence[str]) -> None:
        for path in paths:
            await self._bus.publish(ResourceUpdated(uri=uri(root, path)))


def uri(root: str, path: str) -> str:
    from urllib.parse import quote

    return f"code://{quote(root)}/{quote(path)}"


def _tools(workspace: Workspace) -> list[Tool]:
    """Parameters have plain types and empty defaults: short to show, and flat for a model that decodes them under a grammar."""

    async def search(
        query: str, ctx: Context[Workspace, Any], regex: bool = False, path: str = "", language: str = "", cursor: str = ""
    ) -> Annotated[CallToolResult, Hits]:
        await _report(ctx, workspace)
        if regex:
            result = await _guard(workspace.search_regex(query, path, language, cursor))
        else:
            result = await _in_thread(partial(workspace.search, query, path, language, cursor))
        return _answer(result, hits_text(result, nothing=f"not found: {query[:100]}"))

    async def find_symbol(name: str, kind: str = "", cursor: str = "") -> Annotated[CallToolResult, Hits]:
        result = await _in_thread(partial(workspace.find_symbol, name, kind, cursor))
        return _answer(result, hits_text(result, nothing=f"not found: no definition of {name[:100]}"))

    async def find_references(name: str, path: str = "", cursor: str = "") -> Annotated[CallToolResult, Hits]:
        result = await _guard(workspace.find_references(name, path, cursor))
        return _answer(result, hits_text(result, nothing=f"not found: no use of {name[:100]}"))

    async def outline(path: str) -> Annotated[CallToolResult, Outline]:
        result = await _in_thread(partial(workspace.outline, path))
        return _answer(result, outline_text(result))

    async def read(path: str, start: int = 0, end: int = 0, symbol: str = "") -> Annotated[CallToolResult, Passage]:
        result = await _in_thread(partial(workspace.read, path, start, end, symbol))
        return _answer(result, passage_text(result))

    async def changed_since(ref: str, path: str = "", cursor: str = "") -> Annotated[CallToolResult, Hits]:
        result = await _guard(workspace.changed_since(ref, path, cursor))
        return _answer(result, hits_text(result, nothing="not found"))

    described: list[tuple[Callable[..., Awaitable[CallToolResult]], str, str]] = [
        (search, "Search code", "Search source code by words or a question; regex=true for a pattern."),
        (find_symbol, "Find definition", "Find where a function, class or variable is defined."),
        (find_references, "Find references", "Find where a name is used or called."),
        (outline, "Outline", "List what a source file defines, or the files of a directory."),
        (read, "Read code", "Read lines, or one symbol, of a source file."),
        (changed_since, "Changed since", "List source changes since a git commit, tag or date."),
    ]
    tools = []
    for function, title, description in described:
        tool = Tool.from_function(function, title=title, description=description, annotations=READ_ONLY)
        tool.parameters = _without_titles(tool.parameters)
        tools.append(tool)
    return tools


def _without_titles(schema: dict[str, Any]) -> dict[str, Any]:
    """The input schema without pydantic's generated titles, which say every name twice."""
    properties = {
        name: {key: value for key, value in part.items() if key != "title"} for name, part in schema["properties"].items()
    }
    return {key: value for key, value in schema.items() if key != "title"} | {"properties": properties}


def _answer(result: BaseModel, text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=result.model_dump(mode="json"))


async def _in_thread(work: Callable[[], T]) -> T:
    """A look-up on a worker thread; a cancelled call leaves it behind, and look-ups are bounded."""
    return await _guard(anyio.to_thread.run_sync(work, abandon_on_cancel=True))


async def _guard(work: Awaitable[T]) -> T:
    """What the caller got wrong becomes a tool error that says so."""
    try:
        return await work
    except (CodeError, NotFound, BadCursor) as error:
        raise ToolError(str(error)) from None


async def _report(ctx: Context[Workspace, Any], workspace: Workspace) -> None:
    """Tell a caller that asked for progress how far the index is."""
    note = workspace.progress_note()
    if note is not None:
        parts = [index.progress for index in workspace.indexes.values()]
        await ctx.report_progress(sum(p.done for p in parts), sum(p.total for p in parts) or None, note)


def _add_resources(server: MCPServer[Workspace], workspace: Workspace) -> None:
    def file(root: str, path: str) -> str:
        home = workspace.jail.names.get(root)
        try:
            if home is None:
                raise NotFound(path)
            place = workspace.jail.locate(f"{home}/{path}")
            return read_text(workspace.jail, str(place.path)).data.decode("utf-8", "replace")
        except NotFound:
            raise ResourceNotFoundError(f"not found: {root}/{path}"[:300]) from None

    server.resource(
        URI,
        name="file",
        title="Source file",
        description="The text of a file, as it is now.",
        mime_type="text/plain",
        # The jail refuses what leads outside, and a refusal must look like a missing file.
        security=ResourceSecurity(reject_path_traversal=False, reject_absolute_paths=False, reject_null_bytes=False),
    )(file)
    for name in workspace.jail.names:
        overview = partial(_overview, workspace, name)
        server.resource(
            f"code://{name}",
            name=name,
            title=f"Overview of {name}",
            description="Languages, sizes and top-level entries.",
            mime_type="text/markdown",
        )(_named(overview, name))

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]  # the SDK leaves it untyped
    async def complete(
        ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: CompletionContext | None
    ) -> Completion | None:
        values: list[str] = []
        if isinstance(ref, ResourceTemplateReference) and argument.name == "root":
            values = [name for name in workspace.jail.names if name.startswith(argument.value)]
        elif isinstance(ref, ResourceTemplateReference) and argument.name == "path":
            known = (context.arguments or {}).get("root") if context is not None else None
            for root in [known] if known else workspace.jail.names:
                values += await anyio.to_thread.run_sync(workspace.paths, root, argument.value)
        elif isinstance(ref, PromptReference) and argument.name in ("name", "symbol"):
            values = await anyio.to_thread.run_sync(workspace.names, argument.value)
        elif isinstance(ref, PromptReference) and argument.name == "ref":
            for index in workspace.indexes.values():
                values += await history.revisions(index.root, argument.value)
        return Completion(values=values[:100], total=len(values), has_more=len(values) > 100)


def _named(function: Callable[[], str], name: str) -> Callable[[], str]:
    def overview() -> str:
        return function()

    overview.__name__ = f"overview_{name}"
    return overview


def _overview(workspace: Workspace, root: str) -> str:
    index = workspace.indexes[root]
    files = index.files()
    languages: dict[str, list[int]] = {}
    skipped: dict[str, int] = {}
    for file in files:
        counted = languages.setdefault(file.language, [0, 0])
        counted[0] += 1
        counted[1] += file.lines
        if file.skipped:
            skipped[file.skipped] = skipped.get(file.skipped, 0) + 1
    rows = [
        f"| {name} | {count:,} | {lines:,} |"
        for name, (count, lines) in sorted(languages.items(), key=lambda item: -item[1][1])
    ]
    listing = workspace.outline(str(index.root))
    parts = [
        f"# {root}",
        "| language | files | lines |",
        "|---|---|---|",
        *rows,
        "",
        *(f"- {item.signature}" for item in listing.symbols[:60]),
    ]
    if skipped:
        parts += ["", "Not indexed: " + ", ".join(f"{count} {why}" for why, count in sorted(skipped.items()))]
    if (note := workspace.progress_note()) is not None:
        parts += ["", note]
    return "\n".join(parts)


def _add_prompts(server: MCPServer[Workspace], workspace: Workspace) -> None:
    @server.prompt(title="Explain a symbol", description="Explain what a function or class does, from its code and its uses.")
    async def explain_symbol(name: str) -> str:
        found = await _in_thread(partial(workspace.find_symbol, name))
        used = await _guard(workspace.find_references(name))
        return (
            f"Explain `{name}`: what it does, what it takes and gives back, and how it is used. Cite lines as path:line.\n\n"
            f"## Definition\n{hits_text(found, nothing='not found', budget=6_000)}\n\n"
            f"## Uses\n{hits_text(used, nothing='none', budget=4_000)}"
        )

    @server.prompt(title="Review a diff", description="Review what changed since a commit, tag or date.")
    async def review_diff(ref: str) -> str:
        changes = await _guard(workspace.changed_since(ref))
        return (
            f"Review the changes since {ref}: bugs first, then what is unclear, then style. Cite lines as path:line; say so "
            f"if you find nothing.\n\n"
            f"{hits_text(changes, nothing='nothing changed', budget=20_000)}"
        )

    @server.prompt(title="Trace a call", description="Follow who calls a function, and what it calls.")
    async def trace_call(name: str) -> str:
        found = await _in_thread(partial(workspace.find_symbol, name))
        used = await _guard(workspace.find_references(name))
        callers = used.model_copy(update={"hits": [hit for hit in used.hits if hit.kind == "call"]})
        return (
            f"Trace the calls around `{name}`: who calls it, in what order things happen, and what it calls in turn. Use "
            f"find_references and read to go on from here. Cite lines as path:line.\n\n"
            f"## Definition\n{hits_text(found, nothing='not found', budget=6_000)}\n\n"
            f"## Callers\n{hits_text(callers, nothing='none found', budget=6_000)}"
        )


def log_to_stderr() -> None:
    """Nothing but JSON-RPC may reach stdout."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="portico-code: %(message)s")
