"""The bodies of POST /tokenize and /detokenize: vLLM's fields, and llama.cpp's `content`."""

from __future__ import annotations

from pydantic import Field, model_validator

from portico_gateway.http.generation.request import FieldNames, GenerationRequest
from portico_gateway.http.openai_shared.body import OpenAIMessage
from portico_gateway.http.wire import ApiBody

_FIELDS = FieldNames(messages="messages", max_tokens="max_tokens", response_format="response_format")


class TokenizeRequest(ApiBody):
    """A text, or a conversation as the model's template writes it, up to where the answer begins."""

    WITHOUT_EFFECT = frozenset({"add_special_tokens", "add_special", "parse_special"})

    model: str | None = None
    prompt: str | None = None
    content: str | None = None
    messages: list[OpenAIMessage] | None = Field(default=None, min_length=1)
    with_pieces: bool = False
    return_token_strs: bool | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> TokenizeRequest:
        if sum(each is not None for each in (self.prompt, self.content, self.messages)) != 1:
            raise ValueError("give one of prompt, content and messages")
        return self

    @property
    def text(self) -> str:
        return (self.prompt if self.prompt is not None else self.content) or ""

    def to_generation(self, model: str) -> GenerationRequest:
        """The conversation, as a request that would go on from it."""
        return GenerationRequest(model, tuple(message.turn() for message in self.messages or []), _FIELDS)


class DetokenizeRequest(ApiBody):
    """Tokens of the model's."""

    model: str | None = None
    tokens: list[int]
