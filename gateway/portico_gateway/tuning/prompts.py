"""What the product says of tools, as training rows have to say it: the system messages of `serve` and of `ask`."""

from __future__ import annotations

from collections.abc import Sequence

from portico_engine import Tool
from portico_gateway.agent import prompts
from portico_gateway.agent.tool_signatures import explained_signature, signature
from portico_gateway.http.generation import prompt

TRAINED_ON = prompt.EXPLAINED  # what adapters are called that were trained on `serve_system`


def serve_system(tools: Sequence[Tool]) -> str:
    """What `serve` says of the tools to an adapter that reads explained parameters."""
    return prompt.tools_note("\n".join(explained_signature(tool) for tool in tools))


def ask_system(tools: Sequence[Tool]) -> str:
    """What `ask` says of the tools."""
    return prompts.SYSTEM + "\n".join(signature(tool) for tool in tools) + prompts.CALL_FORM
