"""A server may answer wrongly: what can be used is used, the rest is named, nothing hangs and nobody is restarted."""

from __future__ import annotations

import gzip
import json
import logging
import re
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import JSONRPCError, JSONRPCResponse

from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import UpstreamFault, UpstreamUnavailable
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.upstreams.supervision import UpstreamState
from portico_gateway.upstreams.upstreams import Upstreams
from portico_gateway.upstreams.wire.messages import read_messages

pytestmark = [pytest.mark.anyio, pytest.mark.attack("10 upstreams may be wrong")]
ODD_SERVER = Path(__file__).with_name("odd_server.py")
PATIENCE = 30.0
AT_ONCE = 30.0  # seconds, below a call's deadline of 60


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _logs_go_to_a_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_LOG_DIR", str(tmp_path / "logs"))
    monkeypatch.setenv("PORTICO_AUDIT_FILE", str(tmp_path / "audit.db"))


@asynccontextmanager
async def upstreams_of(mode: str) -> AsyncIterator[Upstreams]:
    async with Upstreams([UpstreamSpec("s", command=sys.executable, args=(str(ODD_SERVER), mode))]) as upstreams:
        await upstreams.ready(PATIENCE)
        yield upstreams


async def pid_of(upstreams: Upstreams) -> str:
    return str((await upstreams.call_tool("s__good")).content[0].text)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "mode",
    [
        "no_schema", "null_schema", "root_anyof", "schema_only", "string_root", "surrogate_list", "required_in_properties",
        "list_schema", "null_properties", "type_list", "properties_list", "property_is_a_type", "required_true",
        "array_output", "number_description", "odd_annotations", "list_annotations", "odd_icons", "odd_meta", "number_name",
        "null_name", "null_tool", "string_tool",
    ],
)  # fmt: skip
async def test_one_odd_tool_costs_itself_at_most(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with upstreams_of(mode) as upstreams:
            (status,) = upstreams.status()
            assert (status.state, status.restarts) == (UpstreamState.READY, 0)
            names = [entry.name for entry in upstreams.catalog.tools]
            assert {"s__good", "s__slow"} <= set(names)
            unnamed = mode in ("number_name", "null_name", "null_tool", "string_tool")
            assert unnamed or "s__odd" in names or "odd" in caplog.text
            for entry in upstreams.catalog.tools:
                assert entry.tool.input_schema["type"] == "object"
            async with gateway(upstreams) as host:
                assert {tool.name for tool in (await host.list_tools()).tools} == set(names)


@asynccontextmanager
async def gateway(upstreams: Upstreams, mode: str = "legacy") -> AsyncIterator[Client]:
    server = GatewayServer(upstreams)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.run)
        async with Client(server.server, mode=mode, cache=None) as client:
            yield client
        tasks.cancel_scope.cancel()


async def test_a_required_list_among_the_properties_is_moved_to_its_place() -> None:
    async with upstreams_of("required_in_properties") as upstreams:
        schema = upstreams.catalog.tool("s__odd").tool.input_schema
        assert (schema["properties"], schema["required"]) == ({"coin": {"type": "string"}}, ["coin"])


async def test_a_list_that_is_none_is_empty_and_the_server_lives() -> None:
    async with upstreams_of("null_tools") as upstreams:
        (status,) = upstreams.status()
        assert (status.state, status.tools, status.restarts) == (UpstreamState.READY, 0, 0)


@pytest.mark.parametrize("version", ["null", "20250618", "[]"])
async def test_a_server_that_names_no_version_is_spoken_to_in_the_oldest(version: str) -> None:
    async with upstreams_of(f"version {version}") as upstreams:
        assert [entry.name for entry in upstreams.catalog.tools] == ["s__good", "s__odd", "s__slow"]
        assert not (await upstreams.call_tool("s__good", {})).is_error


async def test_a_server_without_a_name_connects() -> None:
    async with upstreams_of("bare_initialize") as upstreams:
        assert upstreams.status()[0].state is UpstreamState.READY


