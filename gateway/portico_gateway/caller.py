"""Who calls a tool, and how that side can be asked something while the call runs.

One shape for an MCP host of either era, the terminal and the gateway's own model: consent, and what servers ask of a user, a
model or a file system, all go through it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import mcp_types

from portico_gateway.policy.approvals import Approval, Channel

Ask: TypeAlias = Callable[[mcp_types.InputRequest], Awaitable[mcp_types.InputResponse]]
Consent: TypeAlias = Callable[[Approval], Awaitable[bool]]
_SHOWN = 2000  # characters of arguments in a question to a person

# The caller of the running task's operation: what an upstream of 2026-07-28 asks comes back within that task.
current_caller: ContextVar[Caller | None] = ContextVar("current_caller", default=None)


@dataclass(frozen=True, slots=True)
class Caller:
    """`name`: the key's or "local"; `client`: what the host calls itself. `consent` asks a person for one exact call."""

    name: str = "local"
    client: str = ""
    conversation: str = ""  # calls of one conversation share what they have read
    capabilities: mcp_types.ClientCapabilities = field(default_factory=mcp_types.ClientCapabilities)
    ask: Ask | None = None  # raises MCPError where the host answers with an error
    consent: Consent | None = None
    channel: Channel = "elicitation"  # how `consent` asks


def takes_elicitation(capabilities: mcp_types.ClientCapabilities, mode: str) -> bool:
    """Whether a host with these can show a "form" or open a "url". Those that declare neither mode mean forms."""
    can = capabilities.elicitation
    if can is None:
        return False
    return can.url is not None if mode == "url" else can.form is not None or can.url is None


@contextmanager
def asked_for(caller: Caller) -> Iterator[None]:
    """What upstreams ask within the block is for `caller`."""
    token = current_caller.set(caller)
    try:
        yield
    finally:
        current_caller.reset(token)


def consent_by_elicitation(ask: Ask) -> Consent:
    """Consent through a host's own dialog: accepting it is consent, whatever else is none."""

    async def consent(approval: Approval) -> bool:
        form = mcp_types.ElicitRequestFormParams(
            message=question(approval), requested_schema={"type": "object", "properties": {}}
        )
        answer = await ask(mcp_types.ElicitRequest(params=form))
        return isinstance(answer, mcp_types.ElicitResult) and answer.action == "accept"

    return consent


def question(approval: Approval) -> str:
    """What a person is asked before a call, with the arguments that the consent is bound to."""
    return f"Allow one call of {approval.tool}? ({approval.reason})\nArguments: {_shown(approval.arguments)}"


def _shown(arguments: Any) -> str:
    text = json.dumps(arguments, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… (the first {_SHOWN} of {len(text)} characters)"
