"""What a person is asked before a call that needs consent, and asking it through the host's own dialog.

It owns the question's words; `terminal_consent.py` asks it at a terminal. It knows no policy.
"""

from __future__ import annotations

import json
from typing import Any

import mcp_types

from portico_gateway.caller import AskConsent, AskHost, ConsentRequest
from portico_gateway.policy.visible_text import by_its_ends, shortened, visible

_MAX_ARGUMENTS = 8000  # characters of all arguments in a question to a person, long texts by their ends


def consent_question(request: ConsentRequest) -> str:
    """What a person is asked before a call, with all of the arguments that the consent is bound to."""
    return visible(f"Allow one call of {request.tool}? ({request.reason})") + f"\nArguments: {_as_text(request.arguments)}"


def consent_by_elicitation(ask: AskHost) -> AskConsent:
    """Consent through a host's own dialog: accepting it is consent, whatever else is none."""

    async def consent(request: ConsentRequest) -> bool:
        form = mcp_types.ElicitRequestFormParams(
            message=consent_question(request), requested_schema={"type": "object", "properties": {}}
        )
        answer = await ask(mcp_types.ElicitRequest(params=form))
        return isinstance(answer, mcp_types.ElicitResult) and answer.action == "accept"

    return consent


def _as_text(arguments: Any) -> str:
    """The arguments as JSON, in which nothing hides: a long text by its ends, length and digest, in its place; only where the
    places alone are too many, the whole is."""
    text = json.dumps(shortened(arguments), ensure_ascii=False, default=str)
    if len(text) > _MAX_ARGUMENTS:
        text = by_its_ends(json.dumps(arguments, ensure_ascii=False, default=str), _MAX_ARGUMENTS)
    return visible(text)