@pytest.mark.parametrize(
    ("mode", "code", "message"),
    [("err32000", -32000, "rate limit exceeded"), ("err32001", -32001, "not found in my store"), ("err_no_message", -5, ""),
     ("err_string", -32603, "it broke")],
)  # fmt: skip
async def test_a_servers_own_error_passes_and_ends_nothing(mode: str, code: int, message: str) -> None:
    async with upstreams_of(mode) as upstreams:
        before = await pid_of(upstreams)
        slow: list[Any] = []

        async def call_slow() -> None:
            slow.append(await upstreams.call_tool("s__slow"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call_slow)
            await anyio.sleep(0.1)
            with pytest.raises(MCPError) as caught:
                await upstreams.call_tool("s__odd")
        assert caught.value.code == code
        assert message in caught.value.message
        assert slow, "a call in flight was lost"
        assert await pid_of(upstreams) == before
        async with gateway(upstreams) as host:
            with pytest.raises(MCPError) as outside:
                await host.call_tool("s__odd")
            assert outside.value.code == code


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("surrogate_result", "snapshot \ufffd"), ("latin1_result", "caf\ufffd"), ("batch_result", "fine"),
        ("structured_only", '{"a":1}'), ("string_content", "fine"), ("object_content", "fine"), ("strings_content", "fine"),
        ("text_is_number", "7"), ("untyped_block", "fine"), ("structured_list", "[1,2]"), ("error_is_text", "fine"),
        ("odd_meta_result", "fine"), ("output_schema", "fine"), ("no_version", "fine"), ("float_id", "fine"),
        ("new_field", "fine"),
    ],
)  # fmt: skip
async def test_an_odd_result_is_passed_on_at_once(mode: str, expected: str) -> None:
    async with upstreams_of(mode) as upstreams:
        with anyio.fail_after(AT_ONCE):
            result = await upstreams.call_tool("s__odd")
        assert result.content[0].text == expected  # type: ignore[union-attr]
        assert upstreams.status()[0].restarts == 0
        async with gateway(upstreams) as host:
            outside = await raw_result(host, "s__odd")
            assert outside["content"][0]["text"] == expected


@pytest.mark.parametrize("mode", ["empty_result", "null_content", "null_result", "nan_result", "long_number"])
async def test_a_result_without_content_is_a_result(mode: str) -> None:
    async with upstreams_of(mode) as upstreams:
        with anyio.fail_after(AT_ONCE):
            assert not (await upstreams.call_tool("s__odd")).is_error
        async with gateway(upstreams) as host:
            await host.call_tool("s__odd")


@pytest.mark.parametrize("mode", ["deep_result", "broken_json", "list_result", "huge_line"])
async def test_what_cannot_be_read_is_an_error_at_once(mode: str) -> None:
    async with upstreams_of(mode) as upstreams:
        before = await pid_of(upstreams)
        started = time.monotonic()
        with pytest.raises(UpstreamFault, match="answer"):
            await upstreams.call_tool("s__odd")
        assert time.monotonic() - started < AT_ONCE
        assert await pid_of(upstreams) == before


async def test_new_content_types_and_new_fields_reach_the_host_as_they_were_sent() -> None:
    for mode in ("new_content_type", "new_field"):
        async with upstreams_of(mode) as upstreams, gateway(upstreams) as host:
            sent = await raw_result(host, "s__odd")
            if mode == "new_content_type":
                assert sent["content"][1] == {"type": "video", "data": "AAAA", "mimeType": "video/mp4"}
                assert sent["futureField"] == {"x": 1}
            else:
                assert sent["content"] == [{"type": "text", "text": "fine", "novel": 1}]
                assert sent["novelty"] == 2
            assert not sent.get("_meta")


async def test_a_server_cannot_forge_what_the_gateway_keeps_of_an_answer() -> None:
    """The place where unknown parts travel inside the gateway is the gateway's own."""
    from portico_gateway.upstreams.wire.answers import UNKNOWN_PARTS, mend_result

    forged = {"content": [], "_meta": {UNKNOWN_PARTS: {"fields": {"isError": False}}}}
    assert UNKNOWN_PARTS not in (mend_result("tools/call", forged, "2025-11-25").result.get("_meta") or {})


async def raw_result(host: Client, name: str) -> dict[str, Any]:
    """What a host gets, before any SDK reads it."""
    return await host.session._dispatcher.send_raw_request("tools/call", {"name": name, "arguments": {}})


# -- over HTTP


