"""Portico's servers over Streamable HTTP for the length of a replay, ready: their indexes are built before anybody asks.

It knows the commands that configs/ name, and which free ports stand in for the configs' fixed ones.
"""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import anyio
from inspector_cli import environment
from mcp import Client

CONFIGS = Path(__file__).resolve().parents[2] / "inspector-fixtures" / "configs"
START_SECONDS = 40.0
_GATEWAY = ["--root", "workspace/code", "--docs", "workspace/docs", "--db", "workspace/orders.sqlite"]
# How to start each server on a port, and a call whose structured answer tells, by a list in it, that its index is there.
_COMMANDS: dict[str, list[str]] = {
    "code": ["portico-code", "workspace/code", "--http"],
    "docs": ["portico-docs", "workspace/docs", "--http"],
    "db": ["portico-db", "workspace/orders.sqlite", "--http"],
    "gateway": ["portico", "serve", "--no-model", *_GATEWAY, "--port"],
}
_PROBES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "code": [("search", {"query": "shelf"})],
    "docs": [("search", {"query": "refunds"})],
    "db": [],
    "gateway": [("code__search", {"query": "shelf"}), ("docs__search", {"query": "refunds"})],
}


class ServerDiedError(RuntimeError):
    """A server ended, or wasn't ready in time; the message has its last words."""


@contextmanager
def http_servers(home: Path) -> Iterator[Path]:
    """All four running below `home`; gives a copy of configs/http.json with the ports that they really listen on."""
    config = json.loads((CONFIGS / "http.json").read_text())
    with ExitStack() as stack:
        urls = {name: stack.enter_context(_server(name, home)) for name in _COMMANDS}
        for name, entry in config["mcpServers"].items():
            entry["url"] = urls[name]
        for name, url in urls.items():
            anyio.run(_until_ready, url, _PROBES[name])
        copy = home / "http.json"
        copy.write_text(json.dumps(config))
        yield copy


@contextmanager
def portico_serving(arguments: list[str], home: Path) -> Iterator[str]:
    """The URL of a gateway without a model, started in `home` with these arguments."""
    with _started("gateway", ["portico", "serve", "--no-model", *arguments, "--port"], home) as url:
        yield url


def _server(name: str, home: Path) -> AbstractContextManager[str]:
    return _started(name, _COMMANDS[name], home)


@contextmanager
def _started(name: str, command: list[str], home: Path) -> Iterator[str]:
    port = _free_port()
    process = subprocess.Popen(
        [*command, str(port)],
        cwd=home,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said: list[str] = []
    listener = threading.Thread(target=said.extend, args=(process.stderr,), daemon=True)
    try:
        for line in process.stderr:
            said.append(line)
            if f":{port}" in line:  # it is printed once the socket listens
                break
        else:
            raise ServerDiedError(f"{name} ended with {process.wait()}: {''.join(said)}")
        listener.start()
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if listener.ident is not None:
            listener.join(10)
        process.stderr.close()


async def _until_ready(url: str, probes: list[tuple[str, dict[str, Any]]]) -> None:
    """Ask until every probe finds something in a finished index."""
    with anyio.fail_after(START_SECONDS):
        async with Client(url) as client:
            for tool, arguments in probes:
                while True:
                    result = await client.call_tool(tool, arguments)
                    found = result.structured_content
                    if isinstance(found, dict) and found.get("complete") and found.get("hits") and not found.get("note"):
                        break
                    await anyio.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
