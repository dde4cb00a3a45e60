"""code:// resources and their completion: every file's text, and an overview of each root."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import quote

import anyio.to_thread
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp.server.mcpserver.resources.templates import ResourceSecurity
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from portico_servers.code.external import git
from portico_servers.code.syntax.source_text import read_text
from portico_servers.code.tools.read import outline
from portico_servers.code.workspace import Workspace
from portico_servers.common.path_jail import NotFound

TEMPLATE = "code://{root}/{+path}"
_MAX_VALUES = 100  # the protocol's bound on a completion
_LISTED = 60
# The jail refuses what leads outside, and there a refusal looks like a missing file; the SDK's own check would tell them apart.
_JAILED = ResourceSecurity(reject_path_traversal=False, reject_absolute_paths=False, reject_null_bytes=False)


def uri_of(root: str, path: str) -> str:
    return f"code://{quote(root)}/{quote(path)}"


def add_resources(server: MCPServer[Workspace], workspace: Workspace) -> None:
    @server.resource(
        TEMPLATE,
        name="file",
        title="Source file",
        description="The text of a file, as it is now.",
        mime_type="text/plain",
        security=_JAILED,
    )
    def file(root: str, path: str) -> str:
        home = workspace.jail.names.get(root)
        try:
            if home is None:
                raise NotFound(path)
            return read_text(workspace.jail, f"{home}/{path}").data.decode("utf-8", "replace")
        except NotFound:
            raise ResourceNotFoundError(str(NotFound(f"{root}/{path}"))) from None

    for name in workspace.jail.names:
        server.resource(
            f"code://{quote(name)}",
            name=name,
            title=f"Overview of {name}",
            description="Languages, sizes and top-level entries.",
            mime_type="text/markdown",
        )(_named(partial(overview, workspace, name), name))


def add_completion(server: MCPServer[Workspace], workspace: Workspace) -> None:
    """Roots and paths of the template; names and revisions of the prompts."""

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]  # the SDK leaves it untyped
    async def complete(
        ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: CompletionContext | None
    ) -> Completion:
        values: list[str] = []
        await workspace.wait_opened()
        if isinstance(ref, ResourceTemplateReference) and argument.name == "root":
            values = [name for name in workspace.jail.names if name.startswith(argument.value)]
        elif isinstance(ref, ResourceTemplateReference) and argument.name == "path":
            known = (context.arguments or {}).get("root") if context is not None else None
            for root in [known] if known else workspace.jail.names:
                values += await anyio.to_thread.run_sync(workspace.file_paths, root, argument.value)
        elif isinstance(ref, PromptReference) and argument.name == "name":
            values = await anyio.to_thread.run_sync(workspace.symbol_names, argument.value)
        elif isinstance(ref, PromptReference) and argument.name == "ref":
            for index in workspace.indexes.values():
                values += await git.revisions(index.root, argument.value, served=workspace.jail.roots)
        return Completion(values=values[:_MAX_VALUES], total=len(values), has_more=len(values) > _MAX_VALUES)


def overview(workspace: Workspace, root: str) -> str:
    """One root at a glance, as Markdown: what it's written in, what lies at its top, what is not indexed and why."""
    index = workspace.indexes[root]
    languages: dict[str, list[int]] = {}
    skipped: dict[str, int] = {}
    for file in index.files():
        counted = languages.setdefault(file.language, [0, 0])
        counted[0] += 1
        counted[1] += file.lines
        if file.skipped:
            skipped[file.skipped] = skipped.get(file.skipped, 0) + 1
    by_lines = sorted(languages.items(), key=lambda item: -item[1][1])
    rows = [f"| {name} | {count:,} | {lines:,} |" for name, (count, lines) in by_lines]
    entries = [f"- {item.signature}" for item in outline(workspace, str(index.root)).symbols[:_LISTED]]
    parts = [f"# {root}", "", "| language | files | lines |", "|---|---|---|", *rows, "", *entries]
    if skipped:
        parts += ["", "Not indexed: " + ", ".join(f"{count:,} {why}" for why, count in sorted(skipped.items()))]
    note = workspace.progress_note()
    return "\n".join([*parts, "", note] if note else parts)


def _named(function: Callable[[], str], name: str) -> Callable[[], str]:
    """The SDK names a resource after its function, and a partial has no name."""

    def read() -> str:
        return function()

    read.__name__ = f"overview_{name}"
    return read
