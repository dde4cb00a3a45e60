"""Messages over the process's own stdin and stdout, whatever kind of thing these are: a process for each."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

SERVER = """
import os, threading
from mcp.server.mcpserver import MCPServer
from portico_servers.common.transport import serve
server = MCPServer("example")

@server.tool()
async def look(text: str) -> str:
    print("stray", flush=True)
    os.write(1, b"from a library")
    return f"{len(text)} {len(os.read(0, 1))} {sum('AnyIO' in each.name for each in threading.enumerate())}"

serve(server)
"""
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


def line(method: str, params: dict[str, Any], number: int | None = None) -> bytes:
    message = {"jsonrpc": "2.0", "method": method, "params": params, **({} if number is None else {"id": number})}
    return json.dumps(message).encode() + b"\n"


@contextmanager
def started(kind: str) -> Iterator[tuple[IO[bytes], IO[bytes], subprocess.Popen[bytes]]]:
    """A server, and the host's ends of its stdin and stdout."""
    command = [sys.executable, "-P", "-c", SERVER]
    with ExitStack() as stack:
        if kind == "pipes":
            process = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            )
            assert process.stdin is not None
            assert process.stdout is not None
            yield process.stdin, process.stdout, process
            return
        pairs = [socket.socketpair() for _ in range(2)]
        for pair in pairs:
            for each in pair:
                stack.enter_context(each)
        theirs = [pair[1] for pair in pairs]
        process = subprocess.Popen(command, stdin=theirs[0], stdout=theirs[-1], stderr=subprocess.PIPE)
        for each in theirs:
            each.close()
        try:
            yield pairs[0][0].makefile("wb", 0), pairs[-1][0].makefile("rb"), process
        finally:
            pairs[0][0].shutdown(socket.SHUT_WR)
            process.communicate(timeout=30)


@pytest.mark.parametrize("kind", ["pipes", "sockets"])
def test_messages_cross_in_no_thread_and_strays_do_not(kind: str) -> None:
    """Long ones, too."""
    text = "ä" * 600_000
    with started(kind) as (send, receive, process):
        send.write(line("initialize", INITIALIZE, 1) + line("notifications/initialized", {}))
        send.flush()
        assert json.loads(receive.readline())["id"] == 1
        for number in (2, 3):
            call = line("tools/call", {"name": "look", "arguments": {"text": text}}, number)
            while call:  # a raw socket takes a part at a time
                call = call[send.write(call) :]
            send.flush()
            answer = json.loads(receive.readline())
            assert answer["id"] == number
            assert answer["result"]["content"][0]["text"] == "600000 0 0"
        send.write(b"{no json}\n" + line("ping", {}, 4))
        send.flush()
        assert json.loads(receive.readline())["error"]["code"] == -32700
        assert json.loads(receive.readline()) == {"jsonrpc": "2.0", "id": 4, "result": {}}
        if kind == "pipes":
            send.write(line("ping", {}, 5).rstrip(b"\n"))
            send.close()  # the end of stdin ends the last line, too, and the server with it
            assert process.wait(30) == 0
            assert process.stderr is not None
            assert b"stray" in process.stderr.read()


def test_files_serve_as_before(tmp_path: Path) -> None:
    said, heard = tmp_path / "in", tmp_path / "out"
    said.write_bytes(line("initialize", INITIALIZE, 1))
    with said.open("rb") as stdin, heard.open("wb") as stdout:
        done = subprocess.run([sys.executable, "-P", "-c", SERVER], stdin=stdin, stdout=stdout, timeout=60, check=True)
    assert done.returncode == 0
    assert json.loads(heard.read_bytes())["result"]["serverInfo"]["name"] == "example"
