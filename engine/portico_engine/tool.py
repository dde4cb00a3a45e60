"""A tool as the engine sees one: for chat templates and grammars alike. It knows neither MCP nor HTTP, nor who runs it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

TEXT_PARAMETER = "input"  # the one argument of a tool that takes a text
_TEXT_PARAMETERS: Mapping[str, Any] = MappingProxyType(
    {
        "type": "object",
        "properties": {TEXT_PARAMETER: {"type": "string"}},
        "required": [TEXT_PARAMETER],
        "additionalProperties": False,
    }
)


@dataclass(frozen=True, slots=True)
class TextInput:
    """What a tool takes that takes one text: any text, or one in the language of `definition`."""

    syntax: Literal["any", "lark", "regex"] = "any"
    definition: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call. One with a `text_input` is called with {"input": TEXT} and nothing else."""

    name: str
    description: str
    parameters: dict[str, Any]  # JSON Schema, 2020-12 or draft-07
    text_input: TextInput | None = None
    _schema_text: str = field(default="", init=False, repr=False, compare=False)

    @property
    def schema_text(self) -> str:
        """`parameters` as JSON, keys in their order, by which what is made of them is kept: written once. Raises ValueError and
        RecursionError for numbers of thousands of digits and for what nests too deeply.
        """
        if not self._schema_text:
            object.__setattr__(self, "_schema_text", json.dumps(self.parameters, default=str))
        return self._schema_text


def text_tool(name: str, description: str, text_input: TextInput) -> Tool:
    """A tool that takes one text."""
    return Tool(name, description, dict(_TEXT_PARAMETERS), text_input)
