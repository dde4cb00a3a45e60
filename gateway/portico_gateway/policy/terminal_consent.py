"""Consent at the terminal: a person is asked y/n before a call; where nobody sits there, the call is refused at once.

It owns what the terminal shows and the words of the refusal. It knows no policy, and not whose process's terminal it is.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable

import anyio.to_thread
import click

from portico_gateway.caller import Caller, ConsentRequest
from portico_gateway.errors import ConsentRequired
from portico_gateway.policy.consent import consent_question

Confirm = Callable[[str], Awaitable[bool]]  # asks y or n


def terminal_caller(client: str) -> Caller:
    """The user of a command line, as caller."""

    def nobody() -> bool:
        return not (sys.stdin.isatty() and sys.stderr.isatty())

    return _caller(client, nobody, _confirm_here)


def remote_terminal_caller(client: str, can_be_asked: bool, confirm: Confirm) -> Caller:
    """The user of a command line elsewhere, who is asked by `confirm`."""
    return _caller(client, lambda: not can_be_asked, confirm)


def _caller(client: str, nobody: Callable[[], bool], confirm: Confirm) -> Caller:
    async def consent(request: ConsentRequest) -> bool:
        if nobody():
            how = f"there is no terminal to ask at; start with --allow {request.tool} to allow it"
            raise ConsentRequired(request.tool, request.reason, how)
        return await confirm(consent_question(request))

    return Caller(client=client, consent=consent, channel="terminal")


async def _confirm_here(text: str) -> bool:
    return await anyio.to_thread.run_sync(confirm_at_terminal, text, abandon_on_cancel=True)


def confirm_at_terminal(text: str) -> bool:
    """Ask on stderr; no answer is no."""
    return click.confirm(text, default=False, err=True)
