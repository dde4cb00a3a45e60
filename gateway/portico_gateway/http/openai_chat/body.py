"""The body of POST /v1/chat/completions, as OpenAI's reference defines it, and `grammar`, `top_k`, `min_p` as peers do.

It owns what a valid body is, and its error messages; an unknown or impossible field is an error that names it, never ignored.
What it asks for becomes a GenerationRequest.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from portico_engine import Tool
from portico_engine.grammar import NamedTool, ToolChoice
from portico_gateway.http.generation.request import FieldNames, GenerationRequest, JsonFormat, SamplingOptions, function_tool
from portico_gateway.http.openai_shared.body import JsonObjectFormat, NamedSchema, OpenAIMessage, TextFormat
from portico_gateway.http.wire import (
    AdapterName,
    FrequencyPenalty,
    LenientBody,
    LogitBias,
    MaxTokens,
    MinP,
    PresencePenalty,
    RepetitionPenalty,
    Seed,
    StopString,
    StrictBody,
    Temperature,
    ToolName,
    Tools,
    TopK,
    TopLogprobs,
    TopP,
)


class ChatFunction(LenientBody):
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ChatTool(LenientBody):
    type: Literal["function"]
    function: ChatFunction

    def tool(self) -> Tool:
        return function_tool(self.function.name, self.function.description or "", self.function.parameters)


class ChatNamedFunction(StrictBody):
    name: str


class ChatNamedToolChoice(StrictBody):
    type: Literal["function"]
    function: ChatNamedFunction


class ChatJsonSchemaFormat(StrictBody):
    type: Literal["json_schema"]
    json_schema: NamedSchema


ChatResponseFormat = Annotated[TextFormat | JsonObjectFormat | ChatJsonSchemaFormat, Field(discriminator="type")]


class ChatStreamOptions(StrictBody):
    include_usage: bool = False
    include_obfuscation: bool | None = None


class ChatCompletionRequest(StrictBody):
    """A chat completion to make. None is "not given": the default then depends on what is asked."""

    model: str
    adapter: AdapterName | None = None
    messages: list[OpenAIMessage] = Field(min_length=1)
    # what may come out
    tools: Tools[ChatTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChatNamedToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ChatResponseFormat | None = None
    grammar: str | None = Field(default=None, description="GBNF text that the answer follows")
    # how it is picked
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    min_p: MinP | None = None
    seed: Seed | None = None
    frequency_penalty: FrequencyPenalty | None = None
    presence_penalty: PresencePenalty | None = None
    repetition_penalty: RepetitionPenalty | None = None
    logit_bias: LogitBias | None = None
    logprobs: bool | None = None
    top_logprobs: TopLogprobs | None = None
    # when it ends
    stop: StopString | None = None
    max_tokens: MaxTokens | None = None
    max_completion_tokens: MaxTokens | None = None
    n: int | None = None
    # how it is sent
    stream: bool | None = None
    stream_options: ChatStreamOptions | None = None
    # accepted, without effect on one machine with one model
    user: str | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None

    @field_validator("n")
    @classmethod
    def _one_choice(cls, n: int | None) -> int | None:
        if n not in (None, 1):
            raise ValueError("only one choice a request is made; set n to 1 or leave it out")
        return n

    @model_validator(mode="after")
    def _fits_together(self) -> ChatCompletionRequest:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs: true")
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options needs stream: true")
        return self

    def to_generation(self) -> GenerationRequest:
        """What is asked. Raises ApiError where the parts don't fit together."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop
        by_new_name = self.max_completion_tokens is not None
        return GenerationRequest(
            model=self.model,
            adapter=self.adapter,
            turns=tuple(message.turn() for message in self.messages),
            fields=FieldNames(
                messages="messages",
                max_tokens="max_completion_tokens" if by_new_name else "max_tokens",
                response_format="response_format",
            ),
            tools=tuple(tool.tool() for tool in self.tools or []),
            tool_choice=self._tool_choice(),
            parallel_tool_calls=self.parallel_tool_calls,
            response_format=self._response_format(),
            grammar=self.grammar,
            sampling=SamplingOptions(
                temperature=self.temperature,
                top_p=self.top_p,
                top_k=self.top_k,
                min_p=self.min_p,
                seed=self.seed,
                frequency_penalty=self.frequency_penalty,
                presence_penalty=self.presence_penalty,
                repetition_penalty=self.repetition_penalty,
                logit_bias=tuple((self.logit_bias or {}).items()),
                logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            ),
            max_tokens=self.max_completion_tokens if by_new_name else self.max_tokens,
            stop=tuple(stop or ()),
        )

    def _tool_choice(self) -> ToolChoice | None:
        choice = self.tool_choice
        return NamedTool(choice.function.name) if isinstance(choice, ChatNamedToolChoice) else choice

    def _response_format(self) -> JsonFormat | None:
        if isinstance(self.response_format, ChatJsonSchemaFormat):
            return JsonFormat(self.response_format.json_schema.schema_)
        return JsonFormat() if isinstance(self.response_format, JsonObjectFormat) else None
