"""The conversation: a line is read, a question asked or a command run, until the person goes.

It owns interrupts: Ctrl-C ends the answer under way and not the conversation.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass

import anyio
import platformdirs
from rich.console import Console
from rich.text import Text

from portico_engine.errors import EngineError
from portico_gateway.assembly.ask_session import AskParts, Update
from portico_gateway.cli.chat.consent import ConsentPrompt
from portico_gateway.cli.chat.line_editor import LineEditor
from portico_gateway.cli.chat.session import ChatSession
from portico_gateway.cli.chat.slash_commands import HELP, Context, EndOfChat, OtherModel, run_command
from portico_gateway.cli.chat.view import ChatView
from portico_gateway.cli.view import ProgressLine
from portico_gateway.errors import GatewayError
from portico_gateway.safe_output.inert import inert

PROMPT = "» "
# Servers and the model, by its name or None for the configured one.
OpenParts = Callable[[str | None, Update], AbstractAsyncContextManager[AskParts]]


@dataclass(slots=True)
class Chat:
    """One person's conversation at this terminal."""

    open_parts: OpenParts
    places: Sequence[str]
    console: Console
    resume: bool = False

    async def run(self) -> None:
        """Until the person goes. Raises EngineError and GatewayError where the first model or server can't be had."""
        history = platformdirs.user_state_path("portico", appauthor=False) / "chat_history"
        editor = LineEditor(history, HELP)
        model: str | None = None
        while True:
            try:
                await self._with_model(model, editor)
                return
            except OtherModel as other:
                self.resume = True
                model = await self._usable(other.name, model)

    async def _usable(self, wanted: str, before: str | None) -> str | None:
        """The wanted model's name if there is such a model, else the one before, and why."""
        from portico_engine import find_model

        try:
            find_model(wanted)
        except EngineError as error:
            self._complain(str(error))
            return before
        return wanted

    async def _with_model(self, model: str | None, editor: LineEditor) -> None:
        consent = ConsentPrompt(self.console, editor)
        with ProgressLine(self.console) as progress:
            async with self.open_parts(model, progress.update) as parts:
                chat = ChatSession.begin(parts, consent.caller(), self.places, resume=self.resume)
                progress.stop()
                for server, why in chat.session.failures().items():
                    self._complain(f"server {server} is not available: {why}")
                n_tools = len(chat.session.host.tools())
                known = f"; the conversation goes on after {len(chat.exchanges)} exchanges" if chat.exchanges else ""
                self.console.print(Text(inert(f"{chat.model}, {n_tools} tools{known}; /help says more"), style="dim"))
                await self._converse(chat, consent, editor)

    async def _converse(self, chat: ChatSession, consent: ConsentPrompt, editor: LineEditor) -> None:
        while True:
            try:
                line = (await editor.read(PROMPT)).strip()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            try:
                if line.startswith("/"):
                    await run_command(Context(chat, self.console), line)
                elif line:
                    await self._question(chat, consent, line)
            except EndOfChat:
                return
            except (EngineError, GatewayError) as error:
                self._complain(str(error))

    async def _question(self, chat: ChatSession, consent: ConsentPrompt, question: str) -> None:
        view = consent.view = ChatView(self.console)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._interrupt, tasks.cancel_scope)
                async with aclosing(chat.ask(question, view.call_text)) as events:
                    async for event in events:
                        view.handle(event)
                tasks.cancel_scope.cancel()
        finally:
            view.close()
            consent.view = None

    async def _interrupt(self, answering: anyio.CancelScope) -> None:
        """Ctrl-C ends the answer."""
        with anyio.open_signal_receiver(signal.SIGINT) as signals:
            async for _ in signals:
                self.console.print(Text("\ninterrupted", style="yellow"))
                answering.cancel()
                return

    def _complain(self, text: str) -> None:
        self.console.print(Text(inert(text), style="red"))