class OddHttpServer(BaseHTTPRequestHandler):
    """A raw Streamable HTTP server that is wrong in the way that `mode` names."""

    protocol_version = "HTTP/1.1"
    mode = ""
    sessions: ClassVar[set[str]] = set()
    n_calls = 0
    n_initialized = 0

    def log_message(self, *args: Any) -> None:
        pass

    def _send(self, status: int, body: bytes = b"", kind: str | None = "application/json", **headers: str) -> None:
        self.send_response(status)
        for key, value in ({"content-type": kind} if kind else {}).items():
            self.send_header(key, value)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _rpc(self, identity: Any, *, result: Any = None, error: Any = None, status: int = 200, **headers: str) -> None:
        answer = {"jsonrpc": "2.0", "id": identity, **({"error": error} if error else {"result": result})}
        self._send(status, json.dumps(answer).encode(), **headers)

    def do_GET(self) -> None:
        self._send(405)

    def do_DELETE(self) -> None:
        self._send(405)

    def do_POST(self) -> None:
        kind = type(self)
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        identity, method = message.get("id"), message.get("method")
        if kind.mode in ("401", "403", "503"):
            return self._send(int(kind.mode), b"<html>no</html>", "text/html", www_authenticate="Bearer")
        if method == "initialize":
            kind.n_initialized += 1
            session = f"s{kind.n_initialized}"
            kind.sessions.add(session)
            result = {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "h", "version": "1"},
            }
            return self._rpc(identity, result=result, mcp_session_id=session)
        if method == "server/discover":
            return self._rpc(identity, error={"code": -32601, "message": "no"})
        if self.headers.get("mcp-session-id") not in kind.sessions:
            status = 400 if kind.mode == "expires400" else 404
            if kind.mode == "expires_html":
                return self._send(404, b"<html>gone</html>", "text/html")
            return self._rpc(identity, error={"code": -32001, "message": "Session not found"}, status=status)
        if identity is None:
            return self._send(202)
        if method == "tools/list":
            tool = {"name": "odd", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}
            return self._rpc(identity, result={"tools": [tool, {**tool, "name": "good"}]})
        if message["params"]["name"] == "good":
            return self._rpc(identity, result={"content": [{"type": "text", "text": "good"}]})
        kind.n_calls += 1
        return self._call(identity)

    def _call(self, identity: Any) -> None:
        mode, kind = type(self).mode, type(self)
        fine = {"jsonrpc": "2.0", "id": identity, "result": {"content": [{"type": "text", "text": "fine"}]}}
        body = json.dumps(fine).encode()
        if mode.startswith("expires") and kind.n_calls == 1:
            kind.sessions.clear()
            if mode == "expires_html":
                return self._send(404, b"<html>gone</html>", "text/html")
            status = 400 if mode == "expires400" else 404
            return self._rpc(identity, error={"code": -32001, "message": "Session not found"}, status=status)
        if mode == "bomb":
            return self._send(200, gzip.compress(b" " * (300 << 20), 1), content_encoding="gzip")
        if mode == "brotli":
            return self._send(200, body, content_encoding="br")
        if mode == "not_gzip":
            return self._send(200, body, content_encoding="gzip")
        if mode == "gzip":
            return self._send(200, gzip.compress(body), content_encoding="gzip")
        if mode == "batch":
            return self._send(200, json.dumps([{"jsonrpc": "2.0", "method": "x"}, fine]).encode())
        if mode == "latin1":
            return self._send(200, body.replace(b"fine", b"caf\xe9"), "application/json; charset=latin-1")
        if mode == "surrogate":
            return self._send(200, body.replace(b"fine", b"\\ud83d"))
        if mode == "deep":
            return self._send(200, body.replace(b'"fine"', b"[" * 9000 + b"]" * 9000))
        if mode == "empty":
            return self._send(200, b"")
        if mode == "no_type":
            return self._send(200, body, None)
        if mode == "429":
            return self._send(429, b"slow", "text/plain", retry_after="7")
        if mode == "error":
            return self._rpc(identity, error={"code": -32000, "message": "rate limit"})
        if mode == "sse_error":
            error = {"jsonrpc": "2.0", "id": identity, "error": {"code": -32000, "message": "rate limit"}}
            return self._send(200, b"data: " + json.dumps(error).encode() + b"\n\n", "text/event-stream")
        events = {
            "sse": b"event: message\ndata: " + body + b"\n\n",
            "sse_cr": b"event: message\rdata: " + body + b"\r\r",
            "sse_crlf": b": ping\r\n\r\nid: 1\r\nretry: 9\r\ndata:\r\n\r\ndata:" + body + b"\r\n\r\n",
            "sse_batch": b"data: [" + body + b"]\n\n",
            "sse_surrogate": b"data: " + body.replace(b"fine", b"\\ud83d") + b"\n\n",
            "sse_other": b"event: heartbeat\ndata: {}\n\nevent: message\ndata: " + body + b"\n\n",
            "sse_long": b"data: " + b"x" * (65 << 20),
            "sse_big": b"data: " + body.replace(b"fine", b"y" * (3 << 20)) + b"\n\n",
        }
        if mode in events:
            return self._send(200, events[mode], "text/event-stream")
        return self._send(200, body)


