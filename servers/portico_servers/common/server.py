"""What all servers of ours answer alike when their caller is wrong: in plain words, and with the protocol's own code.

Of itself the SDK's `MCPServer` quotes its validation library for bad arguments, puts a prefix before a tool's error, and calls
a prompt that isn't there an internal error. It knows nothing of what a server does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.lowlevel.server import LifespanResultT
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult, GetPromptResult, InputRequiredResult, Tool
from pydantic import AnyUrl, ValidationError

from portico_servers.common.panics import panics_end_requests
from portico_servers.common.question_readers import QuestionReader, QuestionReaders
from portico_servers.common.refused_requests import with_reasons
from portico_servers.common.spans import make_spans_where_wanted
from portico_servers.common.tools import tool_error
from portico_servers.common.unicode_text import plain_text, plain_value
from portico_servers.common.validation import first_error, validator

_SHOWN = 300  # characters of a message; it may quote what the caller sent


class PorticoServer(MCPServer[LifespanResultT]):
    """MCPServer whose refusals name what is wrong, and whose tools may read questions for the gateway that started it."""

    def __init__(self, name: str, *, question_readers: Mapping[str, QuestionReader] | None = None, **options: Any) -> None:
        """As MCPServer; `question_readers` by the name of their tool."""
        super().__init__(name, **options)
        self.middleware.extend([panics_end_requests, with_reasons])
        make_spans_where_wanted(self.middleware)
        self._question_readers = QuestionReaders(name, question_readers or {})

    async def list_tools(self) -> list[Tool]:
        """All tools; those that read questions say where, if a gateway started this server."""
        return self._question_readers.named_in(await self.current_tools())

    async def current_tools(self) -> list[Tool]:
        """The registered tools; a server whose tools are not registered one by one overrides it."""
        return await super().list_tools()

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[LifespanResultT, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """A resource; or how a question is read, which only the gateway that started this server asks."""
        reading = await self._question_readers.read(str(uri))
        return reading if reading is not None else await super().read_resource(uri, context)

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[LifespanResultT, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Run a tool. Bad arguments, and what the tool raises as ToolError, are `is_error` results; a crash is raised."""
        name, arguments = plain_text(name), plain_value(arguments)
        try:
            return await self.run_tool(name, arguments, context)
        except UnexpectedToolError:
            raise
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, ValidationError):
                schema = next(tool.input_schema for tool in await self.list_tools() if tool.name == name)
                text = argument_problem(schema, arguments) or _first(cause)
            else:
                text = str(cause or error)
            return tool_error(text)

    async def run_tool(
        self, name: str, arguments: dict[str, Any], context: Context[LifespanResultT, Any] | None
    ) -> CallToolResult | InputRequiredResult:
        """Run a registered tool; a server whose tools are not registered one by one overrides it."""
        return await super().call_tool(name, arguments, context)

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[LifespanResultT, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        """Render a prompt. MCPError (invalid params) for a name or arguments that don't fit what prompts/list says."""
        name, arguments = plain_text(name), plain_value(arguments)
        prompts = {prompt.name: prompt for prompt in await self.list_prompts()}
        if name not in prompts:
            raise MCPError(INVALID_PARAMS, f"no prompt is named {_cut(repr(name))}; there are: {', '.join(prompts)}")
        known = {argument.name: bool(argument.required) for argument in prompts[name].arguments or ()}
        given = arguments or {}
        missing = [argument for argument, required in known.items() if required and argument not in given]
        if missing:
            raise MCPError(INVALID_PARAMS, f"prompt {name}: {missing[0]!r} is a required argument")
        for argument in given:
            if argument not in known:
                raise MCPError(
                    INVALID_PARAMS, f"prompt {name} has no argument {_cut(repr(argument))}; it has: {', '.join(known)}"
                )
        return await super().get_prompt(name, arguments, context)


def argument_problem(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str | None:
    """What is wrong with these arguments, as `path: what`; None where they fit the schema."""
    error = first_error(validator(schema), arguments)
    if error is None:
        return None
    where = "/".join(str(part) for part in error.absolute_path)
    bound = error.validator_value
    if error.validator == "minLength":
        said = f"needs at least {bound} character{'s' if bound != 1 else ''}"
    elif error.validator == "maxLength":
        said = f"may have at most {bound} characters"
    else:
        said = _cut(error.message)
    return f"{where}: {said}" if where else said


def _first(error: ValidationError) -> str:
    """The first thing that pydantic minds, without its types and addresses."""
    first = error.errors(include_url=False)[0]
    return _cut(f"{'/'.join(str(part) for part in first['loc'])}: {first['msg']}")


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
