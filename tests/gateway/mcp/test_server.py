"""The gateway as an MCP server, spoken to by the SDK's client in both eras, with real subprocess servers behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types
import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from portico_gateway.config.sections import PolicyConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import UpstreamDied
from portico_gateway.mcp.server import GatewayServer, OwnTool
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = pytest.mark.anyio
Sample = Callable[..., UpstreamSpec]
PATIENCE = 60.0


@asynccontextmanager
async def front(
    upstreams: Upstreams, mode: str = "auto", *, list_timeout: float = PATIENCE, own: Sequence[OwnTool] = (), **client: Any
) -> AsyncIterator[Client]:
    """A client connected to a gateway over `upstreams`."""
    calls = ToolCalls(upstreams, policy=Policy(PolicyConfig(others="allow")))
    served = GatewayServer(upstreams, tool_calls=calls, own_tools=own, list_timeout=list_timeout)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(served.run)
        async with Client(served.server, mode=mode, cache=None, **client) as connected:
            yield connected
        tasks.cancel_scope.cancel()


@pytest.fixture(scope="module")
async def shared(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Upstreams]:
    """Two servers, one of each era, for the tests that leave them as they are."""
    specs = [sample("one", era="auto"), sample("two", era="legacy")]
    async with Upstreams(specs, log_dir=tmp_path_factory.mktemp("logs")) as upstreams:
        yield upstreams


@asynccontextmanager
async def gateway(
    specs: Sequence[UpstreamSpec],
    mode: str = "auto",
    *,
    list_timeout: float = PATIENCE,
    own: Sequence[OwnTool] = (),
    **client: Any,
) -> AsyncIterator[tuple[Client, Upstreams]]:
    """The same over servers of its own."""
    async with Upstreams(specs) as upstreams, front(upstreams, mode, list_timeout=list_timeout, own=own, **client) as connected:
        yield connected, upstreams


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_everything_of_two_servers_is_there_in_any_mix_of_eras(shared: Upstreams, mode: str) -> None:
    async with front(shared, mode) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert names[0] == "one__add"
        assert names.index("two__add") == len(names) // 2
        result = await client.call_tool("two__add", {"a": 1, "b": 2})
        assert result.structured_content == {"result": 3}
        seen: list[float] = []

        async def progress(done: float, total: float | None, message: str | None) -> None:
            seen.append(done)

        for name in ("one", "two"):
            await client.call_tool(f"{name}__count", {"to": 3}, progress_callback=progress)
        assert seen == [1.0, 2.0, 3.0] * 2
        resources = (await client.list_resources()).resources
        assert [resource.uri for resource in resources] == ["portico://one/note://motto", "portico://two/note://motto"]
        read = await client.read_resource("portico://two/note://x/y")
        assert read.contents[0].uri == "portico://two/note://x/y"
        assert read.contents[0].text == "note x/y of two"  # type: ignore[union-attr]
        (template, _) = (await client.list_resource_templates()).resource_templates
        assert template.uri_template == "portico://one/note://{+path}"
        completed = await client.complete(
            mcp_types.ResourceTemplateReference(type="ref/resource", uri=template.uri_template), {"name": "path", "value": "b"}
        )
        assert completed.completion.values == ["beta"]
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["one__greet", "two__greet"]
        prompt = await client.get_prompt("two__greet", {"who": "Ada"})
        assert "Greet Ada for two" in str(prompt.messages[0].content)


async def test_the_gateway_answers_for_itself_and_no_upstream_is_named_by_its_stamp(shared: Upstreams) -> None:
    async with front(shared) as client:
        result = await client.call_tool("one__add", {"a": 1, "b": 2})
        assert result.meta is not None
        assert result.meta[mcp_types.SERVER_INFO_META_KEY]["name"] == "portico"


async def test_a_dying_server_is_an_error_result_and_the_others_go_on(sample: Sample) -> None:
    specs = [sample("one"), sample("two"), sample("broken", "--die-at-start", "2")]
    async with gateway(specs) as (client, _):
        await client.list_tools()
        died = await client.call_tool("one__die", {"code": 9})
        assert died.is_error
        assert died.content[0].text.startswith("server 'one' exited with code 9")  # type: ignore[union-attr]
        assert (await client.call_tool("two__add", {"a": 1, "b": 2})).structured_content == {"result": 3}


@pytest.mark.parametrize(("mode", "code"), [("auto", mcp_types.INVALID_PARAMS), ("legacy", -32002)])
async def test_unknown_names_are_protocol_errors_with_the_eras_codes(shared: Upstreams, mode: str, code: int) -> None:
    async with front(shared, mode) as client:
        with pytest.raises(MCPError, match="Unknown tool: one__nope") as caught:
            await client.call_tool("one__nope")
        assert caught.value.code == mcp_types.INVALID_PARAMS
        with pytest.raises(MCPError, match="no resource is named") as caught:
            await client.read_resource("note://x")
        assert caught.value.code == code
        assert caught.value.data == {"uri": "note://x"}
        with pytest.raises(MCPError, match="no prompt is named") as caught:
            await client.get_prompt("one__nope")
        assert caught.value.code == mcp_types.INVALID_PARAMS


@pytest.mark.parametrize(("mode", "code"), [("auto", mcp_types.INVALID_PARAMS), ("legacy", -32002)])
async def test_a_resource_that_an_upstream_does_not_have_is_named_as_the_host_asked_for_it(
    shared: Upstreams, mode: str, code: int
) -> None:
    async with front(shared, mode) as client:
        for uri in (
            "portico://one/note://gone",
            "portico://two/note://gone",
            "portico://one/other://x",
            "portico://none/x://y",
        ):
            with pytest.raises(MCPError) as caught:
                await client.read_resource(uri)
            assert (caught.value.code, caught.value.data) == (code, {"uri": uri})


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_prompt_without_a_required_argument_is_invalid_params(shared: Upstreams, mode: str) -> None:
    async with front(shared, mode) as client:
        for name in ("one__greet", "two__greet"):
            for arguments in ({}, None):
                with pytest.raises(MCPError, match=f"^prompt {name}: 'who' is a required argument$") as caught:
                    await client.get_prompt(name, arguments)
                assert caught.value.code == mcp_types.INVALID_PARAMS


async def test_lists_wait_only_so_long_and_the_rest_is_announced_later(sample: Sample, tmp_path: Path) -> None:
    may_start = tmp_path / "may-start"
    command = " ".join([sample("slow").command, *sample("slow").args])
    slow = UpstreamSpec("slow", command="sh", args=("-c", f"while [ ! -e {may_start} ]; do sleep 0.05; done; exec {command}"))
    async with (
        gateway([slow], list_timeout=0.1) as (client, _),
        client.listen(tools_list_changed=True) as changes,
    ):
        assert (await client.list_tools()).tools == []
        may_start.touch()
        with anyio.fail_after(PATIENCE):
            async for _change in changes:
                break
        assert any(tool.name == "slow__add" for tool in (await client.list_tools()).tools)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_cancelled_call_is_cancelled_at_the_server(shared: Upstreams, mode: str, tmp_path: Path) -> None:
    marker = tmp_path / "cancelled"
    async with front(shared, mode) as client:
        await client.list_tools()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "one__hang", {"marker": str(marker)})
            with anyio.fail_after(PATIENCE):
                while not marker.with_suffix(".started").exists():  # noqa: ASYNC110 - another process's doing
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        with anyio.fail_after(PATIENCE):
            while not marker.exists():  # noqa: ASYNC110
                await anyio.sleep(0.01)


async def test_a_handshake_client_hears_of_changed_lists(sample: Sample) -> None:
    send, heard = anyio.create_memory_object_stream[None](100)

    async def on_message(message: object) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            send.send_nowait(None)

    async with send, heard, gateway([sample("one")], "legacy", message_handler=on_message) as (client, _):
        await client.list_tools()
        await client.call_tool("one__grow")
        with anyio.fail_after(PATIENCE):
            async for _change in heard:
                if any(tool.name == "one__grown" for tool in (await client.list_tools()).tools):
                    break


async def test_links_and_embedded_resources_can_be_read_through_the_gateway() -> None:
    from portico_gateway.mcp.server import _outward_result

    text = mcp_types.TextResourceContents(uri="note://x", text="")
    content: list[Any] = [
        mcp_types.ResourceLink(name="a", uri="note://a"),
        mcp_types.ResourceLink(name="b", uri="https://example.org/b"),
        mcp_types.EmbeddedResource(resource=text),
    ]
    inner, web, embedded = _outward_result("s", mcp_types.CallToolResult(content=content)).content
    assert inner.uri == "portico://s/note://a"  # type: ignore[union-attr]
    assert web.uri == "https://example.org/b"  # type: ignore[union-attr]
    assert embedded.resource.uri == "portico://s/note://x"  # type: ignore[union-attr]


async def test_a_tool_of_the_gateways_own_stands_first_and_its_errors_are_results() -> None:
    tool = mcp_types.Tool(name="ask", input_schema={"type": "object", "properties": {"question": {"type": "string"}}})

    async def call(arguments: dict[str, Any], progress: object) -> mcp_types.CallToolResult:
        if not arguments:
            raise UpstreamDied("code", "exited with code 1")
        return mcp_types.CallToolResult(content=[mcp_types.TextContent(type="text", text=arguments["question"][::-1])])

    async with gateway([], own=[OwnTool(tool, call)]) as (client, _):
        assert [entry.name for entry in (await client.list_tools()).tools] == ["ask"]
        assert (await client.call_tool("ask", {"question": "abc"})).content[0].text == "cba"  # type: ignore[union-attr]
        assert (await client.call_tool("ask", {})).is_error
