"""The tools of a response: as the body has them, as the model calls them, and as items name them again.

A tool of a namespace is called by both names in one; which two they were is told with every call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag

from portico_engine import TextInput, Tool
from portico_gateway.http.generation.request import custom_tool, function_tool
from portico_gateway.http.generation.text_calls import called_text
from portico_gateway.http.openai_shared.body import CustomGrammar, CustomTextFormat, tool_kind
from portico_gateway.http.server_tools.wanted import McpToolBody
from portico_gateway.http.wire import Json, LenientBody, ToolName, Tools, UnknownTool


class ResponsesFunctionTool(LenientBody):
    type: Literal["function"]
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    def tool(self, name: str) -> Tool:
        return function_tool(name, self.description, self.parameters)


class ResponsesCustomGrammar(CustomGrammar):
    type: Literal["grammar"]


class ResponsesCustomTool(LenientBody):
    type: Literal["custom"]
    name: ToolName
    description: str | None = None
    format: Annotated[ResponsesCustomGrammar | CustomTextFormat, Field(discriminator="type")] | None = None

    def tool(self, name: str) -> Tool:
        return custom_tool(name, self.description, TextInput() if self.format is None else self.format.text_input())


def _inner_kind(tool: Any) -> str | None:
    kind = tool_kind(tool)
    return "other" if kind in ("namespace", "mcp") else kind


_InnerTool = Annotated[
    Annotated[ResponsesFunctionTool, Tag("function")]
    | Annotated[ResponsesCustomTool, Tag("custom")]
    | Annotated[UnknownTool, Tag("other")],
    Discriminator(_inner_kind),
]


class NamespaceTool(LenientBody):
    """Tools that a client groups, an MCP server's for example."""

    type: Literal["namespace"]
    name: ToolName
    description: str | None = None
    tools: Tools[_InnerTool]


ResponsesTool = Annotated[
    Annotated[ResponsesFunctionTool, Tag("function")]
    | Annotated[ResponsesCustomTool, Tag("custom")]
    | Annotated[NamespaceTool, Tag("namespace")]
    | Annotated[McpToolBody, Tag("mcp")]
    | Annotated[UnknownTool, Tag("other")],
    Discriminator(tool_kind),
]
AnyTool: TypeAlias = ResponsesFunctionTool | ResponsesCustomTool | NamespaceTool | McpToolBody | UnknownTool


def called_name(name: str, namespace: str | None) -> str:
    """What the model calls a tool of a namespace."""
    if not namespace:
        return name
    return f"{namespace}{name}" if namespace.endswith("_") or name.startswith("_") else f"{namespace}__{name}"


@dataclass(frozen=True, slots=True)
class CalledTool:
    """A tool under the name that the model calls it by."""

    tool: Tool
    name: str
    namespace: str | None

    def call_item(self, arguments: str) -> Json:
        """A call's item but for its ids: whole, or with its arguments to come."""
        if self.tool.text_input is None:
            return function_call_item(self.name, self.namespace, arguments)
        text = called_text(arguments) if arguments else ""
        return {"type": "custom_tool_call", **_names(self.name, self.namespace), "input": text}


def function_call_item(name: str, namespace: str | None, arguments: str) -> Json:
    return {"type": "function_call", **_names(name, namespace), "arguments": arguments}


def _names(name: str, namespace: str | None) -> Json:
    return {"name": name, "namespace": namespace} if namespace else {"name": name}


def every_tool(tools: Sequence[AnyTool]) -> Iterator[CalledTool]:
    """Those that the model may be shown, in the order of the body."""
    for each in tools:
        match each:
            case NamespaceTool(name=namespace, tools=inner):
                for tool in inner:
                    if not isinstance(tool, UnknownTool):
                        yield CalledTool(tool.tool(called_name(tool.name, namespace)), tool.name, namespace)
            case ResponsesFunctionTool() | ResponsesCustomTool():
                yield CalledTool(each.tool(each.name), each.name, None)


def unknown_tools(tools: Sequence[AnyTool]) -> Iterator[UnknownTool]:
    """Those that are left out."""
    for each in tools:
        match each:
            case NamespaceTool(tools=inner):
                yield from (tool for tool in inner if isinstance(tool, UnknownTool))
            case UnknownTool():
                yield each


def tool_object(tool: AnyTool) -> Json:
    """A tool as the response repeats it."""
    if isinstance(tool, McpToolBody):
        return tool.shown()
    if isinstance(tool, ResponsesFunctionTool):
        return {"strict": None, **tool.model_dump()}
    return tool.model_dump(exclude_none=True)
