"""Consent within a conversation: a call is approved, denied, edited in place, or its approval remembered for a while."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from portico_gateway.caller import Caller, ConsentAnswer, ConsentRequest, Remember
from portico_gateway.policy.consent import SPANS, consent_question
from portico_gateway.safe_output.inert import inert, inert_json

if TYPE_CHECKING:
    from portico_gateway.cli.chat.line_editor import LineEditor
    from portico_gateway.cli.chat.view import ChatView

NO = ConsentAnswer(False)


class ConsentPrompt:
    """Asks at the conversation's own terminal. `view` is what is being shown, which makes room for the question."""

    def __init__(self, console: Console, editor: LineEditor) -> None:
        self._console = console
        self._editor = editor
        self.view: ChatView | None = None

    def caller(self) -> Caller:
        """The person at the terminal, as caller."""
        return Caller(client="portico chat", consent=self._ask, channel="terminal")

    async def _ask(self, request: ConsentRequest) -> ConsentAnswer:
        """Ctrl-C and Ctrl-D say no."""
        if self.view is not None:
            self.view.close()
        self._console.print(Text(inert(consent_question(request)), style="yellow"))
        try:
            return await self._answer(request)
        except (EOFError, KeyboardInterrupt):
            return NO

    async def _answer(self, request: ConsentRequest) -> ConsentAnswer:
        can_edit = request.schema is not None
        offered = ["y = yes", "n = no"]
        offered += ["e = edit the arguments"] if can_edit else []
        offered += ["r = yes, and remember it"] if request.may_remember else []
        while True:
            chosen = (await self._editor.ask(f"[{', '.join(offered)}] ")).strip().lower()[:1]
            if chosen in ("y", "n", ""):
                return ConsentAnswer(chosen == "y")
            if chosen == "e" and can_edit and (edited := await self._edited(request)) is not None:
                return ConsentAnswer(True, edited)
            if chosen == "r" and request.may_remember:
                return ConsentAnswer(True, remember=await self._remember())

    async def _edited(self, request: ConsentRequest) -> dict[str, object] | None:
        """The arguments as the person leaves them; None where they left nothing."""
        text = inert_json(dict(request.arguments))
        while True:
            text = await self._editor.ask("arguments: ", text)
            if not text.strip():
                return None
            try:
                edited = json.loads(text)
            except ValueError as error:
                self._console.print(Text(inert(f"this is not valid JSON: {error}"), style="red"))
                continue
            if isinstance(edited, dict):
                return edited
            self._console.print(Text("the arguments must be a JSON object", style="red"))

    async def _remember(self) -> Remember:
        spans = list(SPANS)
        listed = ", ".join(f"{number} = {span}" for number, span in enumerate(spans, 1))
        chosen = (await self._editor.ask(f"for how long? [{listed}] ", "1")).strip()
        seconds = SPANS[spans[int(chosen) - 1]] if chosen in map(str, range(1, len(spans) + 1)) else SPANS[spans[0]]
        whichever = (await self._editor.ask("for any arguments, not these alone? [y/N] ")).strip().lower()[:1] == "y"
        return Remember(seconds, "any" if whichever else "exact")
