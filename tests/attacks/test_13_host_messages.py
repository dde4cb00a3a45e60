"""What a host writes may be no message: whoever waits is answered by its id, over stdio and HTTP, and the next is heard."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse
from tests.attacks.http_server import running

from portico_servers.common.host_messages import MAX_BATCH, Refusal, one_message, read_host_messages

pytestmark = pytest.mark.attack("13 calls that were cut, odd messages of hosts")
DEEP = "[" * 500 + "]" * 500
DIGITS = "9" * 6000


def one(line: str | bytes) -> JSONRPCMessage | Refusal:
    (message,) = read_host_messages(line.encode() if isinstance(line, str) else line)
    return message


@pytest.mark.parametrize("identity", ["null", "1.5", "true", "[1]", '{"a":1}', "1e999", "NaN", "1e300"])
def test_a_request_with_an_id_that_is_none_is_refused_and_not_taken_for_a_notification(identity: str) -> None:
    for method in ("tools/list", "ping"):
        refused = one(f'{{"jsonrpc":"2.0","id":{identity},"method":"{method}"}}')
        assert isinstance(refused, Refusal)
        assert refused.error.id is None
        assert "id of a request is a string or an integer" in refused.error.error.message


@pytest.mark.parametrize(("identity", "meant"), [("1.0", 1), ("-2e3", -2000), ("1180591620717411303424", 2**70), ('""', "")])
def test_an_id_that_is_an_integer_is_one_however_it_is_written(identity: str, meant: object) -> None:
    message = one(f'{{"jsonrpc":"2.0","id":{identity},"method":"ping"}}')
    assert isinstance(message, JSONRPCRequest)
    assert message.id == meant


def test_a_notification_may_say_that_it_has_no_id() -> None:
    message = one('{"jsonrpc":"2.0","id":null,"method":"notifications/initialized","params":null}')
    assert isinstance(message, JSONRPCNotification)


@pytest.mark.parametrize(
    ("line", "identity"),
    [
        (f'{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{{"a":{DEEP},"id":9}}}}', 5),
        (f'{{"method":"tools/call","params":{{"a":{DEEP},"id":9}},"jsonrpc":"2.0","id":5}}', 5),  # as the TypeScript SDK writes
        (f'{{"params":{{"a":{DEEP},"id":9}},"id":"x","method":"tools/call","jsonrpc":"2.0"}}', "x"),
        (f'{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{{"a":{DIGITS}}}}}', 5),
        ('{"jsonrpc":"2.0","id":5,"method":"pi', 5),
        ('{"jsonrpc":"2.0","id":5,"method":"ping",}', 5),
        ('{"method":"x","params":{"a":"b","id":9}', None),  # cut: this is an argument's
        (f'{{"jsonrpc":"2.0","id":{DIGITS},"method":"ping"}}', None),
        ("hello", None),
        ('{"jsonrpc":"2.0","id":5,"method":"ping"}{"jsonrpc":"2.0","id":6,"method":"ping"}', 5),
    ],
)  # fmt: skip
def test_what_cannot_be_parsed_is_answered_by_its_id(line: str, identity: object) -> None:
    refused = one(line)
    assert isinstance(refused, Refusal)
    assert (refused.error.id, refused.error.error.code) == (identity, -32700)
    assert len(refused.error.error.message) < 300


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ('"method":"ping","params":[]', '"params" are an object in MCP, not a list'),
        ('"method":"ping","params":"x"', '"params" are an object in MCP, not a string'),
        ('"method":5', '"method" is a string, not the number 5'),
        ('"method":null', '"method" is a string, not null'),
        ('"jsonrpc":"1.0","method":"ping"', '"jsonrpc" must be "2.0"'),
        ('"x":1', "no method, no result and no error"),
    ],
)
def test_what_is_no_request_says_what_is_wrong(members: str, why: str) -> None:
    refused = one(f'{{"jsonrpc":"2.0","id":7,{members}}}')
    assert isinstance(refused, Refusal)
    assert refused.error.id == 7
    assert why in refused.error.error.message


@pytest.mark.parametrize("line", [b"\xef\xbb\xbf%s", b"\0%s\0", b"%s\r\n", b" \t%s  "])
def test_marks_around_a_message_are_passed_over(line: bytes) -> None:
    assert isinstance(one(line % b'{"jsonrpc":"2.0","id":5,"method":"ping"}'), JSONRPCRequest)


@pytest.mark.parametrize("answer", ['"result":null', '"result":5', '"error":"no"', '"error":{"code":"x"}', '"error":null'])
def test_an_answer_of_the_host_that_is_none_ends_the_request_and_is_not_answered(answer: str) -> None:
    """A refusal with its id would end the host's own request of that id."""
    message = one(f'{{"jsonrpc":"2.0","id":5,{answer}}}')
    assert isinstance(message, JSONRPCError)
    assert message.id == 5
    assert isinstance(one('{"id":5,"result":{}}'), JSONRPCResponse)


