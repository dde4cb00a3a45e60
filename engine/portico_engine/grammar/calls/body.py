"""One call's body, `{"name": ..., "arguments": {...}}`, parsed as it arrives.

It owns the object's members in any order and with any whitespace (a free model's text), and hands arguments on as they
grow once the name is known. It knows nothing of markers or of what stands between calls.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field

from portico_engine.grammar.calls.formats import ARGS
from portico_engine.grammar.calls.value_scanner import WHITESPACE, ScanStep, ValueScanner

ARGUMENT_KEYS = ("arguments", "parameters")
CALL_ID = "[CALL_ID]"
_LONGEST_HEAD = 256  # characters of a name, an id and their marks


class _At(enum.Enum):
    OPEN = enum.auto()  # before {
    KEY_OR_END = enum.auto()
    KEY = enum.auto()  # after a comma
    IN_KEY = enum.auto()
    COLON = enum.auto()
    VALUE = enum.auto()
    IN_VALUE = enum.auto()
    COMMA_OR_END = enum.auto()


class Malformed(Exception):
    """Not a call's body; the message says where it went wrong. Never leaves this package."""


@dataclass(slots=True)
class CallBody:
    """State of one body. After each `feed` read `taken`, `name`, `take_arguments()`, and `done`."""

    name: str | None = None
    arguments: str | None = None  # whole and decoded once, when their value has ended
    done: bool = False
    taken: int = 0  # characters of the text that was fed last: up to the body's end, or to what can't go on
    _at: _At = _At.OPEN
    _key: str = ""
    _value: str = ""
    _scanner: ValueScanner = field(default_factory=ValueScanner)
    _sent: int = 0  # of the arguments' text, what was taken

    def feed(self, text: str) -> None:
        """Take characters up to the body's end; raises Malformed."""
        self.taken = 0
        while self.taken < len(text) and not self.done:
            if self._at in (_At.IN_KEY, _At.IN_VALUE):
                self._inside(text)
            else:
                self.taken += 1
                if (c := text[self.taken - 1]) not in WHITESPACE:
                    self._between(c, text)

    def take_arguments(self) -> str:
        """Text of the arguments that was not taken yet; nothing before the name is known."""
        if self.name is None:
            return ""
        if self.arguments is not None:
            fresh = self.arguments[self._sent :]
        elif self._at is _At.IN_VALUE and self._key in ARGUMENT_KEYS and self._value.startswith("{"):
            fresh = self._value[self._sent :]
        else:
            return ""
        self._sent += len(fresh)
        return fresh

    def _between(self, c: str, text: str) -> None:
        """The character that was taken last, which is in no value; it may begin one."""
        match self._at, c:
            case _At.OPEN, "{":
                self._at = _At.KEY_OR_END
            case ((_At.KEY_OR_END | _At.KEY), '"'):
                self._begin(_At.IN_KEY, text)
            case ((_At.KEY_OR_END | _At.COMMA_OR_END), "}"):
                self._finish()
            case _At.COLON, ":":
                self._at = _At.VALUE
            case _At.VALUE, _:
                self._begin(_At.IN_VALUE, text)
            case _At.COMMA_OR_END, ",":
                self._at = _At.KEY
            case _:
                raise Malformed(f"{c!r} where {self._at.name.lower().replace('_', ' ')} was due")

    def _begin(self, at: _At, text: str) -> None:
        self._at, self._value, self._scanner = at, "", ValueScanner()
        self.taken -= 1
        self._inside(text)

    def _inside(self, text: str) -> None:
        first = self.taken
        step, self.taken = self._scanner.scan(text, first)
        last = text[self.taken - 1]
        self._value += text[first : self.taken - (step in (ScanStep.AFTER, ScanStep.BAD))]
        if step is ScanStep.BAD:
            raise Malformed(f"{last!r} can't go on a JSON value")
        if step is ScanStep.MORE:
            return
        if self._at is _At.IN_KEY:
            self._key, self._at = _string(self._value), _At.COLON
            return
        self._member()
        self._at = _At.COMMA_OR_END
        if step is ScanStep.AFTER and last not in WHITESPACE:
            self._between(last, text)

    def _member(self) -> None:
        if self._key == "name":
            self.name = _string(self._value)
        elif self._key in ARGUMENT_KEYS and self.arguments is None:
            self.arguments = _arguments(self._value)

    def _finish(self) -> None:
        if self.name is None:
            raise Malformed("the call has no name")
        if self.arguments is None:
            self.arguments = "{}"
        self.done = True


@dataclass(slots=True)
class NamedBody:
    """State of one call that is written NAME[ARGS]{...}; read like a CallBody. A call's id before [ARGS] is skipped."""

    name: str | None = None
    arguments: str | None = None
    done: bool = False
    taken: int = 0
    _head: str = ""
    _value: str = ""
    _scanner: ValueScanner = field(default_factory=ValueScanner)
    _sent: int = 0

    def feed(self, text: str) -> None:
        """Take characters up to the call's end; raises Malformed."""
        self.taken = 0
        while self.taken < len(text) and not self.done:
            if self._value:
                self._inside(text)
                continue
            self.taken += 1
            c = text[self.taken - 1]
            if self.name is None:
                self._in_head(c)
            elif c == "{":
                self.taken -= 1
                self._inside(text)
            elif c not in WHITESPACE:
                raise Malformed(f"{c!r} where the arguments' object was due")

    def _in_head(self, c: str) -> None:
        self._head += c
        if self._head.endswith(ARGS):
            self._named()
        elif c in "\r\n{" or len(self._head) > _LONGEST_HEAD:
            raise Malformed(f"a name and {ARGS} were due, not {self._head[:40]!r}")

    def _inside(self, text: str) -> None:
        first = self.taken
        step, self.taken = self._scanner.scan(text, first)
        if step is ScanStep.BAD:
            self._value += text[first : self.taken - 1]
            raise Malformed(f"{text[self.taken - 1]!r} can't go on a JSON value")
        self._value += text[first : self.taken]
        if step is ScanStep.END:
            self.arguments = _arguments(self._value)
            self.done = True

    def _named(self) -> None:
        name = self._head.removesuffix(ARGS).partition(CALL_ID)[0].strip(WHITESPACE)
        if not name:
            raise Malformed("the call has no name")
        self.name = name

    def take_arguments(self) -> str:
        """Text of the arguments that was not taken yet."""
        fresh = self._value[self._sent :]
        self._sent = len(self._value)
        return fresh


def _string(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Malformed(f"not a JSON string: {error}") from None
    if not isinstance(value, str):
        raise Malformed(f"a string was due, not {text[:40]}")
    return value


def _arguments(text: str) -> str:
    """The arguments as a JSON object's text, also where a model wrote them as a string (OpenAI's own habit)."""
    try:
        value = json.loads(text)
        if isinstance(value, str):
            text, value = value, json.loads(value or "{}")
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the arguments are not JSON: {error}") from None
    if value is None:
        return "{}"
    if not isinstance(value, dict):
        raise Malformed("the arguments are not an object")
    return text or "{}"
