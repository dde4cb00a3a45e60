"""What ranks say to each other over a socket pair: pickled, each behind its length.

Both ends are one program of one user, and nobody else has the socket: pickle is safe here. A step crosses without what only the
first rank needs, and a block table once, until it changes.
"""

from __future__ import annotations

import pickle
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from portico_engine.adapters.adapter import Adapter
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.ranks.rank_model import RankModel
from portico_engine.plan import KVOp, Row, StepPlan
from portico_engine.request import Pooling

_HEADER = struct.Struct(">Q")


class LoadModel(NamedTuple):
    """To a rank, first of all: what to load, who it is, and where the others are met."""

    model: RankModel
    rank: int
    folder: Path


class Meet(NamedTuple):
    """To a rank: everybody is there, join."""


class AgreedSizes(NamedTuple):
    """To a rank: what all have memory for."""

    sizes: Sizes


class RunStep(NamedTuple):
    """To a rank. Rows as `PlanSender` packs them."""

    rows: tuple[tuple[Any, ...], ...]
    kv_ops: tuple[KVOp, ...]


class EmbedTexts(NamedTuple):
    """To a rank."""

    texts: Sequence[Sequence[int]]
    pooling: Pooling | None


class LoadAdapter(NamedTuple):
    """To a rank."""

    place: int
    adapter: Adapter


class UnloadAdapter(NamedTuple):
    """To a rank."""

    place: int


class Close(NamedTuple):
    """To a rank: end in order."""


class Ready(NamedTuple):
    """From a rank: it is there, or has loaded."""


class Failed(NamedTuple):
    """From a rank, which then ends: why."""

    reason: str


class PlanSender:
    """Steps as they cross. A row keeps its block table's tuple as long as the table stays as it is."""

    def __init__(self) -> None:
        self._sent: dict[int, tuple[int, ...]] = {}  # by slot

    def pack(self, plan: StepPlan) -> RunStep:
        """Without what sampling needs. Operations are not begun by being sent."""
        return RunStep(tuple(self._row(row) for row in plan.rows), tuple(tuple.__iter__(plan.kv_ops)))

    def _row(self, row: Row) -> tuple[Any, ...]:
        known = self._sent.get(row.slot) is row.block_table
        self._sent[row.slot] = row.block_table
        table = None if known else row.block_table
        return row.slot, row.tokens, row.start, table, row.logits_indices, row.targets, row.adapter


class PlanReceiver:
    """The inverse of `PlanSender`."""

    def __init__(self) -> None:
        self._tables: dict[int, tuple[int, ...]] = {}

    def unpack(self, step: RunStep) -> StepPlan:
        """Tables that did not change are the tuples that they were."""
        return StepPlan(tuple(self._row(*row) for row in step.rows), step.kv_ops)

    def _row(
        self,
        slot: int,
        tokens: tuple[int, ...],
        start: int,
        table: tuple[int, ...] | None,
        logits_indices: tuple[int, ...],
        targets: tuple[int, ...],
        adapter: int | None,
    ) -> Row:
        if table is not None:
            self._tables[slot] = table
        return Row(slot, tokens, start, self._tables[slot], logits_indices, None, targets, adapter)


class RankWire:
    """One end of the socket. One thread sends, one receives."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._stream = sock.makefile("rb")

    def send(self, message: object) -> None:
        """Raises ConnectionError where the other end is gone."""
        self.send_encoded(encode(message))

    def send_encoded(self, data: bytes) -> None:
        """The same, of what `encode` made."""
        self._socket.sendall(data)

    def receive(self) -> Any:
        """The next message; None at the end."""
        try:
            header = self._stream.read(_HEADER.size)
            size = _HEADER.unpack(header)[0] if len(header) == _HEADER.size else 0
            body = self._stream.read(size)
        except (ConnectionError, ValueError):  # gone before it had said all, or closed here
            return None
        return pickle.loads(body) if size and len(body) == size else None

    def close(self) -> None:
        """By which the other end knows that it isn't wanted. Nobody receives any more."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._stream.close()
        self._socket.close()


def encode(message: object) -> bytes:
    """The message as it lies on the wire."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _HEADER.pack(len(body)) + body
