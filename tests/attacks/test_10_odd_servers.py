"""More that servers do wrong: answers whose id stands last, without an end or an id, odd greetings, long definitions."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import mcp_types
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import JSONRPCError

from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import UpstreamFault
from portico_gateway.guidance.description_convention import quoted
from portico_gateway.policy.argument_texts import names
from portico_gateway.upstreams.cross_references import names_in, shadowed_tools
from portico_gateway.upstreams.supervision import UpstreamState
from portico_gateway.upstreams.upstreams import Upstreams
from portico_gateway.upstreams.wire.messages import read_messages

pytestmark = [pytest.mark.anyio, pytest.mark.attack("10 upstreams may be wrong")]
AT_ONCE = 15.0  # seconds, far below a call's deadline of 60
PATIENCE = 30.0

# What each mode does with a call of `odd`; the names are in scope there.
SERVER = """
import json, os, sys
MODE = sys.argv[1]
def raw(data):
    sys.stdout.buffer.write(data)
    sys.stdout.flush()
def send(message): raw(json.dumps(message).encode() + b"\\n")
def told(method, params): send({"jsonrpc": "2.0", "method": method, "params": params})
FINE = {"content": [{"type": "text", "text": "fine"}]}
TOOL = {"inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}
for line in sys.stdin:
    asked = json.loads(line)
    i, method = asked.get("id"), asked.get("method")
    if i is None or method is None:
        continue
    result, error = FINE, None
    if method == "initialize":
        result = {"protocolVersion": asked["params"]["protocolVersion"], "serverInfo": {"name": "m", "version": "1"}}
        result["capabilities"] = {"tools": {}}
        if MODE == "true_capabilities":
            result["capabilities"] = {"tools": True, "prompts": None, "resources": False, "logging": {}}
        if MODE == "odd_capabilities":
            result["capabilities"] = {"tools": {"listChanged": "sometimes"}}
        if MODE == "refuses":
            error = {"code": -32602, "message": "Unsupported protocol version"}
    elif method == "tools/list":
        result = {"tools": [{"name": name, **TOOL} for name in ("good", "odd")]}
        if MODE == "list_fails":
            error = {"code": -32603, "message": "the tools are on strike"}
    elif method != "tools/call":
        error = {"code": -32601, "message": "no"}
    elif asked["params"]["name"] == "odd":
        if MODE == "whole_at_exit":
            raw(json.dumps({"jsonrpc": "2.0", "id": i, "result": FINE}).encode())
            os._exit(0)
        if MODE == "cut_at_exit":
            raw(json.dumps({"jsonrpc": "2.0", "id": i, "result": FINE}).encode()[:-9])
            os._exit(0)
        if MODE == "huge_and_id_last":
            raw(b'{"result":{"content":[{"type":"text","text":"' + b"x" * (33 << 20))
            raw(b'"}]},"jsonrpc":"2.0","id":%d}\\n' % i)
            continue
        if MODE == "deep_and_id_last":
            nested = b"[" * 3000 + b"]" * 3000
            raw(b'{"result":{"content":[],"structuredContent":{"a":%s}},"id":%d,"jsonrpc":"2.0"}\\n' % (nested, i))
            continue
        if MODE == "error_of_nobody":
            send({"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "I can not read this"}})
            continue
        if MODE == "odd_annotations":
            result = {"content": [{"type": "text", "text": "fine", "annotations": {"priority": 7, "audience": "me"}}]}
        if MODE == "odd_notifications":
            for params in ({"level": "loud", "data": 1}, {"level": "info"}, {"level": "info", "data": 1, "logger": 5}, {}):
                told("notifications/message", params)
            for params in ({"progressToken": None, "progress": 1}, {"progressToken": 1, "progress": "x"}, {}):
                told("notifications/progress", params)
            told("notifications/cancelled", {})
            told("notifications/resources/updated", {"uri": 5})
    answer = {"jsonrpc": "2.0", "id": i}
    send({**answer, "error": error} if error else {**answer, "result": result})
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _logs_go_to_a_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_LOG_DIR", str(tmp_path / "logs"))
    monkeypatch.setenv("PORTICO_AUDIT_FILE", str(tmp_path / "audit.db"))


@asynccontextmanager
async def upstreams_of(mode: str) -> AsyncIterator[Upstreams]:
    async with Upstreams([UpstreamSpec("s", command=sys.executable, args=("-c", SERVER, mode))]) as upstreams:
        await upstreams.ready(PATIENCE)
        yield upstreams


@pytest.mark.parametrize(
    "mode", ["true_capabilities", "odd_capabilities", "odd_annotations", "whole_at_exit", "odd_notifications"]
)
async def test_what_can_be_understood_is(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    async with upstreams_of(mode) as upstreams:
        with anyio.fail_after(AT_ONCE):
            result = await upstreams.call_tool("s__odd")
        assert result.content[0].text == "fine"  # type: ignore[union-attr]
    assert not any(record.exc_info for record in caplog.records), "a traceback of the SDK's"


@pytest.mark.parametrize("mode", ["huge_and_id_last", "deep_and_id_last"])
async def test_an_answer_that_cannot_be_read_ends_its_call_also_where_its_id_stands_last(mode: str) -> None:
    async with upstreams_of(mode) as upstreams:
        with anyio.fail_after(AT_ONCE), pytest.raises(UpstreamFault, match="answer"):
            await upstreams.call_tool("s__odd")
        assert upstreams.status()[0].restarts == 0


async def test_an_error_without_an_id_ends_the_only_call_that_waits() -> None:
    async with upstreams_of("error_of_nobody") as upstreams:
        with anyio.fail_after(AT_ONCE), pytest.raises(MCPError, match="I can not read this"):
            await upstreams.call_tool("s__odd")
        assert (await upstreams.call_tool("s__good")).content


async def test_a_cut_answer_at_the_end_is_no_answer() -> None:
    async with upstreams_of("cut_at_exit") as upstreams:
        with anyio.fail_after(AT_ONCE), pytest.raises(Exception, match="exited with code 0"):
            await upstreams.call_tool("s__odd")


@pytest.mark.parametrize(
    ("mode", "said"), [("refuses", "Unsupported protocol version"), ("list_fails", "the tools are on strike")]
)
async def test_why_a_server_could_not_be_had_is_what_it_said_and_not_that_the_gateway_ended_it(mode: str, said: str) -> None:
    async with upstreams_of(mode) as upstreams:
        (status,) = upstreams.status()
        assert status.state is not UpstreamState.READY
        assert said in (status.error or "")
        assert "exited" not in (status.error or "")


def _deep(identity: str) -> bytes:
    nested = b"[" * 3000 + b"]" * 3000
    return b'{"jsonrpc":"2.0","id":%s,"method":"sampling/createMessage","params":{"a":%s}}' % (identity.encode(), nested)


def test_a_request_of_the_server_that_cannot_be_read_ends_no_call_of_the_same_id() -> None:
    assert read_messages(_deep("3")) == []
    (answer,) = read_messages(_deep("3").replace(b'"method":"sampling/createMessage","params"', b'"result"'))
    assert isinstance(answer, JSONRPCError)
    assert answer.id == 3


LONG = 50_000
PUMPS = ["a", "a1", "1", "a_", "a-", "_", "-", "aA", "A", " ", "a.", "a@", "@", ".", "a1-", "a:", '"', "`a", "- ", "a: "]


@pytest.mark.parametrize("pump", PUMPS)
def test_texts_of_servers_and_hosts_are_searched_in_linear_time(pump: str) -> None:
    """Each took the square of its length, on the event loop: one description of 50,000 characters stopped everything."""
    text = (pump * LONG)[:LONG] + "!"
    tool = mcp_types.Tool(name="t", description=text, input_schema={"type": "object"})
    began = time.thread_time()
    names_in(tool)
    quoted(text)
    names(text)
    assert time.thread_time() - began < 10, pump


def test_the_same_names_are_found_as_ever() -> None:
    said = "use send_mail, not 1fetch_page or readFile; getX, é-fooBar, HTTPfooBar; plain words; a1fooBar b-c"
    tool = mcp_types.Tool(name="t", description=said, input_schema={"type": "object"})
    assert names_in(tool) == {"send_mail", "fetch_page", "readFile", "fooBar", "b-c"}
    other = mcp_types.Tool(name="send_mail", input_schema={"type": "object"})
    assert shadowed_tools([("a", "a__t", tool), ("b", "b__send_mail", other)]) == {"a__t": "b__send_mail"}
    pieces = {
        name for word in "mail ann+x@example.org, account DE-4420-1199 at https://x.test/a?b".split(" ") for name in names(word)
    }
    assert {"ann+x@example.org", "DE-4420-1199", "https://x.test/a?b"} <= pieces
    assert json.dumps([q.option for q in quoted('Said as "per ...". count: "how many"; sum: "total"')])
