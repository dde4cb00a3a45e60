"""Consent at the terminal: a person is asked y/n on stderr before a call; where nobody sits there, the call is refused at once.

It owns the question's face and the words of the refusal. It knows no policy.
"""

from __future__ import annotations

import sys

import anyio.to_thread
import click

from portico_gateway.caller import Caller, question
from portico_gateway.errors import ConsentRequired
from portico_gateway.policy.approvals import Approval


def terminal_caller(client: str) -> Caller:
    """The user of a command line, as caller."""
    return Caller(client=client, consent=_consent, channel="terminal")


async def _consent(approval: Approval) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        how = f"there is no terminal to ask at; start with --allow {approval.tool} to allow it"
        raise ConsentRequired(approval.tool, approval.reason, how)
    return await anyio.to_thread.run_sync(_confirm, question(approval), abandon_on_cancel=True)


def _confirm(text: str) -> bool:
    return click.confirm(_printable(text), default=False, err=True)


def _printable(text: str) -> str:
    """Arguments come from a model that reads untrusted text: no control characters may redraw what the person decides on."""
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)
