"""`portico stdio` and `portico serve` as users start them: servers ask, writes need consent, every call is in the log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.config.trust import WorkspaceConfig, trust
from portico_gateway.policy.audit_database import open_read_only

pytestmark = pytest.mark.anyio
PATIENCE = 60.0


ERAS = [(host, server) for host in ("auto", "legacy") for server in ("modern", "legacy")]


def configure(folder: Path, spec: UpstreamSpec) -> None:
    path = folder / "portico.toml"
    path.write_text(
        f"[audit]\narguments = true\n[servers.asks]\ncommand = {json.dumps(spec.command)}\n"
        f"args = {json.dumps([*spec.args])}\nera = {json.dumps(spec.era)}\n"
    )
    trust(WorkspaceConfig(path, path.read_bytes()))


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The MCP address of a `portico serve` in `folder`."""
    command = [sys.executable, "-m", "portico_gateway", "serve", "--no-model", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield process.stderr.readline().split("MCP on ")[1].split(";")[0]
        finally:
            process.terminate()


async def ask_and_write(transport: Any, mode: str) -> None:
    """A host that is asked by a server and for consent, and accepts."""
    asked: list[str] = []

    async def answer(context: object, params: mcp_types.ElicitRequestParams) -> mcp_types.ElicitResult:
        asked.append(params.message)
        return mcp_types.ElicitResult(action="accept", content={"size": 7} if params.message == "Which size?" else {})

    with anyio.fail_after(PATIENCE):
        async with Client(transport, mode=mode, elicitation_callback=answer) as client:
            sized = await client.call_tool("asks__order")
            written = await client.call_tool("asks__write", {"text": "x"})
    assert "size 7" in str(sized.content)
    assert "wrote x" in str(written.content)
    assert asked[0] == "Which size?"
    assert asked[1].startswith("Allow one call of asks__write?")


def logged() -> list[tuple[Any, ...]]:
    with open_read_only(Path(os.environ["PORTICO_AUDIT_FILE"])) as connection:
        return [tuple(row) for row in connection.execute("select tool, decision, outcome, arguments from calls order by id")]


EXPECTED = [("asks__order", "allow", "ok", "{}"), ("asks__write", "elicitation", "ok", '{"text":"x"}')]


@pytest.mark.parametrize(("host", "server"), ERAS)
async def test_questions_and_consent_cross_the_gateway_on_stdio(
    asking: Callable[..., UpstreamSpec], tmp_path: Path, host: str, server: str
) -> None:
    configure(tmp_path, asking(server))
    command = ["-m", "portico_gateway", "stdio"]
    process = StdioServerParameters(command=sys.executable, args=command, cwd=str(tmp_path), env=dict(os.environ))
    await ask_and_write(stdio_client(process), host)
    assert logged() == EXPECTED


@pytest.mark.parametrize(("host", "server"), ERAS)
async def test_questions_and_consent_cross_the_gateway_over_http(
    asking: Callable[..., UpstreamSpec], tmp_path: Path, host: str, server: str
) -> None:
    configure(tmp_path, asking(server))
    with serving(tmp_path) as address:
        await ask_and_write(streamable_http_client(address), host)
    assert logged() == EXPECTED
