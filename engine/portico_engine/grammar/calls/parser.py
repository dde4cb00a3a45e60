"""Generated text -> content, thoughts and calls, as the text arrives.

It owns the states of one answer: thinking, free text, a run of calls. What is not a call after all (a free model's text)
comes out as content, unchanged. A call that the text breaks off never comes out as finished.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TypeAlias

from portico_engine.grammar.calls.body import CallBody, Malformed, NamedBody
from portico_engine.grammar.calls.formats import (
    ANSWER_MARK,
    CALLS_BEGIN,
    PYTHON_TAG,
    THINK_CLOSE,
    THINK_OPEN,
    TOOL_CALLS,
    CallFormat,
)
from portico_engine.grammar.calls.value_scanner import WHITESPACE


@dataclass(frozen=True, slots=True)
class ContentText:
    """Text for the reader."""

    text: str


@dataclass(frozen=True, slots=True)
class ThinkingText:
    """Text of the model's thought, without its tags."""

    text: str


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A call whose name is known. Indexes count from 0 through the answer."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class ArgumentsText:
    """More of a call's arguments; all of them joined are its JSON text."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class CallFinished:
    """A whole call. `arguments_json` is a JSON object's text."""

    index: int
    name: str
    arguments_json: str


@dataclass(frozen=True, slots=True)
class CallCut:
    """A started call that the text broke off or that turned out malformed: it must not be run."""

    index: int
    name: str
    reason: str


AnswerEvent: TypeAlias = ContentText | ThinkingText | CallStarted | ArgumentsText | CallFinished | CallCut

_MARKERS = {
    CallFormat.HERMES: ("<tool_call>",),
    CallFormat.MISTRAL: (TOOL_CALLS,),
    CallFormat.MISTRAL_ARGS: (TOOL_CALLS,),
}
_HERMES_CLOSE = "</tool_call>"


class _In(enum.Enum):
    START = enum.auto()  # nothing but whitespace so far
    THINKING = enum.auto()
    TEXT = enum.auto()
    JSON = enum.auto()  # an answer, to its end
    RUN = enum.auto()  # of calls, between bodies
    BODY = enum.auto()


