"""`portico stdio` as a host starts it: its servers ask through it, writes need consent, and every call is in the log."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import mcp_types
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from portico_gateway.audit import reading
from portico_gateway.specs import UpstreamSpec

pytestmark = pytest.mark.anyio
PATIENCE = 60.0


@pytest.mark.parametrize("server", ["modern", "legacy"])
@pytest.mark.parametrize("host", ["auto", "legacy"])
async def test_questions_and_consent_cross_a_real_process(
    asking: Callable[..., UpstreamSpec], tmp_path: Path, host: str, server: str
) -> None:
    spec = asking(server)
    quoted = json.dumps([*spec.args])
    (tmp_path / "portico.toml").write_text(
        f'[audit]\narguments = true\n[servers.asks]\ncommand = {json.dumps(spec.command)}\nargs = {quoted}\nera = "{server}"\n'
    )
    asked: list[str] = []

    async def answer(context: object, params: mcp_types.ElicitRequestParams) -> mcp_types.ElicitResult:
        asked.append(params.message)
        return mcp_types.ElicitResult(action="accept", content={"size": 7} if params.message == "Which size?" else {})

    gateway = StdioServerParameters(
        command=sys.executable, args=["-m", "portico_gateway", "stdio"], cwd=str(tmp_path), env=dict(os.environ)
    )
    with anyio.fail_after(PATIENCE):
        async with Client(stdio_client(gateway), mode=host, elicitation_callback=answer) as client:
            sized = await client.call_tool("asks__order")
            written = await client.call_tool("asks__write", {"text": "x"})
    assert "size 7" in str(sized.content)
    assert "wrote x" in str(written.content)
    assert asked[0] == "Which size?"
    assert asked[1].startswith("Allow one call of asks__write?")
    with reading(Path(os.environ["PORTICO_AUDIT_FILE"])) as connection:
        rows = [tuple(row) for row in connection.execute("select tool, decision, outcome, arguments from calls order by id")]
    assert rows == [
        ("asks__order", "allow", "ok", "{}"),
        ("asks__write", "elicitation", "ok", '{"text":"x"}'),
    ]
