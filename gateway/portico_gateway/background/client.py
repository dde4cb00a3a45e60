"""The command's end: finds the process of its key or starts it, hands it the question, and is its terminal meanwhile.

It owns what a user notices of there being another process: nothing, or one line that says why there is none. It imports no
library that takes long to import.
"""

from __future__ import annotations

import io
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from portico_gateway.background.key import BackgroundKey
from portico_gateway.background.peer import refuse_foreign
from portico_gateway.background.protocol import (
    AskedQuestion,
    BackgroundStatus,
    ask_message,
    decode,
    encode,
    looks_of_this_terminal,
)
from portico_gateway.background.socket_place import BackgroundUnavailable, SocketPlace, socket_place
from portico_gateway.safe_output.private_files import private_opener
from portico_servers.common.version import package_version

_START_TIMEOUT = 30.0  # seconds that a fresh process has until it listens
_LOOK_EVERY = 0.01
_OTHERS_START = 15.0  # seconds that another process, to which the one that was started lost a race, has to listen
_STATUS_TIMEOUT = 2.0

Confirm = Callable[[Any], Any]  # asks the person at this terminal, a question as JSON to an answer as JSON


class BackgroundLost(BackgroundUnavailable):
    """The process ended in the middle. `nothing_shown`: the question may be asked again without anything being shown twice."""

    def __init__(self, nothing_shown: bool) -> None:
        super().__init__("the background process ended before it had answered")
        self.nothing_shown = nothing_shown


def connect(place: SocketPlace) -> socket.socket | None:
    """A connection to the process that listens there; None where none does. Raises GatewayError where it is another user's."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(os.fspath(place.path))
        refuse_foreign(connection)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise BackgroundUnavailable(f"{place.path} can't be reached: {error.strerror or error}") from None
    except BaseException:
        connection.close()
        raise
    return connection


def connect_or_start(key: BackgroundKey, command: Sequence[str]) -> socket.socket:
    """A connection to the key's process, started by `command` where there is none. Raises GatewayError."""
    place = socket_place(key)
    connection = connect(place)
    return connection if connection is not None else _start(place, command)


def _start(place: SocketPlace, command: Sequence[str]) -> socket.socket:
    import subprocess

    try:
        with open(place.last_words, "wb", opener=private_opener) as stderr:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True
            )
    except OSError as error:
        raise BackgroundUnavailable(f"{command[0]} can't be started: {error.strerror or error}") from None
    until = time.monotonic() + _START_TIMEOUT
    ended = False
    while time.monotonic() < until:
        if not ended and process.poll() is not None:  # asked first: it may have lost the race to another, which listens then
            ended, until = True, time.monotonic() + _OTHERS_START
        if (connection := connect(place)) is not None:
            process.returncode = process.returncode or 0  # it goes on without us
            return connection
        if ended and process.returncode:
            raise BackgroundUnavailable(f"it ended with exit code {process.returncode}{_last_words(place.last_words)}")
        time.sleep(_LOOK_EVERY)
    if ended:
        raise BackgroundUnavailable(f"it ended before it listened{_last_words(place.last_words)}")
    process.kill()
    process.wait()
    raise BackgroundUnavailable(f"it did not listen within {_START_TIMEOUT:g} s{_last_words(place.last_words)}")


def _last_words(file: Path) -> str:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f"; it last said: {lines[-1][:500]}" if lines else ""


def ask(connection: socket.socket, question: AskedQuestion, confirm: Confirm) -> int:
    """Ask, show what comes, and return the exit code. However it is left, the question is over then.

    Raises BackgroundLost where the process ends, BackgroundUnavailable where it refuses."""
    with connection, connection.makefile("rb") as lines:
        _send(connection, ask_message(question, looks_of_this_terminal(), package_version()))
        shown = False
        for message in _messages(lines):
            if "exit" in message:
                return int(message["exit"])
            if "refused" in message:
                raise BackgroundUnavailable(str(message["refused"]))
            if "confirm" in message:
                _send(connection, {"confirmed": confirm(message["confirm"])})
            shown = _show(message) or shown
        raise BackgroundLost(nothing_shown=not shown)


def _show(message: dict[str, Any]) -> bool:
    """Write it where it belongs; whether that was a part of the answer."""
    if "stderr" in message:
        sys.stderr.write(message["stderr"])
        sys.stderr.flush()
    if "stdout" in message:
        sys.stdout.write(message["stdout"])
        sys.stdout.flush()
    return "stdout" in message or "confirm" in message


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    try:
        connection.sendall(encode(message))
    except (BrokenPipeError, ConnectionResetError):
        pass  # the reading end says so better


def _messages(lines: BinaryIO | io.BufferedReader) -> Iterator[dict[str, Any]]:
    try:
        for line in lines:
            if line.endswith(b"\n"):
                yield decode(line)
    except (OSError, ValueError):
        return


def request(place: SocketPlace, what: str) -> BackgroundStatus | None:
    """What the process there says to "status" or "stop"; None where none listens. Raises GatewayError."""
    connection = connect(place)
    if connection is None:
        return None
    connection.settimeout(_STATUS_TIMEOUT)
    with connection, connection.makefile("rb") as lines:
        _send(connection, {what: True})
        message = next(_messages(lines), {})
    if "refused" in message:
        raise BackgroundUnavailable(str(message["refused"]))
    try:
        return BackgroundStatus(**message["status"])
    except (KeyError, TypeError):
        raise BackgroundUnavailable("it gives no account of itself") from None
