"""The server as a host sees it: over a real pipe, in both eras, and in memory for what needs no process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, PromptReference, ResourceTemplateReference, TextContent

from portico_servers.code.config import CodeConfig
from portico_servers.code.index.root_index import IndexProgress, RootIndex
from portico_servers.code.server import build_server

TOOLS = ["search", "find_symbol", "find_references", "outline", "read", "changed_since"]


@asynccontextmanager
async def connected(root: Path, cache: Path, mode: str = "auto") -> AsyncIterator[Client]:
    """A client of a server in this process, its index complete."""
    async with Client(build_server(CodeConfig((root,), cache)), mode=mode) as client:
        await until_indexed(client)
        yield client


async def until_indexed(client: Client) -> None:
    with anyio.fail_after(60):
        while True:
            result = (await call(client, "search", query="block")).structured_content
            if result is not None and result["complete"]:
                return
            await anyio.sleep(0.02)


async def call(client: Client, tool: str, /, **arguments: Any) -> CallToolResult:
    result = await client.call_tool(tool, arguments)
    assert isinstance(result, CallToolResult)
    return result


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_host_of_either_era_lists_and_calls_over_stdio(git_repository: Path, tmp_path: Path, mode: str) -> None:
    command = ["-m", "portico_servers.code", str(git_repository), "--cache-dir", str(tmp_path / "index")]
    with anyio.fail_after(60):
        async with Client(stdio_client(StdioServerParameters(command=sys.executable, args=command)), mode=mode) as client:
            tools = (await client.list_tools()).tools
            assert [tool.name for tool in tools] == TOOLS
            await until_indexed(client)
            answers = {
                "search": {"query": "release a block"},
                "find_symbol": {"name": "release_block"},
                "find_references": {"name": "release_block"},
                "outline": {"path": "pool.py"},
                "read": {"path": "pool.py", "symbol": "release_block"},
            }
            for name, arguments in answers.items():
                result = await call(client, name, **arguments)
                assert not result.is_error
                assert "release_block" in text_of(result)
                assert "pool.py" in json.dumps(result.structured_content)
            assert "nothing changed" in text_of(await call(client, "changed_since", ref="HEAD"))
            assert [str(r.uri) for r in (await client.list_resources()).resources] == ["code://cache"]
            assert [p.name for p in (await client.list_prompts()).prompts] == ["explain_symbol", "review_diff", "trace_call"]


@pytest.mark.anyio
async def test_tools_are_read_only_titled_and_have_output_schemas_without_generated_titles(
    repository: Path, tmp_path: Path
) -> None:
    tools = await build_server(CodeConfig((repository,), tmp_path / "index")).list_tools()
    for tool in tools:
        assert tool.annotations is not None
        assert (tool.annotations.read_only_hint, tool.annotations.destructive_hint) == (True, False)
        assert tool.title
        assert tool.output_schema is not None
        assert '"title"' not in json.dumps(tool.input_schema)


@pytest.mark.anyio
async def test_the_tools_fit_their_token_budgets(repository: Path, tmp_path: Path) -> None:
    """In SmolLM2's tokens: at most 200 as signatures, at most 600 on the wire."""
    gguf = pytest.importorskip("gguf")
    from portico_engine import Tool, find_model
    from portico_engine.text.tokenizer import Tokenizer
    from portico_gateway.agent.tool_signatures import signature

    reader = gguf.GGUFReader(find_model(None))
    tokenizer = Tokenizer.from_gguf({name: field.contents() for name, field in reader.fields.items()})
    tools = await build_server(CodeConfig((repository,), tmp_path / "index")).list_tools()
    shown = "\n".join(signature(Tool(f"code__{tool.name}", tool.description or "", tool.input_schema)) for tool in tools)
    wire = [{"name": t.name, "description": t.description, "inputSchema": t.input_schema} for t in tools]
    assert len(tokenizer.encode(shown)) <= 200
    assert len(tokenizer.encode(json.dumps(wire, separators=(",", ":")))) <= 600


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("search", {"query": "(", "regex": True}, "the pattern '(' is not a regular expression: unclosed group"),
        ("search", {"query": "x", "language": "klingon"}, "unknown language 'klingon'"),
        ("search", {"query": "x", "cursor": "12"}, "cursor '12' does not continue this question"),
        ("find_symbol", {"name": "x", "kind": "gizmo"}, "unknown kind 'gizmo'"),
        ("find_references", {"name": "a b"}, "not a name: 'a b'"),
        ("outline", {"path": "../x"}, "not found: ../x"),
        ("read", {"path": "/etc/passwd"}, "not found: /etc/passwd"),
        ("read", {}, "'path' is a required property"),
        ("read", {"path": "pool.py", "start": "x"}, "start: 'x' is not of type 'integer'"),
        ("read", {"path": "pool.py", "start": 99}, "pool.py has lines 1 to 26"),
        ("changed_since", {"ref": "HEAD"}, "cache is not in a git repository"),
    ],
)
async def test_a_mistake_is_answered_with_what_would_be_right(
    repository: Path, tmp_path: Path, name: str, arguments: dict[str, Any], said: str
) -> None:
    async with Client(build_server(CodeConfig((repository,), tmp_path / "index"))) as client:
        result = await call(client, name, **arguments)
    assert result.is_error
    assert text_of(result).startswith(said)


