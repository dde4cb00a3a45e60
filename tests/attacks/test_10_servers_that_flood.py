"""A server that asks, lists or nests without end costs itself: it is answered cheaply, or refused."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCNotification, JSONRPCRequest

from portico_gateway.agent.empty_results import says_nothing
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.guidance.question_readings import question_reading
from portico_gateway.upstreams import listing
from portico_gateway.upstreams.upstreams import Upstreams
from portico_gateway.upstreams.wire import asked_requests, transports
from portico_gateway.upstreams.wire.asked_requests import AskedRequests, QuickAnswers
from portico_gateway.upstreams.wire.connection import UpstreamConnection
from portico_gateway.upstreams.wire.mended_streams import AnswerMender, MendedReadStream

pytestmark = [pytest.mark.anyio, pytest.mark.attack("10 upstreams may be wrong")]
PATIENCE = 30.0
# Lists two pages of 40 tools for ever; when it is called it says 3,000 things of a kind at once before it answers.
SERVER = """
import json, sys, threading
MODE, READS_ON = sys.argv[1], sys.argv[2:] == ["reads_on"]
lists = 0
def send(m):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **m}) + "\\n")
    sys.stdout.flush()
def flood(i, token):
    for k in range(3000):
        if MODE == "progress_of_nothing":
            send({"method": "notifications/progress", "params": {"progressToken": k, "progress": k}})
        elif MODE == "progress":
            send({"method": "notifications/progress", "params": {"progressToken": token, "progress": k}})
        elif MODE == "log":
            send({"method": "notifications/message", "params": {"level": "info", "data": f"line {k}"}})
        elif MODE.endswith("list_changed"):
            send({"method": MODE})
        elif MODE == "answers":
            send({"id": 100000 + k, "result": {}})
        else:
            send({"id": 7 if MODE == "roots/list of one id" else 100000 + k, "method": MODE.partition(" ")[0]})
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
        told = (i, asked["params"].get("_meta", {}).get("progressToken"))
        if not READS_ON:
            flood(*told)
        else:
            threading.Thread(target=flood, args=told).start()
        continue
    send({"id": i, "result": result})
"""
FLOODS = [
    ("ping", "reads_on"),
    ("ping", ""),
    ("roots/list", "reads_on"),
    ("roots/list", ""),
    ("roots/list of one id", "reads_on"),
    ("progress_of_nothing", ""),
    ("progress", ""),
    ("answers", ""),
    ("log", ""),
    ("notifications/tools/list_changed", ""),
    ("notifications/resources/list_changed", ""),
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(("mode", "reads"), FLOODS)
async def test_a_list_without_end_and_a_flood_cost_the_server_alone(
    mode: str, reads: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PORTICO_LOG_DIR", str(tmp_path / "logs"))
    monkeypatch.setattr(listing, "_MAX_LISTED", 100)
    most = reached_session = 0
    received = AnswerMender.received

    def count_received(mender: AnswerMender, message: JSONRPCMessage) -> bool:
        nonlocal reached_session
        reached_session += 1
        return received(mender, message)

    async def progress(done: float, total: float | None, message: str | None) -> None:
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(AnswerMender, "received", count_received)
    spec = UpstreamSpec("s", command=sys.executable, args=("-c", SERVER, mode, reads), era="legacy")
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
        reached_session = 0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            with anyio.fail_after(PATIENCE):
                result = await upstreams.call_tool("s__t1_1", {}, progress=progress)
            tasks.cancel_scope.cancel()
    assert "fine" in str(result.content)
    assert most - before < 2 * asked_requests.MAX_ALLOWED  # a task each: it was thousands
    bounded = mode == "log" or mode.startswith("roots")
    allowed = asked_requests.MAX_ALLOWED + asked_requests.PER_REQUEST if bounded else 0
    assert reached_session < 2 * allowed + 10  # a millisecond each: the call waited behind 3,000


async def test_a_server_that_reads_its_answers_has_one_for_each_ping() -> None:
    heard: list[Any] = []
    heard_all = anyio.Event()

    async def hear(answers: Sequence[JSONRPCMessage]) -> None:
        await anyio.lowlevel.checkpoint()
        heard.extend(answers)
        if len(heard) == 3000:
            heard_all.set()

    answers = QuickAnswers("s", hear)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answers.write)
        for number in range(3000):
            await answers.pong(JSONRPCRequest(jsonrpc="2.0", id=number, method="ping"))
        with anyio.fail_after(PATIENCE):
            await heard_all.wait()
        tasks.cancel_scope.cancel()
    assert [answer.id for answer in heard] == list(range(3000))


async def test_a_server_that_reads_none_of_its_answers_holds_nobody_up_for_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(asked_requests, "_PATIENCE", 0.05)

    async def hear_nothing(_answers: Sequence[JSONRPCMessage]) -> None:
        await anyio.sleep_forever()

    answers = QuickAnswers("s", hear_nothing)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answers.write)
        with anyio.fail_after(PATIENCE):
            for number in range(5000):
                await answers.refuse(JSONRPCRequest(jsonrpc="2.0", id=number, method="roots/list"))
        tasks.cancel_scope.cancel()
    assert caplog.text.count("left out") == 1


async def test_what_a_server_asks_too_much_over_http_is_answered_with_an_error() -> None:
    asked, read = anyio.create_memory_object_stream[SessionMessage](400)
    write, sent = anyio.create_memory_object_stream[SessionMessage](400)
    n_asked = asked_requests.MAX_ALLOWED + 40
    for number in range(n_asked):
        asked.send_nowait(SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=number, method="roots/list")))
    asked.close()
    passed, refused = [], []
    async with transports._answering("s", write) as answers:
        stream = MendedReadStream(read, AnswerMender("s"), UpstreamConnection(), answers)
        with anyio.fail_after(PATIENCE):
            async for item in stream:
                passed.append(item.message.id)
            while len(passed) + len(refused) < n_asked:
                refused.append((await sent.receive()).message)
    for each in (read, write, sent):
        each.close()
    assert len(passed) <= asked_requests.MAX_ALLOWED + 10
    assert all(isinstance(each, JSONRPCError) and "more requests" in each.error.message for each in refused)
    assert sorted([*passed, *(each.id for each in refused)]) == list(range(n_asked))


async def test_a_server_may_ask_as_much_as_its_calls_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked_requests, "_PER_SECOND", 0.0)
    asked = AskedRequests("s")
    request = JSONRPCRequest(jsonrpc="2.0", id=1, method="roots/list")
    assert all(asked.admit(request) for _ in range(asked_requests.MAX_ALLOWED))
    assert not asked.admit(request)
    assert asked.admit(JSONRPCNotification(jsonrpc="2.0", method="notifications/message")), "what asks nothing passes"
    asked.grant()
    assert [asked.admit(request) for _ in range(asked_requests.PER_REQUEST + 1)] == [True] * asked_requests.PER_REQUEST + [
        False
    ]


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
