"""A kept connection waits for no acknowledgement, however its client writes: over TCP and a Unix socket."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from portico_gateway.assembly.listening import listening
from portico_gateway.config.sections import ServeConfig
from portico_gateway.http.server.server import HttpServer
from portico_servers.common.transport import bind

pytestmark = pytest.mark.attack("12 latency of kept connections")
WAITED = 0.035  # seconds: the kernel holds an acknowledgement back for 40 ms
TRIES = 60  # a busy machine may be late each time, but not every time
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n"


async def answer(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def serving(listener: socket.socket) -> Iterator[None]:
    server = HttpServer(answer)
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]))
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def ask_in_one_piece(client: socket.socket) -> None:
    client.sendall(HEAD + b"hi")


def ask_in_two_pieces(client: socket.socket) -> None:
    client.sendall(HEAD)
    client.sendall(b"hi")


def shortest(client: socket.socket, ask: Callable[[socket.socket], None]) -> float:
    """Seconds that the quickest answer took, but for the first; the search ends with one that was not held back."""
    found = float("inf")
    for number in range(TRIES):
        began = time.perf_counter()
        ask(client)
        said = b""
        while not said.endswith(b"ok"):
            piece = client.recv(65536)
            assert piece, "the server has closed the connection"
            said += piece
        if number:
            found = min(found, time.perf_counter() - began)
        if found < WAITED:
            break
    return found


@pytest.mark.parametrize("ask", [ask_in_one_piece, ask_in_two_pieces])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_answer_over_tcp_waits_for_nothing(host: str, ask: Callable[[socket.socket], None]) -> None:
    try:
        listener = bind(host, 0)
    except SystemExit:
        pytest.skip(f"{host} can't be had here")
    with listener, serving(listener), socket.create_connection(listener.getsockname()[:2]) as client:
        assert not client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), "it has Nagle's algorithm"
        assert shortest(client, ask) < WAITED


@pytest.mark.parametrize("ask", [ask_in_one_piece, ask_in_two_pieces])
def test_an_answer_over_a_unix_socket_waits_for_nothing(tmp_path: Path, ask: Callable[[socket.socket], None]) -> None:
    path = tmp_path / "s"
    with (
        listening(ServeConfig(socket=path)) as listener,
        serving(listener),
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client,
    ):
        client.connect(str(path))
        assert shortest(client, ask) < WAITED
