"""A question at the terminal, whichever process answers it: what it is about, and how its answer is shown.

It owns the order of what is shown and the conversation that is kept. The session, and so the servers and the model, is given.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from portico_gateway.cli import exit_codes

if TYPE_CHECKING:
    from portico_gateway.agent.conversation import Exchange
    from portico_gateway.agent.events import Event, RunFinished
    from portico_gateway.assembly.ask_session import AskSession, Update
    from portico_gateway.background.protocol import AskedQuestion
    from portico_gateway.cli.screen import Screen
    from portico_gateway.config.config_file import ConfigFile

NO_ANSWER = "No answer."  # what a conversation keeps in its place
OpenSession = Callable[["Update"], "AbstractAsyncContextManager[AskSession]"]


@dataclass(frozen=True, slots=True)
class AskOptions:
    """What a question is about: the configuration that counts, the workspace, the model and its adapter."""

    config: ConfigFile | None
    root: Path | None
    docs: tuple[Path, ...]
    db: tuple[str, ...]
    model: str | None
    adapter: str | None = None

    @property
    def flags(self) -> dict[str, str | None]:
        """What the command line says over the configuration."""
        return {"model.name": self.model, "model.adapter": self.adapter}


async def answer(open_session: OpenSession, question: AskedQuestion, screen: Screen) -> int:
    """Answer in a session, whoever's it is, and show it on `screen`. Returns the exit code."""
    from portico_gateway.agent import conversation
    from portico_gateway.cli.view import ProgressLine, TerminalView, as_json_object

    kept = conversation.path_of(question.places)
    history = conversation.load(kept) if question.go_on else []
    handle = None if question.as_json else TerminalView(screen.out, started=question.started).handle
    with ProgressLine(screen.err) as progress:
        async with open_session(progress.update) as session:
            progress.stop()
            for server, why in session.failures().items():
                screen.complain(f"server {server} is not available: {why}")
            if not session.host.tools():
                screen.complain("no server could be started, so there is nothing to ask")
                return exit_codes.UNREACHABLE
            session.host.person_said(question.text)
            session.host.question = question.text
            finished = await _watch(session.agent.ask(question.text, history=history, max_steps=question.max_steps), handle)
            if question.as_json:
                screen.print_line(as_json_object(finished, session.failures(), session.model, started=question.started))
    try:
        conversation.save(kept, [*history, exchange_of(finished)])
    except OSError as error:  # a disk that is full or read-only costs --continue, and not the answer
        screen.complain(f"portico: the conversation can't be kept in {kept}: {error.strerror or error}")
    return exit_codes.of_answer(finished)


def exchange_of(finished: RunFinished) -> Exchange:
    """What is kept of a question. A call counts as right where its answer was given."""
    from portico_gateway.agent.conversation import Exchange, KeptCall

    answered = finished.judgement.answered
    calls = tuple(KeptCall(call.tool, call.arguments, answered and call.result.found) for call in finished.tool_calls)
    return Exchange(finished.question, finished.answer or NO_ANSWER, calls)


async def _watch(events: AsyncIterator[Event], handle: Callable[[Event], None] | None) -> RunFinished:
    from portico_gateway.agent.events import RunFinished

    async for event in events:
        if handle is not None:
            handle(event)
        if isinstance(event, RunFinished):
            return event
    raise AssertionError("the loop ended without an end")
