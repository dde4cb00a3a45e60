"""Text that is not Unicode, at every edge of the servers: an answer each time, at once, with U+FFFD in its place."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from portico_servers.code.external import ripgrep
from portico_servers.code.tools.find_references import find_references
from portico_servers.code.tools.search import search, search_regex
from portico_servers.code.workspace import Workspace
from portico_servers.common.embeddings import shared_embedder
from portico_servers.common.unicode_text import plain_body, plain_json, plain_text, plain_value
from portico_servers.docs.config import DocsConfig
from portico_servers.docs.service import Service

pytestmark = pytest.mark.attack("3 text is text")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


HELLO = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
META = (
    b'"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},'
    b'"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"}},'
)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (r'"\ud83d"', r'"\ufffd"'),
        (r'"\uDE00"', r'"\ufffd"'),
        (r'"\ud83d\ude00"', r'"\ud83d\ude00"'),
        (r'"\ud83d\ud83d\ude00"', r'"\ufffd\ud83d\ude00"'),
        (r'"\\ud83d"', r'"\\ud83d"'),
        (r'"\\\ud83d"', r'"\\\ufffd"'),
        (r'"\ud83d\n"', r'"\ufffd\n"'),
        (r'"\ud83', r'"\ud83'),
        ('"\ud83d"', '"\ufffd"'),
        (r'{"\udc00": 1}', r'{"\ufffd": 1}'),
        ('"é😀"', '"é😀"'),
    ],
)
def test_halves_of_pairs_in_json_become_the_replacement_character(given: str, wanted: str) -> None:
    assert plain_json(given) == wanted


def test_values_and_bytes_are_made_plain_in_all_their_parts() -> None:
    assert plain_text("a\udc80b") == "a\ufffdb"
    assert plain_value({"\ud800": ["\udfff", 1, None, ("x",)]}) == {"\ufffd": ["\ufffd", 1, None, ["x"]]}
    assert plain_body(b'"caf\xe9"') == '"caf\ufffd"'.encode()


@contextmanager
def stdio(package: str, target: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    where = {"code": ["--cache-dir", str(tmp_path / "index")], "docs": ["--cache-dir", str(tmp_path / "index")], "db": []}
    command = [sys.executable, "-P", "-m", f"portico_servers.{package}", str(target), *where[package]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(20)


def ask(process: subprocess.Popen[bytes], *lines: bytes) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"".join(line + b"\n" for line in lines))
    process.stdin.flush()
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


VALUES = (rb"\ud83d", rb"x \udc00 y", b"caf\xe9", rb"a\u0000b", b"\xed\xa0\xbd", rb"\ud83d\ude00")
TOOLS = {
    "code": (b"search", b"query", ["outline", "read", "find_symbol", "find_references", "changed_since"]),
    "docs": (b"search", b"query", ["read", "list"]),
    "db": (b"query", b"sql", ["describe", "explain"]),
}
ARGUMENTS = {"outline": "path", "read": "path", "find_symbol": "name", "find_references": "name", "changed_since": "ref",
             "list": "library", "describe": "table", "explain": "sql"}  # fmt: skip


@pytest.mark.parametrize("package", ["code", "docs", "db"])
def test_a_server_answers_whatever_a_host_writes_over_stdio(tmp_path: Path, package: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.py").write_text("x = 1\n")
    (root / "a.md").write_text("# A\n")
    target = root
    if package == "db":
        target = root / "a.db"
        target.touch()
    main, argument, others = TOOLS[package]
    with stdio(package, target, tmp_path) as process:
        assert ask(process, json.dumps(HELLO).encode())["id"] == 0
        ready = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'

        def call(number: str, tool: bytes, key: bytes, value: bytes, meta: bytes = b"") -> dict[str, Any]:
            params = b'{%s"name":"%s","arguments":{"%s":"%s"}}' % (meta, tool, key, value)
            line = b'{"jsonrpc":"2.0","id":"%s","method":"tools/call","params":%s}' % (number.encode(), params)
            return ask(process, *([ready] if number == "s0" else []), line)

        for number, value in enumerate(
            (rb"\ud83d", rb"x \udc00 y", b"caf\xe9", rb"a\u0000b", b"\xed\xa0\xbd", rb"\ud83d\ude00")
        ):
            for meta in (b"", META):
                answer = call(f"s{number}", main, argument, value, meta)
                assert answer["id"] == f"s{number}"
                assert "content" in answer["result"], answer
        for tool in others:
            answer = call(tool, tool.encode(), ARGUMENTS[tool].encode(), rb"\ud83d")
            assert answer["id"] == tool
            assert "\ufffd" in json.dumps(answer, ensure_ascii=False) or answer["result"]
        assert call("name", rb"\ud83d", b"x", b"x")["id"] == "name"
        uri = ask(process, rb'{"jsonrpc":"2.0","id":"u","method":"resources/read","params":{"uri":"x:///\ud83d"}}')
        assert uri["id"] == "u"
        prompt = ask(process, rb'{"jsonrpc":"2.0","id":"p","method":"prompts/get","params":{"name":"\ud83d"}}')
        assert prompt["error"]["code"] == -32602
        assert ask(process, b'{"jsonrpc":"2.0","id":')["error"]["code"] == -32700
        assert ask(process, b"[" * 5_000)["error"]["code"] == -32700
        neither = ask(process, b'{"jsonrpc":"2.0","id":7}')
        assert (neither["id"], neither["error"]["code"]) == (7, -32600)
        assert ask(process, b'{"jsonrpc":"2.0","id":8,"method":"ping"}')["result"] == {}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_and_contents_that_are_no_utf8_are_answered(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(
        ["git", "-c", "user.name=T", "-c", "user.email=t@e.org", "commit", "-q", "--allow-empty", "-m", "x"],
        cwd=root,
        check=True,
    )
    Path(os.fsdecode(bytes(root) + b"/caf\xe9.py")).write_bytes(b"x = 'caf\xe9'\n")
    (root / "b.py").write_bytes(b"needle = 'caf\xe9'\0\n".replace(b"\0", b""))
    with stdio("code", root, tmp_path) as process:
        ask(process, json.dumps(HELLO).encode())
        ready = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
        for number, (tool, arguments) in enumerate(
            [("changed_since", {"ref": "HEAD"}), ("search", {"query": "needle", "regex": True}), ("read", {"path": "b.py"})]
        ):
            line = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
            answer = ask(process, *([] if number else [ready]), json.dumps(line).encode())
            assert "caf\ufffd" in answer["result"]["content"][0]["text"] or "caf\ufffd" in json.dumps(
                answer["result"]["structuredContent"], ensure_ascii=False
            )


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def http(root: Path, tmp_path: Path) -> Iterator[str]:
    command = [
        sys.executable,
        "-P",
        "-m",
        "portico_servers.code",
        str(root),
        "--cache-dir",
        str(tmp_path / "i"),
        "--http",
        str(free_port()),
    ]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            yield process.stderr.readline().decode().split()[-1]
        finally:
            process.terminate()
            process.wait(20)


def test_over_http_it_is_the_same_and_a_stream_that_is_asked_for_again_begins_anew(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.py").write_text("x = 1\n")
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    with http(root, tmp_path) as url, httpx2.Client(timeout=20, trust_env=False) as client:
        started = client.post(url, json=HELLO, headers=headers)
        session = {"mcp-session-id": started.headers["mcp-session-id"]}
        client.post(url, json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=headers | session)
        for value in (rb"\ud83d", b"caf\xe9", rb"\ud83d\ude00"):
            body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{%s"name":"%s","arguments":{"query":"%s"}}}'
            for name in (b"search", rb"\udc00"):
                answer = client.post(url, content=body % (b"", name, value), headers=headers | session)
                assert answer.status_code == 200
                assert '"result"' in answer.text
                modern = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "search"}
                answer = client.post(url, content=body % (META, name, value), headers=headers | modern)
                assert answer.status_code < 500, answer.text
        with client.stream("GET", url, headers={"accept": "text/event-stream", "last-event-id": "5"} | session) as stream:
            assert stream.status_code == 200


@pytest.fixture
def odd_names(tmp_path: Path) -> Path:
    """Beside honest files: names that are no UTF-8, and ignore files that can't be read."""
    root = tmp_path / "root"
    (root / "part").mkdir(parents=True)
    for name in (b"caf\xe9.py", b"caf\xe9.md", b"d\xe9/inner.py", b"d\xe9/inner.md"):
        path = Path(os.fsdecode(bytes(root) + b"/" + name))
        path.parent.mkdir(exist_ok=True)
        path.write_text("# needle\n\nneedle text\n")
    for name in ("ok.py", "ok.md", "part/ok.md"):
        (root / name).write_text(f"# needle\n\nneedle text of {name}\n")
    (root / ".gitignore").write_bytes(b"!\nbuild/\n\xe9\n[\n")
    return root


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
async def test_names_that_are_no_utf8_stop_no_search_for_code(odd_names: Path, tmp_path: Path) -> None:
    workspace = Workspace([odd_names], tmp_path / "index")
    workspace.start()
    index = next(iter(workspace.indexes.values()))
    assert index.ready.wait(30)
    found = {hit.path for hit in (await search_regex(workspace, "needle")).hits}
    assert found >= {"ok.py", "ok.md", "part/ok.md"}
    json.dumps(sorted(found)).encode()
    assert (await find_references(workspace, "needle")).hits
    (odd_names / "new.py").write_text("fresh = 1\n")
    for _ in range(200):  # what can't be watched is looked at every few seconds
        if search(workspace, "fresh").hits:
            break
        await anyio.sleep(0.1)
    assert search(workspace, "fresh").hits
    assert index.failure is None
    workspace.close()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_utf8_stop_no_index_of_documents(odd_names: Path, tmp_path: Path) -> None:
    os.mkfifo(odd_names / "part/.gitignore")
    shared_embedder().embed(["warm"])
    with closing(Service(DocsConfig((odd_names,), tmp_path / "cache", watch=False))) as service:
        service.indexer.update(service.library.library_versions())
        assert {hit.path for hit in service.library.search("needle").hits} == {"ok.md", "part/ok.md"}


def test_a_listing_that_never_ends_is_ended_and_said(odd_names: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ripgrep, "LIST_SECONDS", 0.5)
    monkeypatch.setattr(ripgrep, "pipes_opened", lambda _root: nullcontext())
    os.mkfifo(odd_names / "part/.gitignore")
    workspace = Workspace([odd_names], tmp_path / "index")
    workspace.start()
    index = next(iter(workspace.indexes.values()))
    assert index.ready.wait(20)
    assert index.failure is not None
    assert "listing its files took longer" in index.failure
    workspace.close()
