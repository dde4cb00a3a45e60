"""The body of POST /v1/responses, as OpenAI's reference defines it, and what it asks for as a GenerationRequest.

It owns what a valid body is; an unknown or impossible field is an error that names it. It knows nothing of responses that are
stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

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
from portico_gateway.http.openai_shared.body import JsonObjectFormat, NamedSchema, OpenAIMessage, TextFormat
from portico_gateway.http.wire import (
    AdapterName,
    LenientBody,
    MaxTokens,
    StrictBody,
    Temperature,
    ToolName,
    Tools,
    TopLogprobs,
    TopP,
)

_FIELDS = FieldNames(messages="input", max_tokens="max_output_tokens", response_format="text.format")
INCLUDE_LOGPROBS = "message.output_text.logprobs"


class ResponsesMessage(OpenAIMessage):
    type: Literal["message"] = "message"


class FunctionCallItem(LenientBody):
    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str


class InputTextPart(LenientBody):
    type: Literal["input_text"]
    text: str


class FunctionCallOutputItem(LenientBody):
    type: Literal["function_call_output"]
    call_id: str
    output: str | list[InputTextPart]


class ReasoningItem(LenientBody):
    """What a model thought in an earlier turn; it is not shown again."""

    type: Literal["reasoning"]


def _kind(item: Any) -> str | None:
    """An item without a type is a message."""
    kind = item.get("type", "message") if isinstance(item, dict) else getattr(item, "type", None)
    return kind if isinstance(kind, str) else None


InputItem = Annotated[
    Annotated[ResponsesMessage, Tag("message")]
    | Annotated[FunctionCallItem, Tag("function_call")]
    | Annotated[FunctionCallOutputItem, Tag("function_call_output")]
    | Annotated[ReasoningItem, Tag("reasoning")],
    Discriminator(_kind),
]


class ResponsesTool(LenientBody):
    type: Literal["function"]
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    def tool(self) -> Tool:
        return function_tool(self.name, self.description, self.parameters)


class ResponsesNamedToolChoice(StrictBody):
    type: Literal["function"]
    name: str


class ResponsesJsonSchemaFormat(NamedSchema):
    type: Literal["json_schema"]


class ResponsesTextConfig(StrictBody):
    format: Annotated[TextFormat | JsonObjectFormat | ResponsesJsonSchemaFormat, Field(discriminator="type")] | None = None
    verbosity: str | None = None


class ResponsesStreamOptions(StrictBody):
    include_obfuscation: bool | None = None


class ResponsesRequest(StrictBody):
    """A response to make."""

    model: str
    adapter: AdapterName | None = None
    input: str | list[InputItem]
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    # what may come out
    tools: Tools[ResponsesTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | ResponsesNamedToolChoice | None = None
    parallel_tool_calls: bool | None = None
    text: ResponsesTextConfig | None = None
    include: list[str] | None = None
    # how it is picked, and when it ends
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_logprobs: TopLogprobs | None = None
    max_output_tokens: MaxTokens | None = None
    truncation: Literal["disabled"] | None = None
    background: Literal[False] | None = None
    # how it is sent
    stream: bool | None = None
    stream_options: ResponsesStreamOptions | None = None
    # accepted, without effect on one machine with one model
    metadata: dict[str, Any] | None = None
    user: str | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    reasoning: dict[str, Any] | None = None
    max_tool_calls: int | None = None

    @model_validator(mode="after")
    def _says_something(self) -> ResponsesRequest:
        if not self.input:
            raise ValueError("the input is empty")
        return self

    def turns(self) -> list[Turn]:
        """The input as turns: calls in a row, and the text before them, are one turn of the assistant."""
        if isinstance(self.input, str):
            return [Turn("user", self.input)]
        turns: list[Turn] = []
        for item in self.input:
            match item:
                case ResponsesMessage():
                    turns.append(item.turn())
                case FunctionCallItem(call_id=call_id, name=name, arguments=arguments):
                    add_call(turns, ToolCall(call_id, name, arguments))
                case FunctionCallOutputItem(call_id=call_id, output=output):
                    text = output if isinstance(output, str) else "".join(part.text for part in output)
                    turns.append(Turn("tool", text, tool_call_id=call_id))
        return turns

    def to_generation(self, before: Sequence[Turn] = ()) -> GenerationRequest:
        """What is asked, after the turns `before`. Raises ApiError where the parts don't fit together."""
        instructions = [Turn("system", self.instructions)] if self.instructions else []
        logprobs = self.top_logprobs is not None or INCLUDE_LOGPROBS in (self.include or ())
        return GenerationRequest(
            model=self.model,
            adapter=self.adapter,
            turns=(*instructions, *before, *self.turns()),
            fields=_FIELDS,
            tools=tuple(tool.tool() for tool in self.tools or []),
            tool_choice=self._tool_choice(),
            parallel_tool_calls=self.parallel_tool_calls,
            response_format=self._response_format(),
            sampling=SamplingOptions(
                temperature=self.temperature, top_p=self.top_p, logprobs=(self.top_logprobs or 0) if logprobs else None
            ),
            max_tokens=self.max_output_tokens,
        )

    def _tool_choice(self) -> ToolChoice | None:
        if isinstance(self.tool_choice, ResponsesNamedToolChoice):
            return NamedTool(self.tool_choice.name)
        return None if self.tool_choice == "auto" else self.tool_choice  # said by clients without tools too

    def _response_format(self) -> JsonFormat | None:
        wanted = self.text.format if self.text is not None else None
        if isinstance(wanted, ResponsesJsonSchemaFormat):
            return JsonFormat(wanted.schema_)
        return JsonFormat() if isinstance(wanted, JsonObjectFormat) else None


def add_call(turns: list[Turn], call: ToolCall) -> None:
    """A call, as part of the assistant's turn that it belongs to."""
    if turns and turns[-1].role == "assistant":
        turns[-1] = replace(turns[-1], tool_calls=(*turns[-1].tool_calls, call))
    else:
        turns.append(Turn("assistant", tool_calls=(call,)))
