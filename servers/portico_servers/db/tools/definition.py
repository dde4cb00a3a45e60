"""What a tool is here: one definition for built-in tools, canned queries and `write` alike. It knows none of them.

A definition's `handler` answers calls. `in_worker_thread` makes one of a function that runs statements: it checks arguments,
runs the function where blocking does no harm, and ends its statement when the call is cancelled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, InputRequiredResult, Tool, ToolAnnotations

from portico_servers.common.tools import READ_ONLY, tool_error, tool_result
from portico_servers.common.validation import first_error, validator
from portico_servers.db.databases.databases import Databases
from portico_servers.db.databases.schema_snapshot import SchemaSnapshot
from portico_servers.db.errors import ArgumentError, DbError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.statements.cancellation import Cancellation
from portico_servers.db.suggestions import did_you_mean
from portico_servers.db.tools.json_schemas import JSON

Arguments: TypeAlias = Mapping[str, Any]
InputSchema: TypeAlias = Callable[[SchemaSnapshot, Sequence[str]], JSON]


@dataclass(frozen=True, slots=True)
class ToolInvocation:
    """One tools/call as a handler gets it. By `context` it may ask the host's user."""

    databases: Databases
    arguments: dict[str, Any]
    limits: StatementLimits
    context: Context[Any, Any]


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """Structured content, and the short text beside it."""

    structured: dict[str, Any]
    text: str


ToolHandler: TypeAlias = Callable[[ToolInvocation], Awaitable[CallToolResult | InputRequiredResult]]
BlockingAnswer: TypeAlias = Callable[[Databases, Arguments, StatementLimits, Cancellation], ToolAnswer]


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """One tool. `input_schema` is made anew from each snapshot of the schemas and the connections' names."""

    name: str
    title: str
    description: Callable[[SchemaSnapshot], str]
    input_schema: InputSchema
    output_schema: JSON
    handler: ToolHandler
    annotations: ToolAnnotations = field(default_factory=lambda: READ_ONLY)

    def tool(self, snapshot: SchemaSnapshot, connections: Sequence[str]) -> Tool:
        """As tools/list shows it."""
        return Tool(
            name=self.name,
            title=self.title,
            description=self.description(snapshot),
            input_schema=self.input_schema(snapshot, connections),
            output_schema=self.output_schema,
            annotations=self.annotations,
        )


def constant(text: str) -> Callable[[SchemaSnapshot], str]:
    """A description that is the same whatever the databases."""
    return lambda snapshot: text


def in_worker_thread(answer: BlockingAnswer, input_schema: InputSchema | None = None) -> ToolHandler:
    """A handler that runs `answer` in a worker thread, its arguments checked against `input_schema` before (None: it checks
    them itself). What goes wrong is told in an `is_error` result; cancelling the call ends its statement."""

    async def handler(invocation: ToolInvocation) -> CallToolResult:
        databases, arguments, cancellation = invocation.databases, invocation.arguments, Cancellation()

        def work() -> ToolAnswer:
            snapshot = databases.snapshot()
            if input_schema is not None:
                _check(input_schema(snapshot, list(databases.by_name)), arguments)
            return answer(databases, arguments, invocation.limits, cancellation)

        try:
            found = await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except DbError as exc:
            return tool_error(str(exc))
        except anyio.get_cancelled_exc_class():
            cancellation.cancel()
            raise
        return tool_result(found.text, found.structured)

    return handler


def _check(schema: JSON, arguments: Arguments) -> None:
    if (error := first_error(validator(schema), arguments)) is not None:
        where = "/".join(str(part) for part in error.absolute_path)
        options = error.validator_value if error.validator == "enum" else ()
        raise ArgumentError(
            f"{where + ': ' if where else ''}{error.message}{did_you_mean(str(error.instance), map(str, options))}"
        )
