"""The items of a response's input: what a conversation is made of, as clients send it back.

Each becomes turns. What a model thought before, and what other servers' tools left behind, is not shown again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from portico_gateway.http.generation.request import ToolCall, Turn
from portico_gateway.http.generation.text_calls import text_arguments
from portico_gateway.http.json_text import json_text
from portico_gateway.http.openai_responses.tools import ResponsesTool, called_name
from portico_gateway.http.openai_shared.body import OpenAIMessage
from portico_gateway.http.server_tools.wanted import EVERY_SERVER
from portico_gateway.http.wire import LenientBody, MediaPart, Tools
from portico_gateway.upstreams.names import namespaced

_LOCAL_SHELL = "local_shell"


class ResponsesMessage(OpenAIMessage):
    type: Literal["message"] = "message"


class FunctionCallItem(LenientBody):
    type: Literal["function_call"]
    call_id: str
    name: str
    namespace: str | None = None
    arguments: str

    def call(self) -> ToolCall:
        return ToolCall(self.call_id, called_name(self.name, self.namespace), self.arguments)


class CustomToolCallItem(LenientBody):
    type: Literal["custom_tool_call"]
    call_id: str
    name: str
    namespace: str | None = None
    input: str

    def call(self) -> ToolCall:
        return ToolCall(self.call_id, called_name(self.name, self.namespace), text_arguments(self.input))


class LocalShellCallItem(LenientBody):
    type: Literal["local_shell_call"]
    call_id: str | None = None
    id: str | None = None
    action: dict[str, Any]

    def call(self) -> ToolCall:
        return ToolCall(self.call_id or self.id or "", _LOCAL_SHELL, json_text(self.action))


class InputTextPart(LenientBody):
    type: Literal["input_text", "output_text", "text"]
    text: str


class InputMediaPart(MediaPart):
    type: Literal["input_image", "input_file"]


class CallOutputItem(LenientBody):
    """What a call came to."""

    type: Literal["function_call_output", "custom_tool_call_output"]
    call_id: str
    output: str | list[Annotated[InputTextPart | InputMediaPart, Field(discriminator="type")]]

    def turn(self) -> Turn:
        text = self.output if isinstance(self.output, str) else "".join(part.text for part in self.output)
        return Turn("tool", text, tool_call_id=self.call_id)

    @property
    def media(self) -> list[InputMediaPart]:
        """What of it the model can't read."""
        return [] if isinstance(self.output, str) else [part for part in self.output if isinstance(part, InputMediaPart)]


class LocalShellOutputItem(LenientBody):
    type: Literal["local_shell_call_output"]
    id: str | None = None
    call_id: str | None = None
    output: str

    def turn(self) -> Turn:
        return Turn("tool", self.output, tool_call_id=self.call_id or self.id)


class ReasoningItem(LenientBody):
    """What a model thought in an earlier turn; it is not shown again."""

    type: Literal["reasoning"]


class AdditionalToolsItem(LenientBody):
    """More tools, which a client tells of in the conversation; they stand behind the body's own."""

    type: Literal["additional_tools"]
    tools: Tools[ResponsesTool]


class McpCallItem(LenientBody):
    """A call that was made here in an earlier answer."""

    type: Literal["mcp_call"]
    id: str
    server_label: str
    name: str
    arguments: str = "{}"
    output: str | None = None
    error: Any = None

    def turns(self) -> tuple[Turn, Turn]:
        """The call, and what it came to."""
        name = self.name if self.server_label == EVERY_SERVER else namespaced(self.server_label, self.name)
        said = self.output if self.output is not None else f"The call failed: {json_text(self.error)}"
        call = ToolCall(self.id, name, self.arguments)
        return Turn("assistant", tool_calls=(call,)), Turn("tool", said, name, tool_call_id=self.id)


class McpApprovalResponse(LenientBody):
    """A person's word on a call that an earlier answer asked about."""

    type: Literal["mcp_approval_response"]
    approval_request_id: str
    approve: bool


class McpBookkeepingItem(LenientBody):
    """What an earlier answer told of servers and of what it asked; the model sees tools and results as they are now."""

    type: Literal["mcp_list_tools", "mcp_approval_request"]


class ForeignItem(LenientBody):
    """What is left of a tool that isn't run here, and says nothing that a model could read."""

    type: Literal[
        "web_search_call",
        "file_search_call",
        "image_generation_call",
        "code_interpreter_call",
        "computer_call",
        "tool_search_call",
        "tool_search_output",
        "ghost_snapshot",
        "compaction_trigger",
    ] = Field(description="left out, and named in the warnings")


_KINDS = {
    "custom_tool_call_output": "function_call_output",
    "mcp_list_tools": "mcp_bookkeeping",
    "mcp_approval_request": "mcp_bookkeeping",
    **dict.fromkeys(ForeignItem.model_fields["type"].annotation.__args__, "foreign"),  # type: ignore[union-attr]
}


def _kind(item: Any) -> str | None:
    """An item without a type is a message."""
    kind = item.get("type", "message") if isinstance(item, dict) else getattr(item, "type", None)
    return _KINDS.get(kind, kind) if isinstance(kind, str) else None


InputItem = Annotated[
    Annotated[ResponsesMessage, Tag("message")]
    | Annotated[FunctionCallItem, Tag("function_call")]
    | Annotated[CustomToolCallItem, Tag("custom_tool_call")]
    | Annotated[CallOutputItem, Tag("function_call_output")]
    | Annotated[LocalShellCallItem, Tag("local_shell_call")]
    | Annotated[LocalShellOutputItem, Tag("local_shell_call_output")]
    | Annotated[ReasoningItem, Tag("reasoning")]
    | Annotated[AdditionalToolsItem, Tag("additional_tools")]
    | Annotated[McpCallItem, Tag("mcp_call")]
    | Annotated[McpApprovalResponse, Tag("mcp_approval_response")]
    | Annotated[McpBookkeepingItem, Tag("mcp_bookkeeping")]
    | Annotated[ForeignItem, Tag("foreign")],
    Discriminator(_kind),
]


def turns_of(items: Sequence[Any]) -> list[Turn]:
    """The items as turns: calls in a row, and the text before them, are one turn of the assistant."""
    turns: list[Turn] = []
    for item in items:
        match item:
            case ResponsesMessage() | CallOutputItem() | LocalShellOutputItem():
                turns.append(item.turn())
            case FunctionCallItem() | CustomToolCallItem() | LocalShellCallItem():
                add_call(turns, item.call())
            case McpCallItem():
                turns += item.turns()
    return turns


def add_call(turns: list[Turn], call: ToolCall) -> None:
    """A call, as part of the assistant's turn that it belongs to."""
    if turns and turns[-1].role == "assistant":
        turns[-1] = replace(turns[-1], tool_calls=(*turns[-1].tool_calls, call))
    else:
        turns.append(Turn("assistant", tool_calls=(call,)))
