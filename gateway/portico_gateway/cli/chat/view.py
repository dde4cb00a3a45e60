"""A question's events as a person at the terminal reads them: calls as they are decoded, their results, Markdown as it
streams."""

from __future__ import annotations

from rich.console import Console
from rich.live import Live
from rich.text import Text

from portico_gateway.agent.events import AnswerText, Event, RunFinished, ThoughtText, ToolCallStarted
from portico_gateway.cli.chat.markdown_stream import MarkdownStream
from portico_gateway.cli.view import TerminalView
from portico_gateway.safe_output.inert import inert_line


class ChatView:
    """Of one question. `close` must be called, however the question ends, and before anybody is asked anything."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._events = TerminalView(console)
        self._answer: MarkdownStream | None = None
        self._call = ""
        self._call_line: Live | None = None

    def handle(self, event: Event) -> None:
        """The next event."""
        if isinstance(event, AnswerText):
            self._end_call()
            if self._answer is None:
                self._console.print()
                self._answer = MarkdownStream(self._console)
            self._answer.feed(event.text)
            return
        if not isinstance(event, ThoughtText):
            self.close()
        if isinstance(event, ToolCallStarted | RunFinished):
            self._end_call()
        self._events.handle(event)

    def call_text(self, text: str) -> None:
        """A piece of a call that is being decoded: one line, replaced as it grows, and by the whole call at last."""
        self._call += text
        if not self._console.is_terminal:
            return
        if self._call_line is None:
            self._close_answer()
            self._call_line = Live(console=self._console, auto_refresh=False, transient=True)
            self._call_line.start()
        shown = inert_line(self._call)
        room = max(10, self._console.width - 4)
        tail = shown if len(shown) <= room else f"…{shown[-room + 1 :]}"
        self._call_line.update(Text(f"→ {tail}", style="dim", no_wrap=True, overflow="crop"), refresh=True)

    def close(self) -> None:
        """Leave the terminal to others: nothing is drawn over what comes."""
        self._end_call()
        self._close_answer()

    def _close_answer(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def _end_call(self) -> None:
        self._call = ""
        if self._call_line is not None:
            self._call_line.stop()
            self._call_line = None
