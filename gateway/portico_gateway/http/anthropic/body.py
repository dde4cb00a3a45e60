"""The body of POST /v1/messages, as Anthropic's reference defines it, and what it asks for as a GenerationRequest.

It owns what a valid body is; an unknown or impossible field is an error that names it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from portico_engine import Tool
from portico_engine.grammar import NamedTool, ToolChoice
from portico_gateway.http.generation.request import (
    FieldNames,
    GenerationRequest,
    JsonFormat,
    SamplingOptions,
    ToolCall,
    Turn,
    function_tool,
)
from portico_gateway.http.wire import (
    AdapterName,
    LenientBody,
    MaxTokens,
    StopStrings,
    StrictBody,
    Temperature,
    ToolName,
    Tools,
    TopK,
    TopP,
)

_FIELDS = FieldNames(messages="messages", max_tokens="max_tokens", response_format="output_config.format", required="any")
_CHOICES: dict[str, Literal["auto", "required", "none"]] = {"auto": "auto", "any": "required", "none": "none"}


class TextBlock(LenientBody):
    type: Literal["text"]
    text: str


class ToolUseBlock(LenientBody):
    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]


class ToolResultBlock(LenientBody):
    type: Literal["tool_result"]
    tool_use_id: str
    content: str | list[TextBlock] | None = None
    is_error: bool | None = None

    @property
    def text(self) -> str:
        said = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content or [])
        return f"Error: {said}" if self.is_error else said


class ThinkingBlock(LenientBody):
    """What a model thought in an earlier turn; it is not shown again."""

    type: Literal["thinking", "redacted_thinking"]


AnthropicBlock = Annotated[TextBlock | ToolUseBlock | ToolResultBlock | ThinkingBlock, Field(discriminator="type")]


class AnthropicMessage(LenientBody):
    role: Literal["user", "assistant"]
    content: str | list[AnthropicBlock]

    def turns(self) -> Iterator[Turn]:
        """As turns of a generation: results of tools are turns of their own, and the calls of a turn belong to its text."""
        blocks = [TextBlock(type="text", text=self.content)] if isinstance(self.content, str) else self.content
        text = "".join(block.text for block in blocks if isinstance(block, TextBlock))
        for block in blocks:
            if isinstance(block, ToolResultBlock):
                yield Turn("tool", block.text, tool_call_id=block.tool_use_id)
        uses = (block for block in blocks if isinstance(block, ToolUseBlock))
        calls = tuple(ToolCall(use.id, use.name, _compact(use.input)) for use in uses)
        if text or calls or not any(isinstance(block, ToolResultBlock) for block in blocks):
            yield Turn(self.role, text, tool_calls=calls)

    @model_validator(mode="after")
    def _whose(self) -> AnthropicMessage:
        wrong = ToolResultBlock if self.role == "assistant" else ToolUseBlock
        for index, block in enumerate(self.content if isinstance(self.content, list) else []):
            if isinstance(block, wrong):
                raise ValueError(f"block {index} is a {block.type}, which a turn of the {self.role} can't have")
        return self


class AnthropicTool(LenientBody):
    type: Literal["custom"] | None = None
    name: ToolName
    description: str = ""
    input_schema: dict[str, Any]

    def tool(self) -> Tool:
        return function_tool(self.name, self.description, self.input_schema)


class AnthropicToolChoice(StrictBody):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool = False

    @model_validator(mode="after")
    def _named(self) -> AnthropicToolChoice:
        if (self.type == "tool") != (self.name is not None):
            raise ValueError("a name belongs to the type 'tool', and to no other")
        return self

    def chosen(self) -> ToolChoice:
        return _CHOICES[self.type] if self.name is None else NamedTool(self.name)


class AnthropicJsonFormat(StrictBody):
    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class OutputConfig(StrictBody):
    format: AnthropicJsonFormat | None = None
    effort: str | None = None


class ThinkingConfig(StrictBody):
    type: Literal["disabled"]


class CountTokensRequest(StrictBody):
    """What is counted: everything that makes the prompt."""

    model: str
    adapter: AdapterName | None = None
    messages: list[AnthropicMessage] = Field(min_length=1)
    system: str | list[TextBlock] | None = None
    tools: Tools[AnthropicTool] | None = None
    tool_choice: AnthropicToolChoice | None = None
    output_config: OutputConfig | None = None
    thinking: ThinkingConfig | None = None
    cache_control: dict[str, Any] | None = None  # the prefix is cached anyway

    @model_validator(mode="after")
    def _asks(self) -> CountTokensRequest:
        if self.messages[-1].role != "user":
            raise ValueError("the last message is the assistant's: answers can't be prefilled; end with a message of the user")
        return self

    def to_generation(self) -> GenerationRequest:
        """What is asked. Raises ApiError where the parts don't fit together."""
        choice = self.tool_choice
        wanted = self.output_config.format if self.output_config is not None else None
        return GenerationRequest(
            model=self.model,
            adapter=self.adapter,
            turns=(*self._system(), *(turn for message in self.messages for turn in message.turns())),
            fields=_FIELDS,
            tools=tuple(tool.tool() for tool in self.tools or []),
            tool_choice=None if choice is None else choice.chosen(),
            parallel_tool_calls=False if choice is not None and choice.disable_parallel_tool_use else None,
            response_format=None if wanted is None else JsonFormat(wanted.schema_),
        )

    def _system(self) -> Sequence[Turn]:
        if self.system is None:
            return []
        text = self.system if isinstance(self.system, str) else "\n\n".join(part.text for part in self.system)
        return [Turn("system", text)]


class MessagesRequest(CountTokensRequest):
    """A message to make."""

    max_tokens: MaxTokens
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    stop_sequences: StopStrings | None = None
    stream: bool = False
    # accepted, without effect on one machine with one model
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None

    def to_generation(self) -> GenerationRequest:
        return replace(
            super().to_generation(),
            sampling=SamplingOptions(temperature=self.temperature, top_p=self.top_p, top_k=self.top_k),
            max_tokens=self.max_tokens,
            stop=tuple(self.stop_sequences or ()),
        )


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
