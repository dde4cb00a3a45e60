"""uvicorn's connection, with deadlines: for a request's head, for the next request, and for a reader who doesn't read.

What is sent waits for the reader: at most one piece of an answer is kept here and SEND_BYTES in the kernel, so an answer that
nobody reads is not made any further; after STALLED_SECONDS without reading the connection is cut, and its request with it.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0  # for a request's line and headers, from their first byte or the connection's start
IDLE_SECONDS = 30  # between two requests on one connection
STALLED_SECONDS = 30.0  # that a reader may take none of what lies there for it
_TLS_BYTES = 64 << 10  # a few of TLS's records
SEND_BYTES = 256 << 10  # the kernel's buffer for one reader; it would grow to megabytes
JOINED_BYTES = 16 << 10


class JoinedWrites:
    """A connection's transport, but that small pieces which are written in one turn of the event loop become one: an answer's
    head and its body are. A piece goes at once where JOINED_BYTES lie here, so that who writes feels a reader who doesn't read.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not data:
            return
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        self._size += len(data)
        if self._size >= JOINED_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._held:
            held, self._held, self._size = self._held, [], 0
            self._transport.write(b"".join(held))

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        self._held.clear()
        self._transport.abort()


class BoundedConnection(H11Protocol):
    """One connection of a client."""

    _head: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = JoinedWrites(transport, self.loop)  # type: ignore[assignment]
        # Whatever the kernel didn't take pauses who writes. TLS keeps what it has enciphered, and with 0 would never go on.
        transport.set_write_buffer_limits(high=0 if transport.get_extra_info("sslcontext") is None else _TLS_BYTES)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
                # An event is a write of its own: with Nagle's algorithm it waits 40 ms for the ACK of the one before.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel("_head")
        self._cancel("_stalled")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._between_requests:
            self._await_head()  # uvicorn stops its own clock at the first byte of the next request
        super().data_received(data)
        if not self._between_requests:
            self._cancel("_head")
        if self.conn.their_state is h11.SEND_BODY:
            self._acknowledge()

    def on_response_complete(self) -> None:
        self.transport.flush()  # type: ignore[attr-defined]  # the whole answer is there
        super().on_response_complete()
        if not self._between_requests:
            self._cancel("_head")  # the next request was there already

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_SECONDS, self._cut)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel("_stalled")

    @property
    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self._cut)

    def _acknowledge(self) -> None:
        """Tell the client at once that its head is here: one with Nagle's algorithm sends the body when it knows that, and the
        kernel would tell it after 40 ms."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None and hasattr(socket, "TCP_QUICKACK"):  # Linux
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _cut(self) -> None:
        """At once: closing would wait for what was written to be read."""
        self.transport.abort()

    def _cancel(self, name: str) -> None:
        timer: asyncio.TimerHandle | None = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)
