"""The body of POST /v1/messages, as Anthropic's reference defines it, and what it means in the gateway's own form.

It owns what a valid body is; an unknown or impossible field is an error that names it. It knows nothing of the engine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from portico_gateway.http.openai_chat.body import (
    Body,
    ChatRequest,
    Function,
    FunctionCall,
    JsonSchema,
    JsonSchemaFormat,
    Lenient,
    Message,
    NamedFunction,
    NamedToolChoice,
    ToolCall,
    ToolSpec,
)

_CHOICES: dict[str, Literal["auto", "required", "none"]] = {"auto": "auto", "any": "required", "none": "none"}


class Text(Lenient):
    type: Literal["text"]
    text: str


class ToolUse(Lenient):
    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]


class ToolResult(Lenient):
    type: Literal["tool_result"]
    tool_use_id: str
    content: str | list[Text] | None = None
    is_error: bool | None = None

    @property
    def text(self) -> str:
        said = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content or [])
        return f"Error: {said}" if self.is_error else said


class Thought(Lenient):
    """What a model thought in an earlier turn; it is not shown again."""

    type: Literal["thinking", "redacted_thinking"]


Block = Annotated[Text | ToolUse | ToolResult | Thought, Field(discriminator="type")]


class Turn(Lenient):
    role: Literal["user", "assistant"]
    content: str | list[Block]

    def messages(self) -> Iterator[Message]:
        """As the gateway's turns: results of tools are turns of their own, and the calls of a turn belong to its text."""
        blocks = [Text(type="text", text=self.content)] if isinstance(self.content, str) else self.content
        text = "".join(block.text for block in blocks if isinstance(block, Text))
        for block in blocks:
            if isinstance(block, ToolResult):
                yield Message(role="tool", tool_call_id=block.tool_use_id, content=block.text)
        calls = [
            ToolCall(id=block.id, function=FunctionCall(name=block.name, arguments=_compact(block.input)))
            for block in blocks
            if isinstance(block, ToolUse)
        ]
        if text or calls or not any(isinstance(block, ToolResult) for block in blocks):
            yield Message(role=self.role, content=text or (None if calls else ""), tool_calls=calls or None)

    @model_validator(mode="after")
    def _whose(self) -> Turn:
        wrong = ToolResult if self.role == "assistant" else ToolUse
        for index, block in enumerate(self.content if isinstance(self.content, list) else []):
            if isinstance(block, wrong):
                raise ValueError(f"block {index} is a {block.type}, which a turn of the {self.role} can't have")
        return self


class CustomTool(Lenient):
    type: Literal["custom"] | None = None
    name: str = Field(min_length=1, max_length=128)
    description: str = ""
    input_schema: dict[str, Any]


class ToolChoice(Body):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool = False

    @model_validator(mode="after")
    def _named(self) -> ToolChoice:
        if (self.type == "tool") != (self.name is not None):
            raise ValueError("a name belongs to the type 'tool', and to no other")
        return self

    def chosen(self) -> Literal["auto", "required", "none"] | NamedToolChoice:
        if self.name is not None:
            return NamedToolChoice(type="function", function=NamedFunction(name=self.name))
        return _CHOICES[self.type]


class JsonFormat(Body):
    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class OutputConfig(Body):
    format: JsonFormat | None = None
    effort: str | None = None


class Thinking(Body):
    type: Literal["disabled"]


class CountRequest(Body):
    """What is counted: everything that makes the prompt."""

    model: str
    messages: list[Turn] = Field(min_length=1)
    system: str | list[Text] | None = None
    tools: list[CustomTool] | None = None
    tool_choice: ToolChoice | None = None
    output_config: OutputConfig | None = None
    thinking: Thinking | None = None
    cache_control: dict[str, Any] | None = None  # the prefix is cached anyway

    @model_validator(mode="after")
    def _asks(self) -> CountRequest:
        if self.messages[-1].role != "user":
            raise ValueError("the last message is the assistant's: answers can't be prefilled; end with a message of the user")
        return self

    def chat(self, **settings: Any) -> ChatRequest:
        """In the gateway's own form. Raises ValidationError where the parts don't fit together."""
        choice = self.tool_choice
        wanted = self.output_config.format if self.output_config is not None else None
        return ChatRequest(
            model=self.model,
            messages=[*self._system(), *(message for turn in self.messages for message in turn.messages())],
            tools=[_tool(tool) for tool in self.tools] if self.tools else None,
            tool_choice=None if choice is None else choice.chosen(),
            parallel_tool_calls=False if choice is not None and choice.disable_parallel_tool_use else None,
            response_format=None
            if wanted is None
            else JsonSchemaFormat(type="json_schema", json_schema=JsonSchema(schema=wanted.schema_)),
            **settings,
        )

    def _system(self) -> Sequence[Message]:
        if self.system is None:
            return []
        text = self.system if isinstance(self.system, str) else "\n\n".join(part.text for part in self.system)
        return [Message(role="system", content=text)]


class MessagesRequest(CountRequest):
    """A message to make."""

    max_tokens: int = Field(ge=1)
    temperature: float | None = Field(default=None, ge=0, le=1)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0)
    stop_sequences: list[str] | None = None
    stream: bool = False
    # accepted, without effect on one machine with one model
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None

    def chat(self, **settings: Any) -> ChatRequest:
        return super().chat(
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            stop=self.stop_sequences or None,
            stream=self.stream,
            **settings,
        )


def _tool(tool: CustomTool) -> ToolSpec:
    function = Function(name=tool.name, description=tool.description, parameters=tool.input_schema)
    return ToolSpec(type="function", function=function)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
