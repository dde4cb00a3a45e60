"""A client that hangs up ends its generation: over a real socket, streaming and not, and while it still waits for the model."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import uvicorn

from portico_engine import AsyncEngine
from portico_gateway.http.app import create_app
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.model.host import ModelHost
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.common.transport import bind, security

PATIENCE = 20


class Server:
    """The application on a real port, in a thread."""

    def __init__(self, engine: Any) -> None:
        self.socket = bind("127.0.0.1", 0)
        self.port = self.socket.getsockname()[1]
        self.started = threading.Event()
        self._engine = engine
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        upstreams = Upstreams([])
        start = partial(AsyncEngine.open, lambda progress: self._engine)
        model = ModelHost("fake", start, on_end=lambda status: self.started.set())
        app = create_app(upstreams, GatewayServer(upstreams), model, security=security("127.0.0.1", self.port))
        self.uvicorn = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
        self.uvicorn.run(sockets=[self.socket])

    def __enter__(self) -> Server:
        self._thread.start()
        assert self.started.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self.uvicorn.should_exit = True
        self._thread.join(PATIENCE)
        self.socket.close()
        assert not self._thread.is_alive()

    def ask(self, **body: Any) -> socket.socket:
        """An open connection with a request on it."""
        data = json.dumps({"model": "fake", "messages": [{"role": "user", "content": "Hi"}], **body}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        return connection


@pytest.fixture
def engine(fakes: Any) -> Any:
    return fakes.FakeEngine(endless=True)


@pytest.fixture
def server(engine: Any) -> Iterator[Server]:
    with Server(engine) as running:
        yield running


def test_hanging_up_in_the_middle_of_a_stream_aborts_the_request(server: Server, engine: Any) -> None:
    with server.ask(stream=True) as connection:
        received = b""
        while b"word" not in received:
            received += connection.recv(4096)
        assert not engine.aborted
    assert engine.was_aborted.wait(PATIENCE)
    assert engine.aborted == [engine.requests[0].id]


def test_hanging_up_while_waiting_for_a_whole_answer_aborts_the_request(server: Server, engine: Any) -> None:
    with server.ask():
        # The endless answer is never sent, so there is nothing to read: leave once the engine is at work.
        assert engine.was_submitted.wait(PATIENCE)
    assert engine.was_aborted.wait(PATIENCE)


def test_a_request_that_another_client_hung_up_on_does_not_disturb_the_next(server: Server, engine: Any) -> None:
    with server.ask(stream=True) as connection:
        connection.recv(1)
    assert engine.was_aborted.wait(PATIENCE)
    engine.endless = False
    with server.ask() as connection:
        assert b"200 OK" in connection.recv(4096)
