"""What a call is generated under: the tools that may be called as a question leaves them, and the prior over their calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from portico_engine import Tool, ToolCallPrior


@dataclass(frozen=True, slots=True)
class GuidedCall:
    """`free`: by tool, the paths of required values that nothing said fits, which the model writes by itself."""

    tools: tuple[Tool, ...]
    prior: ToolCallPrior | None
    free: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