@asynccontextmanager
async def http_upstreams(mode: str) -> AsyncIterator[tuple[Upstreams, type[OddHttpServer]]]:
    handler = type("Handler", (OddHttpServer,), {"mode": mode, "sessions": set()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        spec = UpstreamSpec("s", transport="http", url=f"http://127.0.0.1:{server.server_port}/mcp")
        async with Upstreams([spec]) as upstreams:
            await upstreams.ready(PATIENCE)
            yield upstreams, handler
        server.shutdown()


@pytest.mark.parametrize("mode", ["expires", "expires400", "expires_html"])
async def test_an_expired_session_is_renewed_and_the_call_made_again(mode: str) -> None:
    async with http_upstreams(mode) as (upstreams, server):
        results: list[str] = []

        async def call() -> None:
            results.append(str((await upstreams.call_tool("s__odd")).content[0].text))  # type: ignore[union-attr]

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(call)
        assert results == ["fine"] * 5
        assert server.n_initialized == 2


@pytest.mark.parametrize(("mode", "words"), [("401", "401.*authorization"), ("403", "403.*authorization"), ("503", "503")])
async def test_a_refusal_says_its_status_and_what_would_help(mode: str, words: str) -> None:
    async with http_upstreams(mode) as (upstreams, _):
        assert re.search(words, upstreams.status()[0].error or "")


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("gzip", "fine"),
        ("batch", "fine"), ("latin1", "caf\ufffd"), ("surrogate", "\ufffd"), ("no_type", "fine"), ("sse", "fine"),
        ("sse_cr", "fine"), ("sse_crlf", "fine"), ("sse_batch", "fine"), ("sse_surrogate", "\ufffd"), ("sse_other", "fine"),
        ("sse_big", "y" * (3 << 20)),
    ],
)  # fmt: skip
async def test_an_odd_body_is_read(mode: str, expected: str) -> None:
    async with http_upstreams(mode) as (upstreams, server):
        with anyio.fail_after(AT_ONCE):
            assert (await upstreams.call_tool("s__odd")).content[0].text == expected  # type: ignore[union-attr]
        assert server.n_initialized == 1


@pytest.mark.parametrize("mode", ["bomb", "brotli", "not_gzip", "deep", "empty", "sse_long"])
async def test_a_body_that_cannot_be_taken_is_an_error_and_the_session_goes_on(mode: str) -> None:
    async with http_upstreams(mode) as (upstreams, server):
        with anyio.fail_after(AT_ONCE), pytest.raises(UpstreamFault, match="answer"):
            await upstreams.call_tool("s__odd")
        assert (await upstreams.call_tool("s__good")).content
        assert server.n_initialized == 1


@pytest.mark.parametrize("mode", ["error", "sse_error"])
async def test_a_servers_own_error_over_http_passes_and_ends_nothing(mode: str) -> None:
    async with http_upstreams(mode) as (upstreams, server):
        with pytest.raises(MCPError) as caught:
            await upstreams.call_tool("s__odd")
        assert (caught.value.code, caught.value.message) == (-32000, "rate limit")
        assert server.n_initialized == 1


async def test_a_status_in_the_middle_is_told() -> None:
    async with http_upstreams("429") as (upstreams, _):
        with pytest.raises(UpstreamUnavailable, match=r"429.*after 7"):
            await upstreams.call_tool("s__odd")
        assert (await upstreams.call_tool("s__good")).content


async def test_arguments_that_are_no_unicode_reach_the_server() -> None:
    """The host's half of a surrogate pair must not end the connection."""
    for opened in (http_upstreams("sse"),):
        async with opened as (upstreams, server):
            assert (await upstreams.call_tool("s__odd", {"q": "\ud83d"})).content
            assert server.n_initialized == 1
    async with upstreams_of("plain") as upstreams:
        before = await pid_of(upstreams)
        assert (await upstreams.call_tool("s__odd", {"q": "\ud83d"})).content
        assert await pid_of(upstreams) == before


def _response(value: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":7,"result":{"content":[],"structuredContent":{"a":%s}}}' % value


def test_an_answer_of_millions_of_items_is_an_error_at_once_and_long_texts_are_none() -> None:
    """Reading it would hold the interpreter's lock for seconds, in whatever thread."""
    began = time.thread_time()
    (refused,) = read_messages(_response(b"[" + b"[]," * (2 << 20) + b"1]"))
    assert isinstance(refused, JSONRPCError)
    assert (refused.id, "250,000 items" in refused.error.message) == (7, True)
    assert time.thread_time() - began < 10
    escaped = rb"\"a\": [1, {2}], \\" * 100_000
    for text in (b"x" * (20 << 20), b"a, [b], {c}; " * 200_000, escaped):
        (read,) = read_messages(_response(b'"' + text + b'"'))
        assert isinstance(read, JSONRPCResponse)
        assert len(read.result["structuredContent"]["a"]) > 1_000_000
