"""Answers that are no JSON, several on one line, or sent before they were asked for: none holds up who waits."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types
import pytest
from mcp_types import JSONRPCError, JSONRPCResponse

from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import UpstreamFault
from portico_gateway.upstreams.supervision import UpstreamState
from portico_gateway.upstreams.upstreams import Upstreams
from portico_gateway.upstreams.wire.messages import UNREADABLE_ANSWER, addressed, read_messages
from portico_gateway.upstreams.wire.whole_messages import MessageLines

pytestmark = [pytest.mark.anyio, pytest.mark.attack("10 upstreams may be wrong")]
PATIENCE = 45.0  # seconds, below a call's deadline of 60

# What each mode does with a call of `odd`; `both` waits for a second call of it.
SERVER = """
import json, sys
MODE = sys.argv[1]
def raw(data):
    sys.stdout.buffer.write(data)
    sys.stdout.flush()
def answer(i, result=None, **rest):
    return json.dumps({"jsonrpc": "2.0", "id": i, "result": result or FINE, **rest})
FINE = {"content": [{"type": "text", "text": "fine"}]}
TOLD = json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}})
if MODE == "ahead":
    for i in (*range(3), *map(str, range(3))):
        raw(answer(i).encode() + b"\\n")
    raw(b'{"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "ahead of all"}}\\n')
before = None
for line in sys.stdin:
    asked = json.loads(line)
    i, method = asked.get("id"), asked.get("method")
    if i is None or method is None:
        continue
    if method == "initialize":
        version = asked["params"]["protocolVersion"]
        said = {"protocolVersion": version, "serverInfo": {"name": "m", "version": "1"}, "capabilities": {"tools": {}}}
        raw(answer(i, said).encode() + b"\\n")
    elif method == "tools/list":
        raw(answer(i, {"tools": [{"name": n, "inputSchema": {"type": "object"}} for n in ("good", "odd")]}).encode() + b"\\n")
    elif method != "tools/call" or asked["params"]["name"] == "good":
        raw(answer(i).encode() + b"\\n")
    elif MODE == "two_on_a_line":
        raw((TOLD + answer(i) + "\\n").encode())
    elif MODE == "behind_words":
        raw(("Loading {data} ... " + answer(i) + "\\n").encode())
    elif MODE == "pretty":
        raw((json.dumps(json.loads(answer(i)), indent=2) + "\\n").encode())
    elif MODE == "pretty_flat":
        raw((json.dumps(json.loads(answer(i)), indent=0) + "\\n").encode())
    elif MODE == "pretty_tabs_crlf":
        raw(json.dumps(json.loads(answer(i)), indent="\\t").replace("\\n", "\\r\\n").encode() + b"\\r\\n")
    elif MODE == "pretty_with_brackets":
        text = '} ] " { [ \\\\" '
        raw((json.dumps(json.loads(answer(i, {"content": [{"type": "text", "text": "fine"}, {"type": "text", "text": text}]})),
                        indent=2) + "\\n").encode())
    elif MODE == "pretty_batch":
        raw((json.dumps([json.loads(TOLD), json.loads(answer(i))], indent=2) + "\\n").encode())
    elif MODE == "pretty_behind_a_log":
        raw(b'config = {\\n  "debug": true\\n}\\n{\\n' + answer(i).encode() + b"\\n")
    elif MODE == "pretty_log":
        raw((json.dumps({"level": "info", "text": "started"}, indent=2) + "\\n" + answer(i) + "\\n").encode())
    elif MODE == "pretty_broken":
        raw((json.dumps(json.loads(answer(i)), indent=2).replace('"fine"', "'fine'") + "\\n").encode())
    elif MODE == "before_words":
        raw((answer(i) + " done\\n").encode())
    elif MODE.startswith("both"):
        if before is None:
            before = i
        elif MODE == "both_on_a_line":
            raw((answer(i) + answer(before) + "\\n").encode())
        else:
            raw(b'{"jsonrpc":"2.0","result":{"content":[{"a" "b"},"id"}\\n')
    elif MODE == "utf-16":
        raw((answer(i) + "\\n").encode("utf-16"))
    elif MODE == "utf-16-be":
        raw((answer(i, {"content": [{"type": "text", "text": "\\u4f60"}]}) + "\\n").encode("utf-16-be"))
    elif MODE == "utf-32":
        raw((answer(i) + "\\n").encode("utf-32"))
    elif MODE == "single_quotes":
        raw((str(json.loads(answer(i))) + "\\n").encode())
    elif MODE == "single_quotes_id_last":
        raw((str({"jsonrpc": "2.0", "result": FINE, "id": i}) + "\\n").encode())
    elif MODE == "no_id_found":
        raw(b'{"jsonrpc": "2.0", "result": {"content": [}, "id"\\n')
    else:
        raw(answer(i).encode() + b"\\n")
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _logs_go_to_a_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_LOG_DIR", str(tmp_path / "logs"))


@asynccontextmanager
async def upstreams_of(mode: str) -> AsyncIterator[Upstreams]:
    async with Upstreams([UpstreamSpec("s", command=sys.executable, args=("-c", SERVER, mode))]) as upstreams:
        await upstreams.ready(PATIENCE)
        yield upstreams


def _text(result: Any) -> str:
    return str(result.content[0].text)


