"""One answer of the model, as it is written: its thought, its text, its calls. It knows no tools and runs nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from portico_engine import Delta, FinishReason, Usage
from portico_engine.grammar import ArgumentsText, CallFinished, CallStarted, ContentText, ThinkingText, ToolCallParser
from portico_gateway.agent.events import AnswerText, ThoughtText
from portico_gateway.agent.free.local.tool_form import ToolForm
from portico_gateway.agent.free.turns import ModelTurn, WrittenCall


@dataclass(slots=True)
class ParsedTurn:
    """Feed it the deltas; each gives what a reader is shown. Only whole calls are in `calls`.

    Near the end of its budget a grammar leaves only what can still be closed, so that a turn of `most_tokens` looks whole and
    is cut all the same: its last call may say less than it was to say, and is none.
    """

    form: ToolForm
    most_tokens: int | None = None
    text: str = ""
    thought: str = ""
    calls: list[WrittenCall] = field(default_factory=list)
    ended: bool = False  # by the model; else it was cut, by its length or by time
    _parser: ToolCallParser = field(init=False)

    def __post_init__(self) -> None:
        self._parser = ToolCallParser(self.form.format, constrained=True, thinking=self.form.thinks)

    @property
    def turn(self) -> ModelTurn:
        return ModelTurn(self.text.strip(), self.thought.strip(), tuple(self.calls))

    def feed(self, delta: Delta, on_call_text: Callable[[str], None] = lambda text: None) -> Iterator[AnswerText | ThoughtText]:
        """What a reader is shown; `on_call_text` hears calls before they are whole."""
        events = self._parser.feed(delta.text) if delta.text else []
        if delta.finish_reason is not None:
            events = [*events, *self._parser.finish()]
        for event in events:
            match event:
                case ContentText(text):
                    self.text += text
                    yield AnswerText(text)
                case ThinkingText(text):
                    self.thought += text
                    yield ThoughtText(text)
                case CallStarted(_, name):
                    on_call_text(f"{name} ")
                case ArgumentsText(_, text):
                    on_call_text(text)
                case CallFinished(_, name, arguments):
                    self.calls.append(WrittenCall(name, json.loads(arguments)))
        if delta.finish_reason is FinishReason.STOP:
            self._stop(delta.usage or Usage())

    def _stop(self, usage: Usage) -> None:
        self.ended = self.most_tokens is None or usage.completion_tokens < self.most_tokens
        if not self.ended and self.calls:
            self.calls.pop()