@pytest.mark.anyio
async def test_files_are_resources_and_everything_outside_is_not_found(repository: Path, tmp_path: Path) -> None:
    (repository.parent / "secret.txt").write_text("SECRET")
    async with connected(repository, tmp_path / "index") as client:
        (content,) = (await client.read_resource("code://cache/server/main.go")).contents
        assert content.text.startswith("package main")  # type: ignore[union-attr]
        (about,) = (await client.read_resource("code://cache")).contents
        assert "| python | 2 |" in about.text  # type: ignore[union-attr]
        assert "Not indexed: 1 binary, 1 minified" in about.text  # type: ignore[union-attr]
        for path in (
            "missing.py",
            "../secret.txt",
            "%2e%2e/secret.txt",
            "..%2Fsecret.txt",
            "/etc/passwd",
            "a%00b",
            "server",
            "image.bin",
        ):
            with pytest.raises(MCPError, match="not found") as refusal:
                await client.read_resource(f"code://cache/{path}")
            assert "SECRET" not in str(refusal.value)
        with pytest.raises(MCPError, match="not found"):
            await client.read_resource("code://other/pool.py")


@pytest.mark.anyio
@pytest.mark.parametrize("path", [".git/config", ".git/HEAD", "web/.hg/hgrc", ".svn/entries"])
async def test_nothing_of_a_version_control_systems_own_is_readable(git_repository: Path, tmp_path: Path, path: str) -> None:
    (git_repository / path).parent.mkdir(exist_ok=True)
    (git_repository / path).write_text("token = SECRET\n")
    async with connected(git_repository, tmp_path / "index") as client:
        for tool in ("read", "outline"):
            result = await call(client, tool, path=path)
            assert (result.is_error, text_of(result)) == (True, f"not found: {path}")
        with pytest.raises(MCPError, match=f"not found: cache/{path}"):
            await client.read_resource(f"code://cache/{path}")
        for within in (path, path.rpartition("/")[0]):
            found = await call(client, "search", query="SECRET", regex=True, path=within)
            assert (found.structured_content or {})["hits"] == []


@pytest.mark.anyio
async def test_roots_paths_names_and_revisions_complete(git_repository: Path, tmp_path: Path) -> None:
    template = ResourceTemplateReference(type="ref/resource", uri="code://{root}/{+path}")
    async with connected(git_repository, tmp_path / "index") as client:

        async def values(ref: Any, name: str, value: str, **context: str) -> list[str]:
            found = await client.complete(ref, {"name": name, "value": value}, context or None)
            return list(found.completion.values)

        assert await values(template, "root", "c") == ["cache"]
        assert await values(template, "path", "server/", root="cache") == ["server/main.go"]
        assert await values(template, "path", "session", root="cache") == ["web/session.ts"]
        assert await values(template, "path", "x", root="nope") == []
        assert await values(PromptReference(type="ref/prompt", name="explain_symbol"), "name", "rel") == ["release_block"]
        assert await values(PromptReference(type="ref/prompt", name="review_diff"), "ref", "ma") == ["main"]


@pytest.mark.anyio
async def test_the_first_request_on_a_warm_cache_is_completed(repository: Path, tmp_path: Path) -> None:
    async with connected(repository, tmp_path / "index"):
        pass
    template = ResourceTemplateReference(type="ref/resource", uri="code://{root}/{+path}")
    async with Client(build_server(CodeConfig((repository,), tmp_path / "index"))) as client:
        found = await client.complete(template, {"name": "path", "value": "ser"}, {"root": "cache"})
        assert found.completion.values == ["server/main.go"]
    async with Client(build_server(CodeConfig((repository,), tmp_path / "index"))) as client:
        found = await client.complete(
            PromptReference(type="ref/prompt", name="explain_symbol"), {"name": "name", "value": "rel"}
        )
        assert found.completion.values == ["release_block"]
    async with Client(build_server(CodeConfig((repository,), tmp_path / "index"))) as client:
        assert "pool.py:18" in text_of(await call(client, "find_symbol", name="release_block"))


