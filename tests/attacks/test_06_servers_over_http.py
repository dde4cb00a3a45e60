"""Portico's own servers over HTTP: a client that says nothing, or half of it, is not waited for."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.attack("6 one client can't starve another")
PATIENCE = 20.0
SERVE = """
import sys
from mcp.server.mcpserver import MCPServer
from portico_servers.common import edges, http_connection, transport
http_connection.HEAD_SECONDS, edges.BODY_SECONDS = 0.4, 0.4
transport.serve(MCPServer("s"), http=int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-P", "-c", SERVE, str(number)], stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stderr is not None
        assert "Streamable HTTP" in process.stderr.readline()
        yield number
        process.terminate()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1",
        b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
        b"Accept: application/json, text/event-stream\r\nContent-Length: 50\r\n\r\n{",
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_who_stops_in_the_middle_is_cut(port: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        time.sleep(0.05)
        connection.sendall(sent % port if b"%d" in sent else sent)
        began = time.monotonic()
        while connection.recv(65536):
            pass
        assert time.monotonic() - began < 15
