"""A panic of native code in one call ends that call: not the server, not the command line in a stack trace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from portico_gateway.cli import main as command_line
from portico_gateway.cli.exit_codes import FAILED

pytestmark = pytest.mark.attack("7 the engine outlives a request")
PATIENCE = 60.0
SERVER = """
import asyncio
from portico_servers.common.server import PorticoServer
from portico_servers.common.transport import serve

class Panic(BaseException):
    pass

server = PorticoServer("s")

@server.tool()
async def boom(how: str) -> str:
    if how == "group":
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())
            await asyncio.sleep(30)
    if how == "thread":
        await asyncio.to_thread(raise_)
    if how == "late":
        await asyncio.sleep(0.05)
    raise_()

@server.tool()
def blocking() -> str:
    raise_()

def raise_():
    raise Panic("index out of bounds")

async def fail():
    raise_()

@server.tool()
async def fine() -> str:
    await asyncio.sleep(0.3)
    return "fine"

@server.resource("x://boom")
def boom_resource() -> str:
    raise_()

@server.prompt()
def boom_prompt() -> str:
    raise_()

serve(server)
"""
HOST = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
CALLS = [
    *(("tools/call", {"name": "boom", "arguments": {"how": how}}) for how in ("", "late", "thread", "group")),
    ("tools/call", {"name": "blocking", "arguments": {}}),
    ("resources/read", {"uri": "x://boom"}),
    ("prompts/get", {"name": "boom_prompt"}),
]


@pytest.mark.parametrize(("method", "params"), CALLS)
def test_a_panic_in_a_call_ends_that_call(method: str, params: dict[str, object]) -> None:
    """One that runs beside it is answered, and so are later ones."""
    sent = [
        {"id": 1, "method": "initialize", "params": HOST},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "fine", "arguments": {}}},
        {"id": 3, "method": method, "params": params},
    ]
    command = [sys.executable, "-P", "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        found: dict[int, dict[str, object]] = {}

        def send(*messages: dict[str, object]) -> None:
            assert process.stdin is not None
            process.stdin.writelines(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in messages)
            process.stdin.flush()

        send(*sent)
        while len(found) < 3 and (line := process.stdout.readline()):
            answer = json.loads(line)
            found[answer["id"]] = answer
        send({"id": 4, "method": "tools/call", "params": {"name": "fine", "arguments": {}}})
        found[4] = json.loads(process.stdout.readline() or "{}")
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
    assert "fine" in str(found[2]["result"])
    assert "fine" in str(found[4]["result"])
    failed = found[3].get("error") or found[3]["result"]
    assert "Panic" in str(failed)


class Panic(BaseException):
    pass


def test_a_panic_in_a_command_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    @click.command()
    def panicking() -> None:
        raise Panic("index out of bounds")

    monkeypatch.setattr(command_line.LazyGroup, "get_command", lambda *_: panicking)
    assert command_line.run(["doctor"]) == FAILED
    shown = capsys.readouterr().err
    assert "Panic" in shown
    assert "Traceback" not in shown
