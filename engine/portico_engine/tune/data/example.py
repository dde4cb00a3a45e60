"""What every source of training data yields: a question, the tools that it is about, and the calls that answer it.

It owns that form alone. Which other tools stand beside, how names are written and what the prompt says is decided later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from portico_engine.tool import Tool


class Call(NamedTuple):
    """A tool, and what it is called with."""

    tool: Tool
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """One question. No calls: none of `offered` answers it. `domain` names the set that it is of."""

    question: str
    calls: tuple[Call, ...]
    origin: str
    licence: str
    domain: str = ""
    offered: tuple[Tool, ...] = ()
