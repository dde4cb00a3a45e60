"""A server that asks, lists or nests without end costs itself: what is not answered is not read on."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import anyio
import pytest
from mcp_types import JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from portico_gateway.agent.empty_results import says_nothing
from portico_gateway.agent.question_reading import question_reading
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.upstreams import listing
from portico_gateway.upstreams.upstreams import Upstreams
from portico_gateway.upstreams.wire import mended_streams
from portico_gateway.upstreams.wire.mended_streams import AskedRequests

pytestmark = [pytest.mark.anyio, pytest.mark.attack("10 upstreams may be wrong")]
PATIENCE = 30.0
# Lists two pages of 40 tools for ever; pings 3,000 times at once when it is called, and reads on.
SERVER = """
import json, sys, threading
lists = 0
def send(m):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **m}) + "\\n")
    sys.stdout.flush()
def flood(i):
    for k in range(3000):
        send({"id": 100000 + k, "method": "ping"})
    send({"id": i, "result": {"content": [{"type": "text", "text": "fine"}]}})
for line in sys.stdin:
    asked = json.loads(line)
    method, i = asked.get("method"), asked.get("id")
    if i is None or method is None:
        continue
    result = {}
    if method == "initialize":
        result = {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}},
                  "serverInfo": {"name": "s", "version": "1"}}
    elif method == "tools/list":
        lists += 1
        tools = [{"name": f"t{lists}_{k}", "inputSchema": {"type": "object"}} for k in range(40)]
        result = {"tools": tools, "nextCursor": "again"}
    elif method == "tools/call":
        threading.Thread(target=flood, args=(i,)).start()
        continue
    send({"id": i, "result": result})
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def test_a_list_without_end_and_a_flood_of_requests_cost_the_server_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PORTICO_LOG_DIR", str(tmp_path / "logs"))
    monkeypatch.setattr(listing, "_MAX_LISTED", 100)
    most = 0
    spec = UpstreamSpec("s", command=sys.executable, args=("-c", SERVER), era="legacy")
    async with Upstreams([spec]) as upstreams:
        (status,) = await upstreams.ready(PATIENCE)
        assert status.tools == 100
        assert "more than 100 entries" in caplog.text

        async def count() -> None:
            nonlocal most
            while True:
                most = max(most, len(asyncio.all_tasks()))
                await anyio.sleep(0.001)

        before = len(asyncio.all_tasks())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            with anyio.fail_after(PATIENCE):
                result = await upstreams.call_tool("s__t1_1", {})
            tasks.cancel_scope.cancel()
    assert "fine" in str(result.content)
    assert most - before < 2 * mended_streams._MAX_ASKED  # a task each: it was thousands


async def test_one_that_is_never_answered_slows_the_next_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mended_streams, "_PATIENCE", 1.5)
    asked = AskedRequests()
    for number in range(mended_streams._MAX_ASKED):
        await asked.asked(JSONRPCRequest(jsonrpc="2.0", id=number, method="ping"))
    began = time.perf_counter()
    await asked.asked(JSONRPCNotification(jsonrpc="2.0", method="notifications/message"))
    assert time.perf_counter() - began < 1.2, "what asks nothing passes"
    await asked.asked(JSONRPCRequest(jsonrpc="2.0", id="late", method="ping"))
    assert time.perf_counter() - began >= 1.2
    for number in range(2):
        asked.answered(JSONRPCResponse(jsonrpc="2.0", id=number, result={}))
    with anyio.fail_after(PATIENCE):
        await asked.asked(JSONRPCRequest(jsonrpc="2.0", id="next", method="ping"))


DEEP = "[" * 100_000


@pytest.mark.parametrize("text", [DEEP, '{"a":' * 50_000, "[1" + "0" * 5000 + "]"])
def test_a_text_that_nests_without_end_is_a_text(text: str) -> None:
    assert not says_nothing(text)
    assert question_reading(text) is None


@pytest.mark.parametrize("words", [5, "pump", {"a": 1}, None])
def test_a_reading_of_a_question_with_odd_words_has_none(words: object) -> None:
    found = question_reading(json.dumps({"arguments": {}, "schema": {}, "used": words, "unused": words}))
    assert found is not None
    assert (found.used, found.unused) == ((), ())
