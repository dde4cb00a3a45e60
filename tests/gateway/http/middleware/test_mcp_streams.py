"""A host that wants to resume its stream on /mcp gets a new one."""

from __future__ import annotations

import socket

import pytest
from tests.attacks.http_server import running

HEAD = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


@pytest.mark.parametrize("event", ["5", "", "\xff", "x" * 5000])
def test_a_stream_that_is_to_be_resumed_begins_anew(event: str) -> None:
    with running() as server:
        answer = server.client.post("/mcp", json=INITIALIZE, headers=HEAD)
        session = answer.headers["mcp-session-id"]
        with server.connect() as client:
            lines = [
                "GET /mcp HTTP/1.1",
                f"Host: 127.0.0.1:{server.port}",
                "Accept: text/event-stream",
                f"Mcp-Session-Id: {session}",
                f"Last-Event-ID: {event}",
            ]
            client.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1000)
            client.shutdown(socket.SHUT_RDWR)
    assert head.startswith(b"HTTP/1.1 200")
    assert b"text/event-stream" in head
