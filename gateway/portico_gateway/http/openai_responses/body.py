"""The body of POST /v1/responses, as OpenAI's reference defines it, and what it means in the gateway's own form.

It owns what a valid body is; an unknown or impossible field is an error that names it. It knows nothing of the engine, nor of
responses that are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from portico_gateway.http.openai_chat.body import (
    MAX_TOP_LOGPROBS,
    Body,
    ChatRequest,
    Function,
    FunctionCall,
    JsonObjectFormat,
    JsonSchema,
    JsonSchemaFormat,
    Lenient,
    Message,
    NamedFunction,
    NamedToolChoice,
    TextFormat,
    ToolCall,
    ToolSpec,
)

LOGPROBS = "message.output_text.logprobs"


class InputMessage(Message):
    type: Literal["message"] = "message"


class CallItem(Lenient):
    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str


class InputText(Lenient):
    type: Literal["input_text"]
    text: str


class CallOutput(Lenient):
    type: Literal["function_call_output"]
    call_id: str
    output: str | list[InputText]


class Reasoning(Lenient):
    """What a model thought in an earlier turn; it is not shown again."""

    type: Literal["reasoning"]


def _kind(item: Any) -> str | None:
    """An item without a type is a message."""
    kind = item.get("type", "message") if isinstance(item, dict) else getattr(item, "type", None)
    return kind if isinstance(kind, str) else None


Item = Annotated[
    Annotated[InputMessage, Tag("message")]
    | Annotated[CallItem, Tag("function_call")]
    | Annotated[CallOutput, Tag("function_call_output")]
    | Annotated[Reasoning, Tag("reasoning")],
    Discriminator(_kind),
]


class FunctionTool(Lenient):
    type: Literal["function"]
    name: str = Field(min_length=1, max_length=128)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionChoice(Body):
    type: Literal["function"]
    name: str


class SchemaFormat(JsonSchema):
    type: Literal["json_schema"]


class TextConfig(Body):
    format: Annotated[TextFormat | JsonObjectFormat | SchemaFormat, Field(discriminator="type")] | None = None
    verbosity: str | None = None


class StreamOptions(Body):
    include_obfuscation: bool | None = None


class ResponsesRequest(Body):
    """A response to make."""

    model: str
    input: str | list[Item]
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    # what may come out
    tools: list[FunctionTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | FunctionChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    include: list[str] | None = None
    # how it is picked, and when it ends
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_logprobs: int | None = Field(default=None, ge=0, le=MAX_TOP_LOGPROBS)
    max_output_tokens: int | None = Field(default=None, ge=1)
    truncation: Literal["disabled"] | None = None
    background: Literal[False] | None = None
    # how it is sent
    stream: bool | None = None
    stream_options: StreamOptions | None = None
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

    def turns(self) -> list[Message]:
        """The input as the gateway's turns: calls in a row, and the text before them, are one turn of the assistant."""
        if isinstance(self.input, str):
            return [Message(role="user", content=self.input)]
        turns: list[Message] = []
        for item in self.input:
            match item:
                case InputMessage():
                    turns.append(Message.model_validate(item.model_dump(exclude={"type"})))
                case CallItem(call_id=call_id, name=name, arguments=arguments):
                    call = ToolCall(id=call_id, function=FunctionCall(name=name, arguments=arguments))
                    add_call(turns, call)
                case CallOutput(call_id=call_id, output=output):
                    text = output if isinstance(output, str) else "".join(part.text for part in output)
                    turns.append(Message(role="tool", tool_call_id=call_id, content=text))
        return turns

    def chat(self, before: Sequence[Message] = ()) -> ChatRequest:
        """In the gateway's own form, after the turns `before`. Raises ValidationError where the parts don't fit together."""
        system = [Message(role="system", content=self.instructions)] if self.instructions else []
        logprobs = self.top_logprobs is not None or LOGPROBS in (self.include or ())
        return ChatRequest(
            model=self.model,
            messages=[*system, *before, *self.turns()],
            tools=[_tool(tool) for tool in self.tools] if self.tools else None,
            tool_choice=self._choice(),
            parallel_tool_calls=self.parallel_tool_calls,
            response_format=self._format(),
            temperature=self.temperature,
            top_p=self.top_p,
            logprobs=True if logprobs else None,
            top_logprobs=self.top_logprobs,
            max_completion_tokens=self.max_output_tokens,
            stream=self.stream,
        )

    def _choice(self) -> Literal["none", "auto", "required"] | NamedToolChoice | None:
        if isinstance(self.tool_choice, FunctionChoice):
            return NamedToolChoice(type="function", function=NamedFunction(name=self.tool_choice.name))
        return None if self.tool_choice == "auto" else self.tool_choice  # said by clients without tools too

    def _format(self) -> TextFormat | JsonObjectFormat | JsonSchemaFormat | None:
        wanted = self.text.format if self.text is not None else None
        if not isinstance(wanted, SchemaFormat):
            return wanted
        return JsonSchemaFormat(type="json_schema", json_schema=JsonSchema(name=wanted.name, schema=wanted.schema_))


def add_call(turns: list[Message], call: ToolCall) -> None:
    """A call, as part of the assistant's turn that it belongs to."""
    if turns and turns[-1].role == "assistant":
        turns[-1] = turns[-1].model_copy(update={"tool_calls": [*(turns[-1].tool_calls or []), call]})
    else:
        turns.append(Message(role="assistant", tool_calls=[call]))


def _tool(tool: FunctionTool) -> ToolSpec:
    function = Function(name=tool.name, description=tool.description or "", parameters=tool.parameters)
    return ToolSpec(type="function", function=function)
