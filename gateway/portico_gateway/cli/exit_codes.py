"""How a command ends: one number for each kind of end, the same in every command.

A command's own help says which of them it uses; `main.py` gives them to errors that no command took.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from portico_gateway.errors import ConfigError, GatewayError, ModelServerError, UpstreamError

if TYPE_CHECKING:
    from portico_gateway.agent.events import RunFinished

OK = 0
FAILED = 1  # the work failed, or there is no answer
USAGE = 2  # wrong usage or configuration
NO_MODEL = 3  # the model can't be had, or can't take the request
UNREACHABLE = 4  # an MCP server that is needed can't be reached
INTERRUPTED = 130  # Ctrl-C


def of_answer(finished: RunFinished) -> int:
    """How `portico ask` ends: OK where an answer was given, whatever else was found."""
    return OK if finished.judgement.answered else FAILED


def of_error(error: GatewayError) -> int:
    """How a command ends that an error ended."""
    if isinstance(error, ConfigError):
        return USAGE
    if isinstance(error, ModelServerError):
        return NO_MODEL
    return UNREACHABLE if isinstance(error, UpstreamError) else FAILED