PRETTY = [
    "pretty",
    "pretty_flat",
    "pretty_tabs_crlf",
    "pretty_with_brackets",
    "pretty_batch",
    "pretty_behind_a_log",
    "pretty_log",
]


@pytest.mark.parametrize("mode", PRETTY)
async def test_an_answer_over_several_lines_is_read(mode: str) -> None:
    async with upstreams_of(mode) as upstreams:
        with anyio.fail_after(PATIENCE):
            assert _text(await upstreams.call_tool("s__odd")) == "fine"
            assert (await upstreams.call_tool("s__good")).content


@pytest.mark.parametrize("mode", ["two_on_a_line", "behind_words", "before_words"])
async def test_an_answer_that_shares_its_line_is_read(mode: str) -> None:
    async with upstreams_of(mode) as upstreams:
        with anyio.fail_after(PATIENCE):
            assert _text(await upstreams.call_tool("s__odd")) == "fine"


async def test_two_answers_on_one_line_end_two_calls() -> None:
    async with upstreams_of("both_on_a_line") as upstreams:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for _ in range(2):
                    tasks.start_soon(upstreams.call_tool, "s__odd")


@pytest.mark.parametrize(
    ("mode", "named"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-16"),
        ("single_quotes", "double quotes"),
        ("single_quotes_id_last", "double quotes"),
        ("no_id_found", "no valid JSON"),
        ("pretty_broken", "no valid JSON"),
    ],
)
async def test_an_answer_that_is_no_json_ends_its_call_and_says_so(mode: str, named: str) -> None:
    async with upstreams_of(mode) as upstreams:
        with anyio.fail_after(PATIENCE), pytest.raises(UpstreamFault, match=named):
            await upstreams.call_tool("s__odd")
        assert (await upstreams.call_tool("s__good")).content
        assert upstreams.status()[0].restarts == 0


async def test_an_unreadable_answer_that_names_no_call_ends_all_that_wait() -> None:
    ended = []

    async def call(upstreams: Upstreams) -> None:
        with pytest.raises(UpstreamFault, match="no valid JSON"):
            await upstreams.call_tool("s__odd")
        ended.append(1)

    async with upstreams_of("both_unreadable") as upstreams:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for _ in range(2):
                    tasks.start_soon(call, upstreams)
    assert len(ended) == 2


async def test_answers_ahead_of_what_is_asked_count_for_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with upstreams_of("ahead") as upstreams:
        (status,) = upstreams.status()
        assert (status.state, status.tools) == (UpstreamState.READY, 2)
        assert _text(await upstreams.call_tool("s__odd")) == "fine"
    assert caplog.text.count("what it was not asked") == 1


@pytest.mark.parametrize(
    "line",
    [
        "Loading",
        "{'level': 'info', 'error': 'none', 'id': 'x'}",
        "{ jsonrpc: '2.0', id: 5, method: 'tools/call' }",
        "{'jsonrpc': '2.0', 'id': 5, 'method': 'tools/call'}",
        '{"jsonrpc": "2.0", "method": "tools/call", "id": 5, ',
        '  "jsonrpc": "2.0",',
        "{",
    ],
)
def test_what_a_server_logs_is_no_answer(line: str) -> None:
    assert all(message.id == "x" for message in read_messages(line.encode()))  # type: ignore[union-attr]


def test_an_error_without_an_id_is_of_whom_it_may_be() -> None:
    cannot_read = JSONRPCError(jsonrpc="2.0", id=None, error=mcp_types.ErrorData(code=-32700, message="what?"))
    unreadable = JSONRPCError(jsonrpc="2.0", id=None, error=mcp_types.ErrorData(code=UNREADABLE_ANSWER, message="no JSON"))
    other = JSONRPCResponse(jsonrpc="2.0", id=1, result={})
    assert [each.id for each in addressed(cannot_read, [7])] == [7]  # type: ignore[union-attr]
    assert addressed(cannot_read, [7, 8]) == []
    assert [each.id for each in addressed(unreadable, [7, 8])] == [7, 8]  # type: ignore[union-attr]
    assert addressed(other, [7, 8]) == [other]


ANSWER = b'{"jsonrpc": "2.0", "id": 1, "result": {}}'


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([b"{", b'"a": 1', b"}"], [b'{\n"a": 1\n}']),
        ([b"{", ANSWER, ANSWER], [b"{", ANSWER, ANSWER]),
        ([b"[", b"{", b"}", b"]", b"x"], [b"[\n{\n}\n]", b"x"]),
        ([b"{ level: info", ANSWER], [b"{ level: info", ANSWER]),
        ([b"}", b"{}", b"", ANSWER], [b"}", b"{}", b"", ANSWER]),
        ([b"{", b"]", b"]", b"}"], [b"{\n]", b"]", b"}"]),
        ([b'{"a": "x', ANSWER], [b'{"a": "x', ANSWER]),
        ([b"{", b"x" * 50, b"y" * 50, b"z"], [b"{\n" + b"x" * 50 + b"\n" + b"y" * 50, b"z"]),
    ],
)
def test_lines_of_one_text_are_told_together(lines: list[bytes], expected: list[bytes]) -> None:
    """As far as it is one; a message by itself is never part of another."""
    texts = MessageLines(100)
    found = [text for line in lines for text in texts.feed(line)]
    assert found + texts.end() == expected
