"""A tool as the engine sees one: for chat templates and grammars alike. It knows neither MCP nor HTTP, nor who runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call."""

    name: str
    description: str
    parameters: dict[str, Any]  # JSON Schema, 2020-12 or draft-07