@dataclass(slots=True)
class ToolCallParser:
    """One answer's parser. `constrained`: the text was generated under our grammar, so that what looks like a call is one.

    `structured`: the text is calls, or else JSON (`compile_tool_calls` with an answer's schema): what does not begin as a call
    is content to its end, whatever stands in it.
    `thinking`: the answer begins with a thought whose opening tag the prompt may hold already.
    """

    format: CallFormat
    constrained: bool
    structured: bool = False
    thinking: bool = False
    _in: _In = _In.START
    _pending: str = ""  # not decided yet
    _raw: list[str] = field(default_factory=list)  # of a run, since its last finished call
    _array: bool = False
    _body: CallBody | NamedBody = field(default_factory=CallBody)
    _index: int = 0
    _named: bool = False  # CallStarted of the current body was sent
    _events: list[AnswerEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.thinking:
            self._in = _In.THINKING

    def feed(self, text: str) -> list[AnswerEvent]:
        """What this piece of text adds. Adjacent pieces of content, or of one call's arguments, come joined."""
        self._pending += text
        while self._advance():
            pass
        return self._take()

    def finish(self) -> list[AnswerEvent]:
        """The text has ended: what was held back, or CallCut for a call that it broke off."""
        match self._in:
            case _In.BODY if self._named:
                self._emit(CallCut(self._index, self._body.name or "", "the text ended in the middle of the call"))
            case _In.BODY | _In.RUN:
                self._give_back()
            case _In.THINKING:
                self._emit(ThinkingText(self._pending))
            case _:
                self._emit(ContentText(self._pending))
        self._pending = ""
        self._in = _In.TEXT
        return self._take()

    # states; each consumes from `_pending` and says whether to go on

    def _advance(self) -> bool:
        if not self._pending:
            return False
        match self._in:
            case _In.THINKING:
                return self._think()
            case _In.START:
                return self._start()
            case _In.TEXT:
                return self._text()
            case _In.JSON:
                self._emit(ContentText(self._pending))
                self._pending = ""
                return False
            case _In.RUN:
                return self._run()
            case _In.BODY:
                return self._call()

    def _think(self) -> bool:
        stripped = self._pending.lstrip(WHITESPACE)
        if THINK_OPEN.startswith(stripped):
            return False  # not even the opening tag is whole
        if stripped.startswith(THINK_OPEN):
            self._pending = stripped.removeprefix(THINK_OPEN)
        return self._up_to((THINK_CLOSE,), ThinkingText, _In.START)

    def _start(self) -> bool:
        """Skip whitespace; then a call where the format has no marker and the character begins one, else text."""
        if self.structured:
            return self._start_structured()
        visible = self._pending.lstrip(WHITESPACE)
        if not visible:
            return False
        if self.format in _MARKERS:
            self._in = _In.TEXT
            return True
        tag = PYTHON_TAG if self.format is CallFormat.LLAMA3 else ""
        if tag and visible.startswith("<") and tag.startswith(visible):
            return False
        self._in = _In.TEXT
        if visible.removeprefix(tag).startswith(tuple(CALLS_BEGIN)):
            self._in = _In.RUN
            self._raw = [self._pending[: len(self._pending) - len(visible)]]
            self._pending = visible.removeprefix(tag)
        return True

    def _start_structured(self) -> bool:
        """A call begins with its marker or at once, an answer with neither or behind its mark."""
        markers = _MARKERS.get(self.format)
        if markers is None:
            answers = self._pending.startswith(ANSWER_MARK)
            self._pending = self._pending.removeprefix(ANSWER_MARK)
            self._in = _In.JSON if answers else _In.RUN
            return True
        for marker in markers:
            if self._pending.startswith(marker):
                self._pending, self._raw, self._in = self._pending.removeprefix(marker), [marker], _In.RUN
                return True
            if marker.startswith(self._pending):
                return False
        self._in = _In.JSON
        return True

    def _text(self) -> bool:
        markers = _MARKERS.get(self.format)
        if markers is None:
            self._emit(ContentText(self._pending))
            self._pending = ""
            return False
        return self._up_to(markers, ContentText, _In.RUN)

    def _up_to(self, markers: tuple[str, ...], kind: type[ContentText] | type[ThinkingText], then: _In) -> bool:
        """Emit text up to a marker, holding back what may become one."""
        found = min(((at, marker) for marker in markers if (at := self._pending.find(marker)) >= 0), default=None)
        if found is not None:
            at, marker = found
            self._emit(kind(self._pending[:at]))
            self._pending = self._pending[at + len(marker) :]
            self._in, self._array = then, False
            self._raw = [marker]
            return True
        held = max(_overlap(self._pending, marker) for marker in markers)
        cut = len(self._pending) - held
        self._emit(kind(self._pending[:cut]))
        self._pending = self._pending[cut:]
        return False

    def _run(self) -> bool:
        """Between the bodies of a run of calls."""
        if self.format is CallFormat.HERMES and self._index and self._pending.lstrip(WHITESPACE).startswith("<"):
            return self._hermes_close()
        if self.format is CallFormat.MISTRAL_ARGS:
            return self._named_run()
        c = self._pending[0]
        if c in WHITESPACE or (c in ",;" and self._index):
            self._take_raw()
        elif c == "[" and not self._array and self.format is not CallFormat.HERMES:
            self._array = True
            self._take_raw()
        elif c == "]" and self._array:
            self._pending, self._raw, self._in = self._pending[1:], [], _In.TEXT
        elif c == "{":
            self._body, self._named, self._in = CallBody(), False, _In.BODY
        else:
            self._give_back()
        return True

    def _named_run(self) -> bool:
        """A name follows the marker at once; after a call only another marker goes on."""
        if not self._index or self._raw:
            self._body, self._named, self._in = NamedBody(), False, _In.BODY
            return True
        rest = self._pending.lstrip(WHITESPACE)
        if TOOL_CALLS.startswith(rest):  # not whole yet
            if rest != TOOL_CALLS:
                return False
        elif not rest.startswith(TOOL_CALLS):
            self._in = _In.TEXT
            return True
        self._pending, self._raw = rest.removeprefix(TOOL_CALLS), [TOOL_CALLS]
        return True

    def _hermes_close(self) -> bool:
        rest = self._pending.lstrip(WHITESPACE)
        for tag in (_HERMES_CLOSE, *_MARKERS[CallFormat.HERMES]):
            if rest.startswith(tag):
                self._pending = rest.removeprefix(tag)
                self._raw = [] if tag == _HERMES_CLOSE else [tag]  # whitespace between two calls is no content
                return True
            if tag.startswith(rest):
                return False
        self._give_back()
        return True

    def _call(self) -> bool:
        wrong: Malformed | None = None
        try:
            self._body.feed(self._pending)
        except Malformed as error:
            wrong = error
        taken = self._body.taken
        self._raw.append(self._pending[:taken])
        self._pending = self._pending[taken:]
        self._report()
        if wrong is not None:
            self._broken(str(wrong))
        elif self._body.done:
            self._done()
        else:
            return False
        return True

    def _report(self) -> None:
        if self._body.name is None:
            return
        if not self._named:
            self._named = True
            self._emit(CallStarted(self._index, self._body.name))
        if fresh := self._body.take_arguments():
            self._emit(ArgumentsText(self._index, fresh))

    def _done(self) -> None:
        assert self._body.name is not None
        assert self._body.arguments is not None
        self._emit(CallFinished(self._index, self._body.name, self._body.arguments))
        self._index += 1
        self._raw = []
        self._in = _In.RUN

    def _broken(self, reason: str) -> None:
        if self._named:
            self._emit(CallCut(self._index, self._body.name or "", reason))
            self._index += 1
            self._raw = []
            self._in = _In.TEXT
        else:
            self._give_back()

    # helpers

    def _take_raw(self) -> None:
        self._raw.append(self._pending[0])
        self._pending = self._pending[1:]

    def _give_back(self) -> None:
        """What was taken for a run of calls is content after all; under a grammar it is a call cut short, and dropped."""
        raw = "".join(self._raw)
        if raw.strip(WHITESPACE + ",;") and not self.constrained:
            self._emit(ContentText(raw))
        self._raw = []
        self._in = _In.TEXT

    def _emit(self, event: AnswerEvent) -> None:
        if isinstance(event, ContentText | ThinkingText | ArgumentsText) and not event.text:
            return
        last = self._events[-1] if self._events else None
        match last, event:
            case ContentText(a), ContentText(b):
                self._events[-1] = ContentText(a + b)
            case ThinkingText(a), ThinkingText(b):
                self._events[-1] = ThinkingText(a + b)
            case ArgumentsText(i, a), ArgumentsText(j, b) if i == j:
                self._events[-1] = ArgumentsText(i, a + b)
            case _:
                self._events.append(event)

    def _take(self) -> list[AnswerEvent]:
        events, self._events = self._events, []
        return events


def _overlap(text: str, marker: str) -> int:
    """Length of the longest end of `text` that begins `marker`."""
    for size in range(min(len(text), len(marker) - 1), 0, -1):
        if text.endswith(marker[:size]):
            return size
    return 0
