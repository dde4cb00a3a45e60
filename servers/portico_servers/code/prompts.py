"""The prompts: a question that a person picks from a menu, with what is needed to answer it already looked up."""

from __future__ import annotations

from functools import partial

from mcp.server.mcpserver import MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from portico_servers.code.tools.changed_since import changed_since
from portico_servers.code.tools.find_references import find_references
from portico_servers.code.tools.read import read
from portico_servers.code.tools.registration import CALLER_ERRORS, in_thread
from portico_servers.code.tools.results import Hits, hits_text, passage_text
from portico_servers.code.tools.search import find_symbol
from portico_servers.code.workspace import Workspace
from portico_servers.common.path_jail import NotFound

_SHORT = 4_000  # characters
_LONG = 6_000
_DIFF = 20_000
_DIFF_LINES = 60


def add_prompts(server: MCPServer[Workspace], workspace: Workspace) -> None:
    @server.prompt(title="Explain a symbol", description="Explain what a function or class does, from its code and its uses.")
    async def explain_symbol(name: str) -> str:
        found, used = await _around(workspace, name)
        return (
            f"Explain `{name}`: what it does, what it takes and gives back, and how it is used. Cite lines as path:line.\n\n"
            f"## Definition\n{found}\n\n"
            f"## Uses\n{hits_text(used, nothing='none', budget=_SHORT)}"
        )

    @server.prompt(title="Review a diff", description="Review what changed since a commit, tag or date.")
    async def review_diff(ref: str) -> str:
        try:
            changes = await changed_since(workspace, ref)
        except CALLER_ERRORS as error:
            raise MCPError(code=INVALID_PARAMS, message=str(error)) from None
        return (
            f"Review the changes since {ref}: bugs first, then what is unclear, then style. Cite lines as path:line; say so if "
            f"you find nothing.\n\n{hits_text(changes, nothing='nothing changed', budget=_DIFF, snippet=_DIFF_LINES)}"
        )

    @server.prompt(title="Trace a call", description="Follow who calls a function, and what it calls.")
    async def trace_call(name: str) -> str:
        found, used = await _around(workspace, name)
        callers = used.model_copy(update={"hits": [hit for hit in used.hits if hit.kind == "call"]})
        return (
            f"Trace the calls around `{name}`: who calls it, in what order things happen, and what it calls in turn. Use "
            f"find_references and read to go on from here. Cite lines as path:line.\n\n"
            f"## Definition\n{found}\n\n"
            f"## Callers\n{hits_text(callers, nothing='none found', budget=_LONG)}"
        )


async def _around(workspace: Workspace, name: str) -> tuple[str, Hits]:
    """The definition as text (whole, if there is one alone or it's the likeliest), and the first uses."""
    try:
        found = await in_thread(partial(find_symbol, workspace, name))
        used = await find_references(workspace, name)
        if not found.hits:
            return hits_text(found, nothing="not found"), used
        best = found.hits[0]
        where = str(workspace.jail.names[best.root] / best.path)
        whole = await in_thread(partial(read, workspace, where, best.start_line, best.end_line))
    except NotFound:  # it went away after it was indexed
        raise MCPError(code=INVALID_PARAMS, message=str(NotFound(best.path))) from None
    except CALLER_ERRORS as error:
        raise MCPError(code=INVALID_PARAMS, message=str(error)) from None
    others = found.model_copy(update={"hits": found.hits[1:]})
    also = f"\n\nAlso:\n{hits_text(others, nothing='', budget=_SHORT)}" if others.hits else ""
    return f"{passage_text(whole)}{also}", used
