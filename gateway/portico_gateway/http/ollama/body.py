"""The bodies of Ollama's API, and what they ask for as a GenerationRequest.

What it says of memory and of keeping models loaded changes no answer.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from portico_gateway.http.generation.request import (
    FieldNames,
    GenerationRequest,
    JsonFormat,
    SamplingOptions,
    ToolCall,
    Turn,
    function_tool,
)
from portico_gateway.http.json_text import json_text
from portico_gateway.http.wire import (
    ApiBody,
    FrequencyPenalty,
    LenientBody,
    MinP,
    PresencePenalty,
    RepetitionPenalty,
    Seed,
    StopString,
    Temperature,
    ToolName,
    Tools,
    TopK,
    TopLogprobs,
    TopP,
    UnknownTool,
)

_FIELDS = FieldNames(messages="messages", max_tokens="options.num_predict", response_format="format")


class OllamaOptions(ApiBody):
    """How tokens are picked, and when it ends. What lays out memory elsewhere has no effect."""

    WITHOUT_EFFECT = frozenset(
        "f16_kv low_vram main_gpu mirostat mirostat_eta mirostat_tau num_batch num_ctx num_gpu num_gqa num_keep num_thread "
        "numa penalize_newline repeat_last_n tfs_z typical_p use_mlock use_mmap vocab_only".split()
    )

    temperature: Temperature | None = None
    top_k: TopK | None = None
    top_p: TopP | None = None
    min_p: MinP | None = None
    seed: Seed | None = None
    repeat_penalty: RepetitionPenalty | None = None
    frequency_penalty: FrequencyPenalty | None = None
    presence_penalty: PresencePenalty | None = None
    num_predict: Annotated[int, Field(ge=-2)] | None = None
    stop: StopString | None = None

    def sampling(self, logprobs: int | None) -> SamplingOptions:
        return SamplingOptions(
            logprobs=logprobs,
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            seed=self.seed,
            repetition_penalty=self.repeat_penalty,
            frequency_penalty=self.frequency_penalty,
            presence_penalty=self.presence_penalty,
        )

    @property
    def max_tokens(self) -> int | None:
        """None where the context is the limit, which -1 and -2 say."""
        return self.num_predict if self.num_predict is not None and self.num_predict > 0 else None


class OllamaCalledFunction(LenientBody):
    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class OllamaToolCall(LenientBody):
    id: str = ""
    function: OllamaCalledFunction


def _no_images(images: list[str] | None) -> list[str] | None:
    if images:
        raise ValueError("this model takes text only; leave images out")
    return images


_Images = Annotated[list[str] | None, AfterValidator(_no_images)]


class OllamaMessage(LenientBody):
    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    images: _Images = None
    tool_calls: list[OllamaToolCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None

    def turn(self) -> Turn:
        calls = (ToolCall(each.id, each.function.name, json_text(each.function.arguments)) for each in self.tool_calls or [])
        return Turn(self.role, self.content, self.tool_name, tuple(calls), self.tool_call_id)


class OllamaFunction(LenientBody):
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None


class OllamaTool(LenientBody):
    type: Literal["function"] = "function"
    function: OllamaFunction


class _Answered(ApiBody):
    """What both kinds of request have."""

    WITHOUT_EFFECT: ClassVar[frozenset[str]] = frozenset(
        {"keep_alive", "think", "truncate", "shift", "width", "height", "steps"}
    )

    model: str
    stream: bool = True
    format: Literal["", "json"] | dict[str, Any] | None = None
    options: OllamaOptions | None = None
    logprobs: bool = False
    top_logprobs: TopLogprobs | None = None

    def _request(self, turns: tuple[Turn, ...], left_out: tuple[str, ...] = (), **more: Any) -> GenerationRequest:
        options = self.options or OllamaOptions()
        stop = [options.stop] if isinstance(options.stop, str) else options.stop
        warnings = [*self.passed_over(), *(f"options.{each}" for each in options.passed_over())]
        return GenerationRequest(
            model=self.model.removesuffix(":latest"),
            turns=turns,
            fields=_FIELDS,
            response_format=self._response_format(),
            sampling=options.sampling((self.top_logprobs or 0) if self.logprobs else None),
            max_tokens=options.max_tokens,
            stop=tuple(stop or ()),
            warnings=(*warnings, *left_out),
            **more,
        )

    def _response_format(self) -> JsonFormat | None:
        if isinstance(self.format, dict):
            return JsonFormat(self.format)
        return JsonFormat() if self.format == "json" else None


class OllamaChatRequest(_Answered):
    """A turn to make; without messages, the model to load."""

    messages: list[OllamaMessage] = Field(default_factory=list)
    tools: Tools[OllamaTool | UnknownTool] | None = None

    @property
    def only_loads(self) -> bool:
        return not self.messages

    def to_generation(self) -> GenerationRequest:
        """What is asked. Raises ApiError where the parts don't fit together."""
        tools = [each.function for each in self.tools or [] if isinstance(each, OllamaTool)]
        left_out = dict.fromkeys(each.warning for each in self.tools or [] if isinstance(each, UnknownTool))
        return self._request(
            tuple(message.turn() for message in self.messages),
            tuple(left_out),
            tools=tuple(function_tool(each.name, each.description, each.parameters) for each in tools),
        )


class OllamaGenerateRequest(_Answered):
    """A text to answer, as one turn; `raw` is a text to go on from. Without a text, the model to load."""

    prompt: str = ""
    suffix: Literal[""] | None = None
    system: str | None = None
    images: _Images = None
    raw: bool = False

    @property
    def only_loads(self) -> bool:
        return not self.prompt

    def to_generation(self) -> GenerationRequest:
        """What is asked. Raises ApiError where the parts don't fit together."""
        if self.raw:
            return self._request((), prompt=self.prompt)
        system = [Turn("system", self.system)] if self.system else []
        return self._request((*system, Turn("user", self.prompt)))


class OllamaShowRequest(LenientBody):
    """A model to describe."""

    model: str | None = None
    name: str | None = None
