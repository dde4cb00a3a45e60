"""What parent and child say to each other over a socket pair: pickled, each behind its length.

Both ends are one program of one user, and nobody else has the socket: pickle is safe here, and nowhere else. The events of a
step are one message; their deltas are plain tuples, which are cheaper to pickle than objects.
"""

from __future__ import annotations

import logging
import pickle
import socket
import struct
import threading
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Literal, NamedTuple, TypeAlias

from portico_engine.loading.engine_loader import EngineLoader
from portico_engine.process.grammar_cache import PackedGrammar
from portico_engine.request import Delta, ModelInfo, Request

HEADER = struct.Struct(">Q")  # a message's length in bytes
_FIELDS = tuple(name for name in Delta.__dataclass_fields__ if name != "request_id")
_VALUES = attrgetter(*_FIELDS)

Function: TypeAlias = Literal[
    "render_chat", "tokenize", "score", "embed", "stats", "load_adapter", "unload_adapter", "adapters"
]


class LoadEngine(NamedTuple):
    """To the child, first of all: what makes the engine, and from which level on its log is wanted."""

    load: EngineLoader
    log_level: int


class Submit(NamedTuple):
    """To the child: generate. Grammar and prior are beside the request, as `GrammarSender` and `pack_prior` make them: what
    can't be read of them is this request's fault, and not the message's. A request that is accepted is answered by its deltas
    alone, any other by a Failure.
    """

    number: int
    request: Request
    grammar: PackedGrammar | None
    prior: bytes


class LazyPriorReply(NamedTuple):
    """To the child: what it has asked for with LazyPriorRequest, or why there is none, as `pack_prior` makes it."""

    number: int
    name: str
    prior: bytes


class Taken(NamedTuple):
    """To the child: so many more tokens of this submission were taken by who reads it."""

    number: int
    request_id: str
    n_tokens: int


class Abort(NamedTuple):
    """To the child: nobody listens to this submission any more."""

    number: int
    request_id: str


class CallFunction(NamedTuple):
    """To the child: one of its other functions, by name."""

    number: int
    function: Function
    arguments: tuple[Any, ...]


class CloseEngine(NamedTuple):
    """To the child: save what is to be kept, and end."""


class LoadingProgress(NamedTuple):
    """To the parent: how far loading is."""

    stage: str
    fraction: float


class EngineLoaded(NamedTuple):
    """To the parent: the engine is there, and what is known of it without asking.

    `control`: ids of control tokens by their text.
    """

    info: ModelInfo
    chat_template: str | None
    token_bytes: Sequence[bytes]
    end_token_ids: frozenset[int]
    control: dict[str, int]


class Reply(NamedTuple):
    """To the parent: what a call came to."""

    number: int
    value: Any


class Failure(NamedTuple):
    """To the parent: what a call, a submission, or (number None) loading raised."""

    number: int | None
    error: Exception


class StepDeltas(NamedTuple):
    """To the parent: the deltas of one step, each as the number of its submission and its values."""

    deltas: list[tuple[int, tuple[Any, ...]]]


class LazyPriorRequest(NamedTuple):
    """To the parent: a step waits for what a submission's prior believes of this tool's arguments."""

    number: int
    name: str


class LogMessage(NamedTuple):
    """To the parent: a record for its log."""

    record: logging.LogRecord


def pack_delta(delta: Delta) -> tuple[Any, ...]:
    """A delta's values without its request's id, which the parent knows."""
    values: tuple[Any, ...] = _VALUES(delta)
    return values


def unpack_delta(request_id: str, values: tuple[Any, ...]) -> Delta:
    """The inverse of `pack_delta`."""
    return Delta(request_id, *values)


def encode(message: object) -> bytes:
    """The message as it lies on the wire."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return HEADER.pack(len(body)) + body


class Wire:
    """The child's end of the socket. Any thread may send, one receives."""

    def __init__(self, sock: socket.socket) -> None:
        self.received_bytes = 0  # of the message that came last
        self._socket = sock
        self._stream = sock.makefile("rb")
        self._lock = threading.Lock()

    def send(self, message: object) -> None:
        """Raises ConnectionError where the parent is gone."""
        data = encode(message)
        with self._lock:
            self._socket.sendall(data)

    def receive(self) -> Any:
        """The next message; None at the end."""
        try:
            header = self._stream.read(HEADER.size)
            size = HEADER.unpack(header)[0] if len(header) == HEADER.size else 0
            body = self._stream.read(size)
        except ConnectionError:  # the parent was gone before it had read all
            return None
        self.received_bytes = size
        return pickle.loads(body) if size and len(body) == size else None
