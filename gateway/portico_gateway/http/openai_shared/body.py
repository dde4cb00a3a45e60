"""Parts of a body that OpenAI's APIs have in common: turns with their calls, and the forms of an answer."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from portico_engine import TextInput
from portico_gateway.http.generation.request import ToolCall, Turn
from portico_gateway.http.generation.text_calls import text_arguments
from portico_gateway.http.wire import LenientBody, StrictBody


class OpenAIFunctionCall(LenientBody):
    name: str
    arguments: str = "{}"


class OpenAICustomCall(LenientBody):
    name: str
    input: str = ""


class OpenAIToolCall(LenientBody):
    id: str = ""
    type: Literal["function"] = "function"
    function: OpenAIFunctionCall

    def call(self) -> ToolCall:
        return ToolCall(self.id, self.function.name, self.function.arguments)


class OpenAICustomToolCall(LenientBody):
    id: str = ""
    type: Literal["custom"]
    custom: OpenAICustomCall

    def call(self) -> ToolCall:
        return ToolCall(self.id, self.custom.name, text_arguments(self.custom.input))


class CustomGrammar(LenientBody):
    """A language of texts."""

    syntax: Literal["lark", "regex"]
    definition: str

    def text_input(self) -> TextInput:
        return TextInput(self.syntax, self.definition)


class CustomTextFormat(LenientBody):
    type: Literal["text"]

    def text_input(self) -> TextInput:
        return TextInput()


class AllowedTools(LenientBody):
    """Some of the tools: a call may name these, and the others stay in the prompt."""

    mode: Literal["auto", "required"] = "auto"
    tools: list[dict[str, Any]] = Field(min_length=1)


def tool_kind(tool: Any) -> str | None:
    """The tag of a tool's kind, where a union has a place for the kinds that it doesn't know."""
    kind = tool.get("type") if isinstance(tool, dict) else getattr(tool, "type", None)
    return kind if kind in ("function", "custom", "namespace", "mcp") else "other" if isinstance(kind, str) else None


class OpenAIMessage(LenientBody):
    """One turn. Content is text: parts of other kinds are refused, because the model can't see them."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | None = None
    name: str | None = None
    tool_calls: list[OpenAIToolCall | OpenAICustomToolCall] | None = None
    tool_call_id: str | None = None

    @field_validator("content", mode="before")
    @classmethod
    def _joined(cls, content: Any) -> Any:
        if not isinstance(content, list):
            return content
        texts = []
        for index, part in enumerate(content):
            kind = part.get("type") if isinstance(part, dict) else None
            if kind not in ("text", "refusal", "input_text", "output_text"):
                raise ValueError(f"part {index} is of type {kind!r}; this model takes text only")
            text = part.get("text", part.get("refusal"))
            if not isinstance(text, str):
                raise ValueError(f"part {index} has no text: its 'text' must be a string")
            texts.append(text)
        return "".join(texts)

    @model_validator(mode="after")
    def _says_something(self) -> OpenAIMessage:
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise ValueError("content is missing")
        return self

    def turn(self) -> Turn:
        calls = [call.call() for call in self.tool_calls or []]
        role = "system" if self.role == "developer" else self.role
        return Turn(role, self.content or "", self.name, tuple(calls), self.tool_call_id)


class StreamOptions(LenientBody):
    """How chunks are sent, where the API has chunks of one shape."""

    include_usage: bool = False


class TextFormat(StrictBody):
    type: Literal["text"]


class JsonObjectFormat(StrictBody):
    type: Literal["json_object"]


class NamedSchema(StrictBody):
    name: str = "response"
    description: str | None = None
    schema_: dict[str, Any] | bool = Field(alias="schema")
    strict: bool | None = None
