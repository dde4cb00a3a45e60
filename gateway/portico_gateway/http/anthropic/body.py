"""The body of POST /v1/messages, as Anthropic's reference defines it, and what it asks for as a GenerationRequest.

It owns what a valid body is; a field that would change the answer and can't is an error that names it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from portico_engine import Tool
from portico_engine.grammar import NamedTool, ToolChoice
from portico_gateway.http.anthropic.deferred_tools import ToolReferenceBlock, holds_back
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
    ApiBody,
    LenientBody,
    MaxTokens,
    MediaPart,
    StopStrings,
    StrictBody,
    Temperature,
    ToolName,
    Tools,
    TopK,
    TopP,
    UnknownTool,
)

_FIELDS = FieldNames(messages="messages", max_tokens="max_tokens", response_format="output_config.format", required="any")
_LABEL = "x-anthropic-billing-header:"  # a block of Claude Code's system prompt, another one in each conversation
_CHOICES: dict[str, Literal["auto", "required", "none"]] = {"auto": "auto", "any": "required", "none": "none"}


class TextBlock(LenientBody):
    type: Literal["text"]
    text: str


class ToolUseBlock(LenientBody):
    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]


class MediaBlock(MediaPart):
    type: Literal["image", "document"]


ResultBlock = Annotated[TextBlock | ToolReferenceBlock | MediaBlock, Field(discriminator="type")]


class ToolResultBlock(LenientBody):
    type: Literal["tool_result"]
    tool_use_id: str
    content: str | list[ResultBlock] | None = None
    is_error: bool | None = None

    def text(self, deferred: Mapping[str, Tool]) -> str:
        """What the model reads; `deferred` are the tools that it may have found, by name."""
        said = "".join(part.told(deferred) if isinstance(part, ToolReferenceBlock) else part.text for part in self.parts)
        return f"Error: {said}" if self.is_error else said

    @property
    def parts(self) -> Sequence[TextBlock | ToolReferenceBlock | MediaBlock]:
        return [TextBlock(type="text", text=self.content)] if isinstance(self.content, str) else self.content or []


class ThinkingBlock(LenientBody):
    """What a model thought in an earlier turn; it is not shown again."""

    type: Literal["thinking", "redacted_thinking"]


AnthropicBlock = Annotated[TextBlock | ToolUseBlock | ToolResultBlock | ThinkingBlock, Field(discriminator="type")]


class AnthropicMessage(LenientBody):
    """A turn; the system's may come in the middle, as notes that a client's own program writes."""

    role: Literal["user", "assistant", "system"]
    content: str | list[AnthropicBlock]

    def turns(self, deferred: Mapping[str, Tool]) -> Iterator[Turn]:
        """As turns of a generation: results of tools are turns of their own, and the calls of a turn belong to its text.
        `deferred` are the tools that a result may have found, by name."""
        blocks = [TextBlock(type="text", text=self.content)] if isinstance(self.content, str) else self.content
        text = "".join(block.text for block in blocks if isinstance(block, TextBlock))
        for block in blocks:
            if isinstance(block, ToolResultBlock):
                yield Turn("tool", block.text(deferred), tool_call_id=block.tool_use_id)
        uses = (block for block in blocks if isinstance(block, ToolUseBlock))
        calls = tuple(ToolCall(use.id, use.name, _compact(use.input)) for use in uses)
        if text or calls or not any(isinstance(block, ToolResultBlock) for block in blocks):
            yield Turn(self.role, text, tool_calls=calls)

    def result_parts(self) -> Iterator[TextBlock | ToolReferenceBlock | MediaBlock]:
        """What the results of tools in this turn are made of."""
        for block in self.content if isinstance(self.content, list) else []:
            if isinstance(block, ToolResultBlock):
                yield from block.parts

    @model_validator(mode="after")
    def _whose(self) -> AnthropicMessage:
        wrong = {"assistant": (ToolResultBlock,), "user": (ToolUseBlock,)}.get(self.role, (ToolResultBlock, ToolUseBlock))
        for index, block in enumerate(self.content if isinstance(self.content, list) else []):
            if isinstance(block, wrong):
                raise ValueError(f"block {index} is a {block.type}, which a turn of the {self.role} can't have")
        return self


class AnthropicTool(LenientBody):
    type: Literal["custom", "function"] | None = None
    name: ToolName
    description: str = ""
    input_schema: dict[str, Any]
    defer_loading: bool = False

    def tool(self) -> Tool:
        return function_tool(self.name, self.description, self.input_schema)


def _tool_kind(tool: Any) -> str | None:
    """A tool without a type is the client's own; a type with a date is one of Anthropic's."""
    kind = tool.get("type") if isinstance(tool, dict) else getattr(tool, "type", None)
    return "own" if kind in (None, "custom", "function") else "other" if isinstance(kind, str) else None


AnyAnthropicTool = Annotated[
    Annotated[AnthropicTool, Tag("own")] | Annotated[UnknownTool, Tag("other")], Discriminator(_tool_kind)
]


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


class CountTokensRequest(ApiBody):
    """What is counted: everything that makes the prompt."""

    WITHOUT_EFFECT = frozenset(
        "betas cache_control container context_management inference_geo metadata service_tier speed thinking "
        "user_profile_id".split()
    )

    model: str
    adapter: AdapterName | None = None
    messages: list[AnthropicMessage] = Field(min_length=1)
    system: str | list[TextBlock] | None = None
    tools: Tools[AnyAnthropicTool] | None = None
    tool_choice: AnthropicToolChoice | None = None
    output_config: OutputConfig | None = None

    @model_validator(mode="after")
    def _asks(self) -> CountTokensRequest:
        if self.messages[-1].role == "assistant":
            raise ValueError("the last message is the assistant's: answers can't be prefilled; end with a message of the user")
        return self

    def to_generation(self) -> GenerationRequest:
        """What is asked. Raises ApiError where the parts don't fit together."""
        choice = self.tool_choice
        wanted = self.output_config.format if self.output_config is not None else None
        deferred = self._deferred()
        found = dict.fromkeys(part.tool_name for part in self._result_parts() if isinstance(part, ToolReferenceBlock))
        return GenerationRequest(
            model=self.model,
            adapter=self.adapter,
            turns=(*self._system(), *(turn for message in self.messages for turn in message.turns(deferred))),
            fields=_FIELDS,
            tools=tuple(tool.tool() for tool in self._own_tools() if not (deferred and tool.defer_loading)),
            found_tools=tuple(deferred[name] for name in found if name in deferred),
            tool_choice=None if choice is None else choice.chosen(),
            parallel_tool_calls=False if choice is not None and choice.disable_parallel_tool_use else None,
            response_format=None if wanted is None else JsonFormat(wanted.schema_),
            warnings=tuple(self._warnings()),
        )

    def _warnings(self) -> Iterator[str]:
        yield from self.passed_over()
        if self.output_config is not None and self.output_config.effort is not None:
            yield "output_config.effort has no effect here"
        if self.system is not None and any(_is_label(part) for part in self.system):
            yield f"system: the block {_LABEL[:-1]} has no effect here"
        yield from dict.fromkeys(part.warning for part in self._result_parts() if isinstance(part, MediaBlock))
        yield from dict.fromkeys(tool.warning for tool in self.tools or [] if isinstance(tool, UnknownTool))

    def _result_parts(self) -> Iterator[TextBlock | ToolReferenceBlock | MediaBlock]:
        return (part for message in self.messages for part in message.result_parts())

    def _own_tools(self) -> list[AnthropicTool]:
        return [tool for tool in self.tools or [] if not isinstance(tool, UnknownTool)]

    def _deferred(self) -> dict[str, Tool]:
        """The tools that are shown and called only once they are found, by name."""
        own = self._own_tools()
        others = (tool.type for tool in self.tools or [] if isinstance(tool, UnknownTool))
        if not holds_back((tool.defer_loading for tool in own), others):
            return {}
        return {tool.name: tool.tool() for tool in own if tool.defer_loading}

    def _system(self) -> Sequence[Turn]:
        """Without the block that labels a conversation: it would make every one a prompt of its own from the first words."""
        if self.system is None:
            return []
        kept = [self.system] if isinstance(self.system, str) else [each.text for each in self.system if not _is_label(each)]
        return [Turn("system", "\n\n".join(kept))] if kept else []


class MessagesRequest(CountTokensRequest):
    """A message to make."""

    max_tokens: MaxTokens
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    stop_sequences: StopStrings | None = None
    stream: bool = False

    def to_generation(self) -> GenerationRequest:
        return replace(
            super().to_generation(),
            sampling=SamplingOptions(temperature=self.temperature, top_p=self.top_p, top_k=self.top_k),
            max_tokens=self.max_tokens,
            stop=tuple(self.stop_sequences or ()),
        )


def _is_label(part: str | TextBlock) -> bool:
    return isinstance(part, TextBlock) and part.text.startswith(_LABEL)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
