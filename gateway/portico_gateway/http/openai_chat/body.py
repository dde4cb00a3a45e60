"""The body of POST /v1/chat/completions, as OpenAI's reference defines it, and `grammar`, `top_k`, `min_p` as peers do.

It owns what a valid body is, and its error messages; an unknown or impossible field is an error that names it, never ignored.
It knows nothing of the engine.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MAX_STOPS = 16
MAX_TOP_LOGPROBS = 20


class Body(BaseModel):
    """What isn't known is an error."""

    model_config = ConfigDict(extra="forbid")


class Lenient(BaseModel):
    """Parts of a conversation come back as other programs wrote them: what they added is passed over."""

    model_config = ConfigDict(extra="ignore")


class FunctionCall(Lenient):
    name: str
    arguments: str = "{}"


class ToolCall(Lenient):
    id: str = ""
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(Lenient):
    """One turn. Content is text: parts of other kinds are refused, because the model can't see them."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None

    @field_validator("content", mode="before")
    @classmethod
    def _joined(cls, content: Any) -> Any:
        if not isinstance(content, list):
            return content
        texts = []
        for index, part in enumerate(content):
            kind = part.get("type") if isinstance(part, dict) else None
            if kind not in ("text", "refusal", "input_text", "output_text") or not isinstance(
                part.get("text", part.get("refusal")), str
            ):
                raise ValueError(f"part {index} is of type {kind!r}; this model takes text only")
            texts.append(part.get("text", part.get("refusal")))
        return "".join(texts)

    @model_validator(mode="after")
    def _says_something(self) -> Message:
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise ValueError("content is missing")
        return self


class Function(Lenient):
    name: str = Field(min_length=1, max_length=128)
    description: str = ""
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    @field_validator("description", mode="before")
    @classmethod
    def _null_is_none(cls, value: Any) -> Any:
        return "" if value is None else value


class ToolSpec(Lenient):
    type: Literal["function"]
    function: Function


class NamedFunction(Body):
    name: str


class NamedToolChoice(Body):
    type: Literal["function"]
    function: NamedFunction


class JsonSchema(Body):
    name: str = "response"
    description: str | None = None
    schema_: dict[str, Any] | bool = Field(alias="schema")
    strict: bool | None = None


class TextFormat(Body):
    type: Literal["text"]


class JsonObjectFormat(Body):
    type: Literal["json_object"]


class JsonSchemaFormat(Body):
    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]


class StreamOptions(Body):
    include_usage: bool = False
    include_obfuscation: bool | None = None


class ChatRequest(Body):
    """A chat completion to make. None is "not given": the default then depends on what is asked."""

    model: str
    messages: list[Message] = Field(min_length=1)
    # what may come out
    tools: list[ToolSpec] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    grammar: str | None = Field(default=None, description="GBNF text that the answer follows")
    # how it is picked
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0)
    min_p: float | None = Field(default=None, ge=0, le=1)
    seed: int | None = None
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    repetition_penalty: float | None = Field(default=None, gt=0, le=10)
    logit_bias: dict[int, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=MAX_TOP_LOGPROBS)
    # when it ends
    stop: str | list[str] | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    n: int | None = None
    # how it is sent
    stream: bool | None = None
    stream_options: StreamOptions | None = None
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

    @field_validator("stop")
    @classmethod
    def _stops(cls, stop: str | list[str] | None) -> str | list[str] | None:
        stops = [stop] if isinstance(stop, str) else stop or []
        if len(stops) > MAX_STOPS:
            raise ValueError(f"at most {MAX_STOPS} stop strings")
        if "" in stops:
            raise ValueError("an empty stop string would stop everything")
        return stop

    @field_validator("tools")
    @classmethod
    def _names_differ(cls, tools: list[ToolSpec] | None) -> list[ToolSpec] | None:
        names = [tool.function.name for tool in tools or []]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two tools are named {twice!r}; names must differ")
        return tools

    @model_validator(mode="after")
    def _fits_together(self) -> ChatRequest:
        names = {tool.function.name for tool in self.tools or []}
        if isinstance(self.tool_choice, NamedToolChoice) and self.tool_choice.function.name not in names:
            known = ", ".join(sorted(names)) or "none"
            raise ValueError(f"tool_choice names {self.tool_choice.function.name!r}, which is not among the tools ({known})")
        if self.tool_choice in ("auto", "required") and not names:
            raise ValueError(f"tool_choice {self.tool_choice!r} needs tools")
        formatted = self.response_format is not None and self.response_format.type != "text"
        shapes = {
            "tools": bool(names) and self.tool_choice != "none",
            "response_format": formatted,
            "grammar": self.grammar is not None,
        }
        given = [name for name, there in shapes.items() if there]
        if len(given) > 1:
            hint = "; with tool_choice 'none' tools go with either" if "tools" in given else ""
            raise ValueError(f"{' and '.join(given)} can't shape one answer together: give one of them{hint}")
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs: true")
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options needs stream: true")
        return self

    @property
    def limit(self) -> int | None:
        """The most tokens to generate, by either name."""
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens

    @property
    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
