"""Tool calls by hand-written JSON-RPC on one kept connection, so that what is measured is the server and not a client's SDK."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

PROTOCOL = "2025-11-25"
START = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": {"name": "latency", "version": "1"}}
Call = Callable[[], Any]
_START_SECONDS = 120.0


def message(method: str, params: dict[str, Any], number: int | None = 1) -> bytes:
    said = {"jsonrpc": "2.0", "method": method, "params": params, **({} if number is None else {"id": number})}
    return json.dumps(said).encode()


def tool_call(tool: str) -> bytes:
    """A call of `tool` without arguments."""
    return message("tools/call", {"name": tool, "arguments": {}})


def once_ready(call: Call) -> Call:
    """The call, once it works: a gateway's servers may still be starting, or its model loading."""
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            call()
            return call
        except AssertionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def _check(said: bytes) -> None:
    assert b'"result"' in said, said[:300]
    assert b'"isError":true' not in said, said[:300]


def http_call(connection: HTTPConnection, tool: str = "tables") -> Call:
    """Calls `tool` of the server at the other end, in a session of its own."""
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    connection.request("POST", "/mcp", message("initialize", START), headers)
    answer = connection.getresponse()
    answer.read()
    headers |= {"Mcp-Session-Id": answer.headers["mcp-session-id"], "Mcp-Protocol-Version": PROTOCOL}
    connection.request("POST", "/mcp", message("notifications/initialized", {}, None), headers)
    connection.getresponse().read()
    body = tool_call(tool)

    def call() -> None:
        connection.request("POST", "/mcp", body, headers)
        said = connection.getresponse().read()
        _check(said)

    return call


@contextmanager
def stdio_call(command: Sequence[str], folder: Path, tool: str = "tables") -> Iterator[Call]:
    """Calls `tool` of the server that the command starts."""
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        send, receive = process.stdin, process.stdout
        assert send is not None
        assert receive is not None

        def ask(line: bytes) -> bytes:
            send.write(line + b"\n")
            send.flush()
            while b'"id":1' not in (said := receive.readline()).replace(b" ", b"") and said:
                pass  # a notification
            return said

        ask(message("initialize", START))
        send.write(message("notifications/initialized", {}, None) + b"\n")
        body = tool_call(tool)

        def call() -> None:
            said = ask(body)
            _check(said)

        yield call
        send.close()
        process.wait(30)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