@pytest.mark.anyio
async def test_prompts_bring_the_code_they_ask_about(git_repository: Path, tmp_path: Path) -> None:
    (git_repository / "pool.py").write_text("changed = True\n")
    async with connected(git_repository, tmp_path / "index") as client:

        async def prompt(prompt: str, /, **arguments: str) -> str:
            (message,) = (await client.get_prompt(prompt, arguments)).messages
            return message.content.text  # type: ignore[union-attr]

        assert "func (s *Server) Listen" in await prompt("explain_symbol", name="Listen")
        assert "server/main.go:16 call main" in await prompt("trace_call", name="Listen")
        assert "+changed = True" in await prompt("review_diff", ref="HEAD")
        with pytest.raises(MCPError, match="no commit is called 'nope'"):
            await prompt("review_diff", ref="nope")


@pytest.mark.anyio
async def test_a_saved_file_is_told_to_who_listens(repository: Path, tmp_path: Path) -> None:
    async def save_again_and_again() -> None:  # watching begins a moment after the first pass
        for turn in range(1000):
            (repository / "pool.py").write_text(f"turn = {turn}\n")
            await anyio.sleep(0.5)

    async with (
        connected(repository, tmp_path / "index") as client,
        client.listen(resource_subscriptions=["code://cache/pool.py"]) as events,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(save_again_and_again)
        with anyio.fail_after(20):
            async for event in events:
                assert event.uri == "code://cache/pool.py"
                break
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_who_asks_for_progress_is_told_how_far_the_index_is(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RootIndex, "start", lambda self: setattr(self, "progress", IndexProgress(3, 12, False)))
    told: list[tuple[float, float | None, str | None]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append((done, total, message))

    async with Client(build_server(CodeConfig((repository,), tmp_path / "index"))) as client:
        result = await client.call_tool("search", {"query": "block"}, progress_callback=progress)
    assert told == [(3, 12, "still indexing: 3 of 12 files; ask again for more")]
    nothing = {"hits": [], "complete": False, "note": told[0][2], "next_cursor": None, "words": {}}
    assert result.structured_content == nothing  # type: ignore[union-attr]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "portico_servers.code", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_a_root_that_is_not_there_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, state in ((tmp_path / "missing", "does not exist"), (tmp_path / "file", "is not a directory")):
        done = run(str(path))
        assert done.returncode == 2
        assert done.stderr == f"portico-code: {path} {state}; give directories of source code\n"
        assert done.stdout == ""
    assert run().returncode == 2


def test_it_answers_soon_and_says_what_is_missing_while_it_indexes(tmp_path: Path) -> None:
    """The first answers come before a large tree is read; nothing but JSON-RPC is on stdout."""
    root = tmp_path / "large"
    root.mkdir()
    for number in range(800):
        (root / f"f{number}.py").write_text(f"def function_{number}(a, b):\n    return a + b\n    # end\n" * 20)
    command = [sys.executable, "-m", "portico_servers.code", str(root), "--cache-dir", str(tmp_path / "index")]
    began = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        start = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        messages = [
            {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": start},
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            {
                "jsonrpc": "2.0",
                "id": 2,
                "method": "tools/call",
                "params": {"name": "search", "arguments": {"query": "function_7"}},
            },
        ]
        process.stdin.write("".join(json.dumps(message) + "\n" for message in messages).encode())
        process.stdin.flush()
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))
        took = time.monotonic() - began
        assert first["result"]["serverInfo"]["name"] == "portico-code"
        content = second["result"]["structuredContent"]
        assert content["complete"] or content["note"].startswith("still indexing: ")
        process.stdin.close()
        process.wait(20)
    assert took < 30  # 0.9 s on a quiet machine; benchmarks/code_scale.py measures it


def test_a_killed_server_leaves_a_usable_index_and_no_children(tmp_path: Path) -> None:
    import psutil

    root = tmp_path / "large"
    root.mkdir()
    for number in range(300):
        (root / f"f{number}.py").write_text(f"def function_{number}(a, b):\n    return a + b\n    # end\n" * 30)
    command = [sys.executable, "-m", "portico_servers.code", str(root), "--cache-dir", str(tmp_path / "index")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        start = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        process.stdin.write((json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": start}) + "\n").encode())
        process.stdin.flush()
        process.stdout.readline()
        children = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()  # type: ignore[union-attr]
        process.stdout.close()  # type: ignore[union-attr]
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    again = RootIndex(root, "large", tmp_path / "index")
    again.start()
    assert again.ready.wait(60)
    assert again.failure is None
    assert len(again.files()) == 300
    again.close()
