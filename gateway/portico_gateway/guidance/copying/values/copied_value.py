"""CopiedValue: a JSON value that a parameter may have, and where it is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portico_gateway.guidance.copying.text.span import Span


@dataclass(frozen=True, slots=True)
class CopiedValue:
    """A JSON value that a parameter may have, with its weight in nats; `span` where it was copied from."""

    value: Any
    weight: float
    span: Span | None = None
    evidence: float = 0.0  # the part of the weight that the question's words make out
    listed: bool = False  # one that the schema lists: two parameters may mean the same words
