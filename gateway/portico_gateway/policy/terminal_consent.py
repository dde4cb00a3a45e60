"""Consent at the terminal: a person is asked y/n on stderr before a call; where nobody sits there, the call is refused at once.

It owns what the terminal shows and the words of the refusal. It knows no policy.
"""

from __future__ import annotations

import sys

import anyio.to_thread
import click

from portico_gateway.caller import Caller, ConsentRequest
from portico_gateway.errors import ConsentRequired
from portico_gateway.policy.consent import consent_question


def terminal_caller(client: str) -> Caller:
    """The user of a command line, as caller."""
    return Caller(client=client, consent=_ask_at_terminal, channel="terminal")


async def _ask_at_terminal(request: ConsentRequest) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        how = f"there is no terminal to ask at; start with --allow {request.tool} to allow it"
        raise ConsentRequired(request.tool, request.reason, how)
    return await anyio.to_thread.run_sync(_confirm, consent_question(request), abandon_on_cancel=True)


def _confirm(text: str) -> bool:
    return click.confirm(text, default=False, err=True)
