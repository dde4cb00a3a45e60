"""The body of POST /v1/responses, as OpenAI's reference defines it, and what it asks for as a GenerationRequest.

It owns what a valid body is; a field that would change the answer and can't is an error that names it. It knows nothing of
responses that are stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from portico_engine.grammar import NamedTool, ToolChoice
from portico_gateway.http.generation.request import FieldNames, GenerationRequest, JsonFormat, SamplingOptions, Turn
from portico_gateway.http.openai_responses.items import (
    AdditionalToolsItem,
    CallOutputItem,
    ForeignItem,
    InputItem,
    McpApprovalResponse,
    turns_of,
)
from portico_gateway.http.openai_responses.tools import (
    AnyTool,
    CalledTool,
    ResponsesTool,
    called_name,
    every_tool,
    unknown_tools,
)
from portico_gateway.http.openai_shared.body import AllowedTools, JsonObjectFormat, NamedSchema, TextFormat
from portico_gateway.http.server_tools.wanted import EVERY_SERVER, McpToolBody, WantedServer
from portico_gateway.http.wire import (
    MAX_TOOLS,
    AdapterName,
    ApiBody,
    MaxTokens,
    StrictBody,
    Temperature,
    Tools,
    TopLogprobs,
    TopP,
)
from portico_gateway.upstreams.names import namespaced

_FIELDS = FieldNames(messages="input", max_tokens="max_output_tokens", response_format="text.format")
INCLUDE_LOGPROBS = "message.output_text.logprobs"


class ResponsesNamedToolChoice(StrictBody):
    type: Literal["function", "custom"]
    name: str
    namespace: str | None = None


class ResponsesAllowedToolsChoice(AllowedTools):
    type: Literal["allowed_tools"]

    def names(self) -> frozenset[str]:
        named = [tool for tool in self.tools if isinstance(tool.get("name"), str)]
        return frozenset(called_name(tool["name"], tool.get("namespace")) for tool in named)


class ResponsesMcpToolChoice(StrictBody):
    """A call of one of a server's tools; without a name, of any that there is."""

    type: Literal["mcp"]
    server_label: str
    name: str | None = None


ResponsesObjectChoice = Annotated[
    ResponsesNamedToolChoice | ResponsesMcpToolChoice | ResponsesAllowedToolsChoice, Field(discriminator="type")
]


class ResponsesJsonSchemaFormat(NamedSchema):
    type: Literal["json_schema"]


class ResponsesTextConfig(StrictBody):
    format: Annotated[TextFormat | JsonObjectFormat | ResponsesJsonSchemaFormat, Field(discriminator="type")] | None = None
    verbosity: str | None = None


