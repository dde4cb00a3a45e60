"""Consent at the terminal: a person is asked before a call, may change its arguments and have the answer count for a while;
where nobody sits there, the call is refused at once.

It owns what the terminal shows, how an answer is read, and the words of the refusal. It knows no policy, and not whose
process's terminal it is: the question and the answer are JSON, so that they can cross to another.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio.to_thread
import click

from portico_gateway.caller import Caller, ConsentAnswer, ConsentRequest, Remember
from portico_gateway.errors import ConsentRequired
from portico_gateway.policy.consent import SPANS, consent_question
from portico_gateway.safe_output.inert import inert, inert_json

Ask = Callable[[Any], Awaitable[Any]]  # a question as JSON to an answer as JSON
_CHOICES = {"y": "yes", "n": "no", "e": "edit the arguments", "r": "yes, and remember it"}


def terminal_caller(client: str) -> Caller:
    """The user of a command line, as caller."""

    def nobody() -> bool:
        return not (sys.stdin.isatty() and sys.stderr.isatty())

    return _caller(client, nobody, _ask_here)


def remote_terminal_caller(client: str, can_be_asked: bool, ask: Ask) -> Caller:
    """The user of a command line elsewhere, who is asked by `ask`."""
    return _caller(client, lambda: not can_be_asked, ask)


def _caller(client: str, nobody: Callable[[], bool], ask: Ask) -> Caller:
    async def consent(request: ConsentRequest) -> ConsentAnswer:
        if nobody():
            how = f"there is no terminal to ask at; start with --allow {request.tool} to allow it"
            raise ConsentRequired(request.tool, request.reason, how)
        return read_answer(await ask(question_json(request)))

    return Caller(client=client, consent=consent, channel="terminal")


def question_json(request: ConsentRequest) -> dict[str, Any]:
    """What is asked; `arguments` are there where they may be changed."""
    editable = {} if request.schema is None else {"arguments": dict(request.arguments)}
    return {"text": consent_question(request), "may_remember": request.may_remember, **editable}


def read_answer(answer: Any) -> ConsentAnswer:
    """What came back. Anything that is no answer is no."""
    if not isinstance(answer, Mapping):
        return ConsentAnswer(answer is True)
    arguments, remember = answer.get("arguments"), answer.get("remember")
    span = Remember(**remember) if isinstance(remember, Mapping) else None
    return ConsentAnswer(answer.get("approve") is True, arguments if isinstance(arguments, dict) else None, span)


async def _ask_here(question: Any) -> Any:
    return await anyio.to_thread.run_sync(ask_at_terminal, question, abandon_on_cancel=True)


def ask_at_terminal(question: Mapping[str, Any]) -> dict[str, Any]:
    """Ask on stderr; no answer is no."""
    arguments = question.get("arguments")
    offered = {
        letter: words
        for letter, words in _CHOICES.items()
        if (letter != "e" or arguments is not None) and (letter != "r" or question.get("may_remember"))
    }
    click.echo(inert(str(question["text"])), err=True)
    shown = ", ".join(f"{letter} = {words}" for letter, words in offered.items())
    while True:
        chosen = click.prompt(f"[{shown}]", default="n", show_default=False, err=True).strip().lower()[:1]
        if chosen == "e" and "e" in offered:
            edited = _edited(arguments)
            if edited is not None:
                return {"approve": True, "arguments": edited}
        elif chosen == "r" and "r" in offered:
            return {"approve": True, "remember": _remember()}
        elif chosen in offered:
            return {"approve": chosen == "y"}


def _edited(arguments: Any) -> dict[str, Any] | None:
    """The arguments as the person's editor leaves them; None where nothing was saved, or it is no JSON object."""
    text = click.edit(inert_json(arguments, indent=2), extension=".json")
    if text is None:
        click.echo("nothing was saved, so nothing was changed", err=True)
        return None
    try:
        edited = json.loads(text)
    except ValueError as error:
        click.echo(inert(f"this is not valid JSON: {error}"), err=True)
        return None
    if not isinstance(edited, dict):
        click.echo("the arguments must be a JSON object", err=True)
        return None
    return edited


def _remember() -> dict[str, Any]:
    """For how long, and for which calls."""
    spans = list(SPANS)
    listed = ", ".join(f"{number} = {span}" for number, span in enumerate(spans, 1))
    number = click.prompt(f"For how long? [{listed}]", type=click.IntRange(1, len(spans)), default=1, err=True)
    any_arguments = click.confirm("For any arguments, not these alone?", default=False, err=True)
    return {"seconds": SPANS[spans[number - 1]], "arguments": "any" if any_arguments else "exact"}
