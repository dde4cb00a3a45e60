"""The six tools as MCP sees them: names, descriptions, parameters, and errors that a model can act on.

Parameters have plain types and empty defaults: short to show, and flat for a small model that decodes them under a grammar.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, ParamSpec, TypeVar

import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult
from pydantic import BaseModel

from portico_servers.code.errors import CodeError
from portico_servers.code.tools.changed_since import changed_since
from portico_servers.code.tools.find_references import find_references
from portico_servers.code.tools.read import outline, read
from portico_servers.code.tools.results import Hits, Outline, Passage, hits_text, outline_text, passage_text
from portico_servers.code.tools.search import find_symbol, search, search_regex
from portico_servers.code.workspace import Workspace
from portico_servers.common.cursors import BadCursor
from portico_servers.common.path_jail import NotFound
from portico_servers.common.tools import read_only_tool, tool_error, tool_result

T = TypeVar("T")
P = ParamSpec("P")
# The first sentence of a description says what the tool does; the rest are questions that it is for, in people's words.
_SEARCH = (
    "Search source code by words or a question; regex=true for a pattern. Where is it implemented? Which function or class "
    "does this? How does the code do it? Show me the implementation. Find the code that handles it. Which class does it "
    "inherit from? What arguments does the function take? What does the method return or raise? What is the value of the "
    "constant?"
)
_SYMBOL = "Find where a function, class or variable is defined. Where is the class defined? What does the method do?"
_REFERENCES = (
    "Find where a name is used or called. Who calls the function? Where is it used or raised? Which function calls it?"
)
_OUTLINE = (
    "List what a source file defines, or the files of a directory. What is in this file? Which functions does the file define?"
)

CALLER_ERRORS = (CodeError, NotFound, BadCursor)


def build_tools(workspace: Workspace) -> list[Tool]:
    """The tools over one workspace, in the order that hosts show them."""

    async def search_tool(
        query: str, ctx: Context[Workspace, Any], regex: bool = False, path: str = "", language: str = "", cursor: str = ""
    ) -> Annotated[CallToolResult, Hits]:
        await _report(ctx, workspace)
        await workspace.wait_indexed()
        if regex:
            result = await search_regex(workspace, query, path, language, cursor)
        else:
            result = await in_thread(partial(search, workspace, query, path, language, cursor))
        return _answer(result, hits_text(result, nothing=f"not found: {query[:100]}"))

    async def symbol_tool(name: str, kind: str = "", cursor: str = "") -> Annotated[CallToolResult, Hits]:
        await workspace.wait_indexed()
        result = await in_thread(partial(find_symbol, workspace, name, kind, cursor))
        return _answer(result, hits_text(result, nothing=f"not found: no definition of {name[:100]}"))

    async def references_tool(name: str, path: str = "", cursor: str = "") -> Annotated[CallToolResult, Hits]:
        await workspace.wait_indexed()
        result = await find_references(workspace, name, path, cursor)
        return _answer(result, hits_text(result, nothing=f"not found: no use of {name[:100]}"))

    async def outline_tool(path: str, cursor: str = "") -> Annotated[CallToolResult, Outline]:
        await workspace.wait_indexed()
        result = await in_thread(partial(outline, workspace, path, cursor))
        return _answer(result, outline_text(result))

    async def read_tool(path: str, start: int = 0, end: int = 0, symbol: str = "") -> Annotated[CallToolResult, Passage]:
        result = await in_thread(partial(read, workspace, path, start, end, symbol))
        return _answer(result, passage_text(result))

    async def changed_tool(ref: str, path: str = "", cursor: str = "") -> Annotated[CallToolResult, Hits]:
        result = await changed_since(workspace, ref, path, cursor)
        return _answer(result, hits_text(result, nothing="not found"))

    tool = functools.partial(_tool, workspace)
    return [
        tool(search_tool, "search", "Search code", _SEARCH),
        tool(symbol_tool, "find_symbol", "Find a definition", _SYMBOL),
        tool(references_tool, "find_references", "Find references", _REFERENCES),
        tool(outline_tool, "outline", "Outline a file", _OUTLINE),
        tool(read_tool, "read", "Read code", "Read lines, or one symbol, of a source file."),
        tool(changed_tool, "changed_since", "Changed since", "List source changes since a git commit, tag or date."),
    ]


async def in_thread(work: Callable[[], T]) -> T:
    """A look-up on a worker thread. A cancelled call leaves it behind: look-ups are bounded and change nothing."""
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)


def _tool(
    workspace: Workspace, function: Callable[..., Awaitable[CallToolResult]], name: str, title: str, description: str
) -> Tool:
    return read_only_tool(_guarded(workspace, function), name=name, title=title, description=description)


def _guarded(workspace: Workspace, function: Callable[P, Awaitable[CallToolResult]]) -> Callable[P, Awaitable[CallToolResult]]:
    """What the caller got wrong becomes an error result with exactly those words; the SDK would put its own before them."""

    @functools.wraps(function)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> CallToolResult:
        try:
            await workspace.wait_opened()
            return await function(*args, **kwargs)
        except CALLER_ERRORS as error:
            said = str(error)
        except sqlite3.Error as error:
            said = f"the index can't be read ({error}); start the server again, and it will be built anew if need be"
        return tool_error(said)

    return guarded


def _answer(result: BaseModel, text: str) -> CallToolResult:
    return tool_result(text, result.model_dump(mode="json"))


async def _report(ctx: Context[Workspace, Any], workspace: Workspace) -> None:
    """Tell a caller that asked for progress how far the index is."""
    note = workspace.progress_note()
    if note is not None:
        parts = [index.progress for index in workspace.indexes.values()]
        await ctx.report_progress(sum(part.done for part in parts), sum(part.total for part in parts) or None, note)
