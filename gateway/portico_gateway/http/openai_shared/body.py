"""Parts of a body that OpenAI's APIs have in common: turns with their calls, and the forms of an answer."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from portico_gateway.http.generation.request import ToolCall, Turn
from portico_gateway.http.wire import LenientBody, StrictBody


class OpenAIFunctionCall(LenientBody):
    name: str
    arguments: str = "{}"


class OpenAIToolCall(LenientBody):
    id: str = ""
    type: Literal["function"] = "function"
    function: OpenAIFunctionCall


class OpenAIMessage(LenientBody):
    """One turn. Content is text: parts of other kinds are refused, because the model can't see them."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | None = None
    name: str | None = None
    tool_calls: list[OpenAIToolCall] | None = None
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
    def _says_something(self) -> OpenAIMessage:
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise ValueError("content is missing")
        return self

    def turn(self) -> Turn:
        calls = [ToolCall(call.id, call.function.name, call.function.arguments) for call in self.tool_calls or []]
        role = "system" if self.role == "developer" else self.role
        return Turn(role, self.content or "", self.name, tuple(calls), self.tool_call_id)


class TextFormat(StrictBody):
    type: Literal["text"]


class JsonObjectFormat(StrictBody):
    type: Literal["json_object"]


class NamedSchema(StrictBody):
    name: str = "response"
    description: str | None = None
    schema_: dict[str, Any] | bool = Field(alias="schema")
    strict: bool | None = None
