"""A conversation, where an engine's prompt is expected: only its own server makes tokens of it.

Its length is a guess, on the low side: a server refuses what is too long, and what it would take must not be refused here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

_CHARACTERS_A_TOKEN = 5


class RemotePrompt(tuple[int, ...]):
    """As long as the conversation is in tokens, about; its entries mean nothing. `messages` is the conversation; a text to go
    on from has none."""

    messages: tuple[Mapping[str, Any], ...]
    variables: dict[str, Any]  # for the template of the server
    text: str

    @classmethod
    def of_messages(cls, messages: Sequence[Mapping[str, Any]], variables: Mapping[str, Any] | None = None) -> RemotePrompt:
        made = cls(_zeros(sum(len(str(message.get("content") or "")) for message in messages)))
        made.messages, made.variables, made.text = tuple(messages), dict(variables or {}), ""
        return made

    @classmethod
    def of_text(cls, text: str) -> RemotePrompt:
        made = cls(_zeros(len(text)))
        made.messages, made.variables, made.text = (), {}, text
        return made

    @property
    def prefix_key(self) -> str:
        """The same for prompts that begin alike: those with the same instructions and tools."""
        first = str(self.messages[0].get("content")) if self.messages else self.text[:1024]
        return sha256(first.encode("utf-8", "surrogatepass")).hexdigest()


def _zeros(characters: int) -> tuple[int, ...]:
    return (0,) * max(1, characters // _CHARACTERS_A_TOKEN)
