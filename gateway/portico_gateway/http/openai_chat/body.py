"""The body of POST /v1/chat/completions, as OpenAI's reference defines it, and `grammar`, `top_k`, `min_p` as peers do.

It owns what a valid body is, and its error messages; a field that would change the answer and can't is an error that names it.
What it asks for becomes a GenerationRequest.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from portico_engine import TextInput, Tool
from portico_engine.grammar import NamedTool, ToolChoice
from portico_gateway.http.generation.request import (
    FieldNames,
    GenerationRequest,
    JsonFormat,
    SamplingOptions,
    custom_tool,
    function_tool,
)
from portico_gateway.http.openai_shared.body import (
    AllowedTools,
    CustomGrammar,
    CustomTextFormat,
    JsonObjectFormat,
    NamedSchema,
    OpenAIMessage,
    StreamOptions,
    TextFormat,
    tool_kind,
)
from portico_gateway.http.server_tools.wanted import McpToolBody, WantedServer
from portico_gateway.http.wire import (
    MAX_TEMPLATE_VARIABLES,
    AdapterName,
    Choices,
    FrequencyPenalty,
    GrammarText,
    LenientBody,
    LogitBias,
    MaxTokensOrAll,
    MinP,
    PresencePenalty,
    RepetitionPenalty,
    SamplingBody,
    Seed,
    StopString,
    StrictBody,
    Temperature,
    ToolName,
    Tools,
    TopK,
    TopLogprobs,
    TopP,
    UnknownTool,
)


class ChatFunction(LenientBody):
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ChatFunctionTool(LenientBody):
    type: Literal["function"]
    function: ChatFunction

    def tool(self) -> Tool:
        return function_tool(self.function.name, self.function.description or "", self.function.parameters)


class ChatCustomGrammar(LenientBody):
    type: Literal["grammar"]
    grammar: CustomGrammar

    def text_input(self) -> TextInput:
        return self.grammar.text_input()


class ChatCustom(LenientBody):
    name: ToolName
    description: str | None = None
    format: Annotated[ChatCustomGrammar | CustomTextFormat, Field(discriminator="type")] | None = None


class ChatCustomTool(LenientBody):
    type: Literal["custom"]
    custom: ChatCustom

    def tool(self) -> Tool:
        wanted = self.custom.format
        return custom_tool(self.custom.name, self.custom.description, TextInput() if wanted is None else wanted.text_input())


def _tool_kind(tool: Any) -> str | None:
    kind = tool_kind(tool)
    return "other" if kind == "namespace" else kind


ChatTool = Annotated[
    Annotated[ChatFunctionTool, Tag("function")]
    | Annotated[ChatCustomTool, Tag("custom")]
    | Annotated[McpToolBody, Tag("mcp")]
    | Annotated[UnknownTool, Tag("other")],
    Discriminator(_tool_kind),
]


class ChatNamed(StrictBody):
    name: str


class ChatNamedToolChoice(StrictBody):
    type: Literal["function"]
    function: ChatNamed


class ChatNamedCustomChoice(StrictBody):
    type: Literal["custom"]
    custom: ChatNamed


class ChatAllowedToolsChoice(StrictBody):
    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools

    def names(self) -> frozenset[str]:
        chosen = [tool.get(str(tool.get("type"))) for tool in self.allowed_tools.tools]
        return frozenset(str(each.get("name")) for each in chosen if isinstance(each, dict))


ChatObjectChoice = Annotated[ChatNamedToolChoice | ChatNamedCustomChoice | ChatAllowedToolsChoice, Field(discriminator="type")]


class ChatJsonSchemaFormat(StrictBody):
    type: Literal["json_schema"]
    json_schema: NamedSchema


ChatResponseFormat = Annotated[TextFormat | JsonObjectFormat | ChatJsonSchemaFormat, Field(discriminator="type")]


class ChatCompletionRequest(SamplingBody):
    """A chat completion to make. None is "not given": the default then depends on what is asked."""

    WITHOUT_EFFECT = frozenset(
        "cache_control modalities prediction provider reasoning reasoning_effort safety_identifier service_tier session_id "
        "store tags thinking trace usage user verbosity".split()
    )

    model: str
    adapter: AdapterName | None = None
    messages: list[OpenAIMessage] = Field(min_length=1)
    # what may come out
    tools: Tools[ChatTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChatObjectChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ChatResponseFormat | None = None
    grammar: GrammarText = Field(default=None, description="GBNF text that the answer follows")
    chat_template_kwargs: dict[str, Any] | None = Field(
        default=None,
        max_length=MAX_TEMPLATE_VARIABLES,
        description="variables of the model's chat template, e.g. enable_thinking",
    )
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
    max_tokens: MaxTokensOrAll = None
    max_completion_tokens: MaxTokensOrAll = None
    n: Choices | None = None
    # how it is sent
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> ChatCompletionRequest:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs: true")
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options needs stream: true")
        if self.wanted_servers() and (self.n or 1) > 1:
            raise ValueError("n: with tools of type 'mcp' there is one answer; leave n out")
        return self

    def wanted_servers(self) -> list[WantedServer]:
        """Those whose tools are called here."""
        return [tool.wanted() for tool in self.tools or [] if isinstance(tool, McpToolBody)]

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
            tools=tuple(tool.tool() for tool in self.tools or [] if isinstance(tool, ChatFunctionTool | ChatCustomTool)),
            server_tools=bool(self.wanted_servers()),
            tool_choice=self._tool_choice(),
            allowed_tools=self.tool_choice.names() if isinstance(self.tool_choice, ChatAllowedToolsChoice) else None,
            parallel_tool_calls=self.parallel_tool_calls,
            response_format=self._response_format(),
            grammar=self.grammar,
            template_variables=self.chat_template_kwargs,
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
                **self.more_sampling(),
                logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            ),
            max_tokens=self.max_completion_tokens if by_new_name else self.max_tokens,
            stop=tuple(stop or ()),
            warnings=(
                *self.passed_over(),
                *dict.fromkeys(tool.warning for tool in self.tools or [] if isinstance(tool, UnknownTool)),
            ),
        )

    def _tool_choice(self) -> ToolChoice | None:
        match self.tool_choice:
            case ChatNamedToolChoice(function=named) | ChatNamedCustomChoice(custom=named):
                return NamedTool(named.name)
            case ChatAllowedToolsChoice(allowed_tools=allowed):
                return allowed.mode
            case choice:
                return choice

    def _response_format(self) -> JsonFormat | None:
        if isinstance(self.response_format, ChatJsonSchemaFormat):
            return JsonFormat(self.response_format.json_schema.schema_)
        return JsonFormat() if isinstance(self.response_format, JsonObjectFormat) else None
