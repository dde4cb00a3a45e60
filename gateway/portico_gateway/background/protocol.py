"""The JSON lines between a command and the process that answers for it: one object a line, UTF-8, one question a connection.

    client: {"ask": {"question": {...}, "terminal": {...}}, "version": ...}   then {"confirmed": answer} for each question
            {"status": true} or {"stop": true}
    server: {"stdout": text}, {"stderr": text}, {"confirm": question}, and at last {"exit": code}; {"refused": why} instead of
            all; {"status": {...}}

The client hanging up cancels its question. The process writes what the command would have written itself, so that whatever an
answer shows, here and in later versions, passes through unchanged.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

MAX_LINE = 16 << 20  # bytes of one line
# What decides how text looks: colours, width, encoding. Read where the question is asked.
_LOOKS = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "COLORTERM", "TERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES")
_DUMB = ("dumb", "unknown")
_SIZE = (80, 25)  # where no terminal says another
_MAX_DIGITS = 5  # of one of its sizes


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """What `portico ask` was asked. `places` name the workspace's conversation; `started` is when the command began, in seconds
    since the epoch."""

    text: str
    max_steps: int | None = None
    allow: tuple[str, ...] = ()
    go_on: bool = False
    as_json: bool = False
    places: tuple[str, ...] = ()
    started: float = 0.0


@dataclass(frozen=True, slots=True)
class TerminalLooks:
    """How the client's terminal is: sizes in characters, what of it is a terminal, and what a person set for it."""

    width: int = _SIZE[0]
    height: int = _SIZE[1]
    stdout_is_terminal: bool = False
    stderr_is_terminal: bool = False
    can_be_asked: bool = False
    encoding: str = "utf-8"
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BackgroundStatus:
    """One process, as `portico background list` shows it. `kind`: background, serve or stdio. In seconds and bytes."""

    kind: str
    pid: int
    folder: str
    version: str
    age: float
    idle: float
    questions: int
    memory: int | None = None


def looks_of_this_terminal() -> TerminalLooks:
    """Those of the process's own streams."""
    width, height = _size()
    return TerminalLooks(
        width,
        height,
        stdout_is_terminal=sys.stdout.isatty(),
        stderr_is_terminal=sys.stderr.isatty(),
        can_be_asked=sys.stdin.isatty() and sys.stderr.isatty(),
        encoding=sys.stdout.encoding or "utf-8",
        environ={name: os.environ[name] for name in _LOOKS if name in os.environ},
    )


def _size() -> tuple[int, int]:
    if os.environ.get("TERM", "").lower() in _DUMB:
        return _SIZE
    found = _SIZE
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        try:
            found = tuple(os.get_terminal_size(stream.fileno()))  # type: ignore[assignment]
            break
        except (OSError, ValueError, AttributeError):
            continue
    return _said("COLUMNS") or found[0] or _SIZE[0], _said("LINES") or found[1] or _SIZE[1]


def _said(variable: str) -> int:
    """A size that the environment says; 0 where it says none."""
    value = os.environ.get(variable, "")
    return int(value) if value.isdecimal() and len(value) <= _MAX_DIGITS else 0


def encode(message: Mapping[str, Any]) -> bytes:
    """One line."""
    return json.dumps(message).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """Raises ValueError where it is no object."""
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("a message must be an object")
    return found


def ask_message(question: AskedQuestion, looks: TerminalLooks, version: str) -> dict[str, Any]:
    return {"ask": {"question": asdict(question), "terminal": asdict(looks)}, "version": version}


def read_ask(message: Mapping[str, Any]) -> tuple[AskedQuestion, TerminalLooks]:
    """What a client asks. Raises ValueError, TypeError or KeyError where it isn't that."""
    given = message["ask"]
    question = {**given["question"]}
    question |= {name: tuple(question[name]) for name in ("allow", "places")}
    return AskedQuestion(**question), TerminalLooks(**given["terminal"])