class ResponsesRequest(ApiBody):
    """A response to make."""

    WITHOUT_EFFECT = frozenset(
        "context_management moderation reasoning safety_identifier service_tier stream_options user".split()
    )

    model: str
    adapter: AdapterName | None = None
    input: str | list[InputItem]
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    # what may come out
    tools: Tools[ResponsesTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | ResponsesObjectChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: Annotated[int, Field(ge=0)] | None = None  # of those that are made here
    text: ResponsesTextConfig | None = None
    include: list[str] | None = None
    # how it is picked, and when it ends
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_logprobs: TopLogprobs | None = None
    max_output_tokens: MaxTokens | None = None
    truncation: Literal["auto", "disabled"] | None = None
    background: Literal[False] | None = None
    # how it is sent
    stream: bool | None = None
    metadata: dict[str, Any] | None = None  # comes back as it is

    @model_validator(mode="after")
    def _says_something(self) -> ResponsesRequest:
        if not self.input:
            raise ValueError("the input is empty")
        if len(list(every_tool(self.every_tool()))) > MAX_TOOLS:
            raise ValueError(f"tools, those of namespaces and of the input with them, are at most {MAX_TOOLS}")
        return self

    def turns(self) -> list[Turn]:
        """The input as turns."""
        return [Turn("user", self.input)] if isinstance(self.input, str) else turns_of(self.input)

    def every_tool(self) -> list[AnyTool]:
        """The body's tools, and those that its input adds."""
        items = [] if isinstance(self.input, str) else self.input
        added = [tool for item in items if isinstance(item, AdditionalToolsItem) for tool in item.tools]
        return [*(self.tools or []), *added]

    def wanted_servers(self) -> list[WantedServer]:
        """Those whose tools are called here."""
        return [tool.wanted() for tool in self.every_tool() if isinstance(tool, McpToolBody)]

    def approval_responses(self) -> list[McpApprovalResponse]:
        """A person's word on calls that an earlier answer asked about."""
        return [] if isinstance(self.input, str) else [item for item in self.input if isinstance(item, McpApprovalResponse)]

    def called_tools(self) -> dict[str, CalledTool]:
        """The tools by the names that the model calls them by."""
        return {each.tool.name: each for each in every_tool(self.every_tool())}

    def to_generation(self, before: Sequence[Turn] = ()) -> GenerationRequest:
        """What is asked, after the turns `before`. Raises ApiError where the parts don't fit together."""
        instructions = [Turn("system", self.instructions)] if self.instructions else []
        logprobs = self.top_logprobs is not None or INCLUDE_LOGPROBS in (self.include or ())
        return GenerationRequest(
            model=self.model,
            adapter=self.adapter,
            turns=(*instructions, *before, *self.turns()),
            fields=_FIELDS,
            tools=tuple(each.tool for each in every_tool(self.every_tool())),
            server_tools=bool(self.wanted_servers()),
            tool_choice=self._tool_choice(),
            allowed_tools=self.tool_choice.names() if isinstance(self.tool_choice, ResponsesAllowedToolsChoice) else None,
            parallel_tool_calls=self.parallel_tool_calls,
            response_format=self._response_format(),
            sampling=SamplingOptions(
                temperature=self.temperature, top_p=self.top_p, logprobs=(self.top_logprobs or 0) if logprobs else None
            ),
            max_tokens=self.max_output_tokens,
            warnings=tuple(self._warnings()),
        )

    def _warnings(self) -> Iterator[str]:
        yield from self.passed_over()
        if self.text is not None and self.text.verbosity not in (None, "medium"):
            yield "text.verbosity has no effect here"
        if self.max_tool_calls is not None and not self.wanted_servers():
            yield "max_tool_calls has no effect here: it counts calls that are made on the server, by tools of type 'mcp'"
        if self.truncation == "auto":
            yield "truncation 'auto' has no effect here: an input that is too long is refused, never cut"
        for each in self.include or ():
            if each != INCLUDE_LOGPROBS:
                yield f"include: there is no {each[:80]!r} here"
        if not isinstance(self.input, str):
            for kind in dict.fromkeys(item.type for item in self.input if isinstance(item, ForeignItem)):
                yield f"input: items of type {kind!r} are left out: they are of a tool that isn't run here"
            outputs = [item for item in self.input if isinstance(item, CallOutputItem)]
            yield from dict.fromkeys(part.warning for item in outputs for part in item.media)
        yield from dict.fromkeys(tool.warning for tool in unknown_tools(self.every_tool()))

    def _tool_choice(self) -> ToolChoice | None:
        match self.tool_choice:
            case ResponsesNamedToolChoice(name=name, namespace=namespace):
                return NamedTool(called_name(name, namespace))
            case ResponsesMcpToolChoice(server_label=label, name=name):
                if name is None:
                    return "required"
                return NamedTool(name if label == EVERY_SERVER else namespaced(label, name))
            case ResponsesAllowedToolsChoice(mode=mode):
                return mode
            case choice:
                return choice

    def _response_format(self) -> JsonFormat | None:
        wanted = self.text.format if self.text is not None else None
        if isinstance(wanted, ResponsesJsonSchemaFormat):
            return JsonFormat(wanted.schema_)
        return JsonFormat() if isinstance(wanted, JsonObjectFormat) else None