def test_a_batch_is_its_messages_and_each_that_is_none_is_refused() -> None:
    ping = {"jsonrpc": "2.0", "method": "ping"}
    read = read_host_messages(json.dumps([{**ping, "id": 1}, {**ping, "id": 1}, 5, {**ping, "id": None}, ping]).encode())
    kinds = [JSONRPCRequest, JSONRPCRequest, Refusal, Refusal, JSONRPCNotification]
    assert [type(message) for message in read] == kinds
    for empty in ([], [ping] * (MAX_BATCH + 1)):
        assert isinstance(one(json.dumps(empty)), Refusal)
    assert isinstance(one_message(json.dumps([ping]).encode()), Refusal)


REQUESTS = [
    (b'{"jsonrpc":"2.0","id":1.0,"method":"ping"}', 1, None),
    (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', None, -32600),
    (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', None, -32600),
    (b'{"method":"ping","params":{"a":"\\ud83d"},"jsonrpc":"2.0","id":2}', 2, None),
    (b'{"jsonrpc":"2.0","id":3,"method":"ping","params":{"a":"caf\xe9"}}', 3, None),
    (b'\xef\xbb\xbf{"jsonrpc":"2.0","id":4,"method":"ping"}', 4, None),
    (b'{"jsonrpc":"2.0","id":5,"method":"ping","params":[]}', 5, -32600),
    (b'{"jsonrpc":"2.0","id":6,"method":"ping","params":{"a":%s}}' % DIGITS.encode(), 6, -32700),
]  # fmt: skip


def holds(answer: dict[str, Any], identity: object, code: int | None) -> bool:
    return answer["id"] == identity and answer.get("error", {}).get("code") == code


@contextmanager
def stdio_server(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "a.py").write_text("x = 1\n")
    command = [sys.executable, "-P", "-m", "portico_servers.code", str(folder), "--cache-dir", str(folder / ".index")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def test_every_line_that_asks_is_answered_over_stdio_and_a_last_one_without_its_end(tmp_path: Path) -> None:
    with stdio_server(tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        long = b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":"%s"}}' % (b"x" * (65 << 20))
        behind = b'{"method":"ping","params":{"a":"%s"},"jsonrpc":"2.0","id":8}' % (b"x" * (65 << 20))
        for line, identity, code in [*REQUESTS, (long, 7, -32600), (behind, 8, -32600)]:
            process.stdin.write(line + b"\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            assert holds(answer, identity, code), answer
        process.stdin.write(b'[{"jsonrpc":"2.0","id":9,"method":"ping"},{"jsonrpc":"2.0","id":10,"method":"ping"}]')
        process.stdin.close()
        assert {json.loads(line)["id"] for line in process.stdout} == {9, 10}
        assert process.wait(20) == 0


def test_every_body_that_asks_is_answered_by_the_gateway_over_http() -> None:
    with running() as server:
        accept = {"Accept": "application/json, text/event-stream"}
        hello = {
            "jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
        }  # fmt: skip
        opened = server.post("/mcp", json.dumps(hello).encode(), accept)
        session = {**accept, "mcp-session-id": opened.headers["mcp-session-id"]}
        for body, identity, code in REQUESTS:
            answer = server.post("/mcp", body, session)
            text = answer.text.partition("data: ")[2] or answer.text  # an event stream, or plain JSON
            assert holds(json.loads(text), identity, code), text
            assert answer.status_code == (200 if code is None else 400)
        batch = server.post("/mcp", b"[%s]" % REQUESTS[0][0], session)
        assert "batches ended" in batch.json()["error"]["message"]
