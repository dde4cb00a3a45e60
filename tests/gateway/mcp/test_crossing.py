"""Everything crosses: each feature of the protocol, from hosts of both eras over stdio and HTTP, to servers of both eras over
both.

The hosts over stdio each talk to a real `portico stdio`, those over HTTP to a real `portico serve`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import mcp_types
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")]
CROSSING = Path(__file__).parents[1] / "crossing_server.py"
PATIENCE = 60.0
HOSTS = [f"{era}-{wire}" for era in ("auto", "legacy") for wire in ("stdio", "http")]
SERVERS = [f"{wire}-{era}" for wire in ("stdio", "http") for era in ("modern", "legacy")]


@dataclass
class Host:
    """A connected host, and what it was sent."""

    client: Client
    logs: list[mcp_types.LoggingMessageNotificationParams] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    updates: list[str] = field(default_factory=list)
    updated: anyio.Event = field(default_factory=anyio.Event)

    def callbacks(self) -> dict[str, Any]:
        async def elicit(context: object, params: mcp_types.ElicitRequestParams) -> mcp_types.ElicitResult:
            if isinstance(params, mcp_types.ElicitRequestURLParams):
                self.pages.append(params.url)
                return mcp_types.ElicitResult(action="accept")
            return mcp_types.ElicitResult(action="accept", content={"size": 7})

        async def think(context: object, params: Any) -> mcp_types.CreateMessageResultWithTools:
            assert [tool.name for tool in params.tools] == ["clock"]
            use = mcp_types.ToolUseContent(type="tool_use", id="1", name="clock", input={})
            return mcp_types.CreateMessageResultWithTools(role="assistant", content=[use], model="m", stop_reason="toolUse")

        async def roots(context: object) -> mcp_types.ListRootsResult:
            return mcp_types.ListRootsResult(roots=[mcp_types.Root(uri="file:///home/x")])

        async def log(params: mcp_types.LoggingMessageNotificationParams) -> None:
            self.logs.append(params)

        async def message(message: Any) -> None:
            if isinstance(message, mcp_types.ResourceUpdatedNotification):
                self.updates.append(message.params.uri)
                self.updated.set()

        return {
            "elicitation_callback": elicit,
            "sampling_callback": think,
            "sampling_capabilities": mcp_types.SamplingCapability(tools=mcp_types.SamplingToolsCapability()),
            "list_roots_callback": roots,
            "logging_callback": log,
            "message_handler": message,
            "log_level": "warning",
        }


@pytest.fixture(scope="module")
def crossing_url() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, str(CROSSING), "--http", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("Uvicorn running" in line for line in process.stderr)
        yield f"http://127.0.0.1:{port}/mcp"
        process.kill()


def specs(url: str) -> list[UpstreamSpec]:
    made = []
    for name in SERVERS:
        wire, era = name.split("-")
        if wire == "http":
            made.append(UpstreamSpec(name, transport="http", url=url, era=era))  # type: ignore[arg-type]
        else:
            made.append(UpstreamSpec(name, command=sys.executable, args=(str(CROSSING),), era=era))  # type: ignore[arg-type]
    return made


def toml_of(made: list[UpstreamSpec]) -> str:
    lines = ["[gateway]\nown_servers = []\n[background]\nenabled = false\n"]
    for spec in made:
        how = (
            f"url = {json.dumps(spec.url)}"
            if spec.url
            else f"command = {json.dumps(spec.command)}\nargs = {json.dumps(spec.args)}"
        )
        lines.append(f"[servers.{spec.name}]\n{how}\nera = {json.dumps(spec.era)}\n")
    return "\n".join(lines)


@contextmanager
def serving(config: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """The URL of a real `portico serve` over this configuration, which ends with the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "portico_gateway", "serve", "--no-model", "--port", str(port), "--config", str(config)]
    with subprocess.Popen(words, cwd=config.parent, env=dict(environ), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("MCP on" in line for line in process.stderr)
        url = f"http://127.0.0.1:{port}/mcp"
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                break
        yield url
        process.kill()  # it would wait for connections that this very thread has to close


@pytest.fixture(scope="module")
async def hosts(crossing_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Host]]:
    folder = tmp_path_factory.mktemp("crossing")
    config = folder / "crossing.toml"
    config.write_text(toml_of(specs(crossing_url)))
    environ = {"PORTICO_LOG_DIR": str(folder), "PORTICO_AUDIT_FILE": str(folder / "audit.db"), "HOME": str(folder)}
    process = StdioServerParameters(
        command=sys.executable, args=["-m", "portico_gateway", "stdio", "--config", str(config)], env=environ, cwd=str(folder)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with serving(config, environ) as url:
            async with AsyncExitStack() as stack:
                found: dict[str, Host] = {}
                for name in HOSTS:
                    mode, wire = name.split("-")
                    host = Host(None)  # type: ignore[arg-type]
                    transport = streamable_http_client(url) if wire == "http" else stdio_client(process)
                    client = Client(transport, mode=mode, cache=None, read_timeout_seconds=PATIENCE, **host.callbacks())
                    host.client = await stack.enter_async_context(client)
                    found[name] = host
                    await host.client.list_tools()
                yield found


async def called(host: Host, server: str, tool: str, **more: Any) -> str:
    result = await host.client.call_tool(f"{server}__{tool}", **more)
    assert not result.is_error, result.content
    return "\n".join(block.text for block in result.content if isinstance(block, mcp_types.TextContent))


async def logging(host: Host, server: str) -> None:
    host.logs.clear()
    assert await called(host, server, "log") == "logged"
    while len(host.logs) < 2:  # they may come a moment after the answer
        await called(host, server, "ended")
    assert [(entry.level, entry.data) for entry in host.logs] == [("warning", "careful"), ("error", {"code": 7})]
    assert {entry.logger for entry in host.logs} == {f"{server}/part"}


async def progress(host: Host, server: str) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def note(done: float, total: float | None, message: str | None) -> None:
        seen.append((done, total, message))

    assert await called(host, server, "steps", progress_callback=note) == "done"
    assert seen == [(1.0, 2.0, "step 1"), (2.0, 2.0, "step 2")]


async def elicitation_by_form(host: Host, server: str) -> None:
    assert await called(host, server, "form") == "size 7"


async def elicitation_by_url(host: Host, server: str) -> None:
    host.pages.clear()
    assert "accept" in await called(host, server, "page")
    assert host.pages == ["https://login.example/start"]


async def sampling_with_tools(host: Host, server: str) -> None:
    assert await called(host, server, "think") == "tool_use clock"


async def roots(host: Host, server: str) -> None:
    assert "file:///home/x" in await called(host, server, "where")


async def completions(host: Host, server: str) -> None:
    ref = mcp_types.PromptReference(type="ref/prompt", name=f"{server}__greet")
    result = await host.client.complete(ref, {"name": "name", "value": "A"})
    assert result.completion.values == ["Ada", "Alan"]


async def cancellation(host: Host, server: str) -> None:
    with anyio.move_on_after(0.3):
        await host.client.call_tool(f"{server}__hang")
    while "hang" not in await called(host, server, "ended"):
        pass


async def resource_updates(host: Host, server: str) -> None:
    uri = f"portico://{server}/note://x"
    host.updates.clear()
    if host.client.protocol_version.startswith("2026"):
        async with host.client.listen(resource_subscriptions=[uri]) as changes:
            await _touched_until(host, server, lambda: anext(aiter(changes)))
        return
    await host.client.session.send_request(
        mcp_types.SubscribeRequest(params=mcp_types.SubscribeRequestParams(uri=uri)), mcp_types.EmptyResult
    )
    host.updated = anyio.Event()
    await _touched_until(host, server, host.updated.wait)
    await host.client.session.send_request(
        mcp_types.UnsubscribeRequest(params=mcp_types.UnsubscribeRequestParams(uri=uri)), mcp_types.EmptyResult
    )
    assert uri in host.updates


async def _touched_until(host: Host, server: str, heard: Callable[[], Awaitable[Any]]) -> None:
    """The server is told of the subscription behind the host's back, so it may take a moment."""
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:

            async def touch() -> None:
                while True:
                    await called(host, server, "touch")
                    await anyio.sleep(0.05)

            tasks.start_soon(touch)
            await heard()
            tasks.cancel_scope.cancel()


async def apps(host: Host, server: str) -> None:
    """Its `_meta` is untouched; its page can be read by its own name where one server alone has it."""
    tools = {tool.name: tool for tool in (await host.client.list_tools()).tools}
    assert tools[f"{server}__clock"].meta == {"ui": {"resourceUri": "ui://clock/face.html"}}
    read = await host.client.read_resource(f"portico://{server}/ui://clock/face.html")
    assert read.contents[0].mime_type == "text/html;profile=mcp-app"


FEATURES = [
    logging, progress, elicitation_by_form, elicitation_by_url, sampling_with_tools, roots, completions, cancellation,
    resource_updates, apps,
]  # fmt: skip


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.__name__)
async def test_it_crosses(
    feature: Callable[[Host, str], Awaitable[None]], host: str, server: str, hosts: dict[str, Host]
) -> None:
    with anyio.fail_after(PATIENCE):
        await feature(hosts[host], server)


async def test_an_apps_page_is_read_by_its_own_name(crossing_url: str) -> None:
    async with Upstreams([UpstreamSpec("clock", transport="http", url=crossing_url)]) as upstreams:
        await upstreams.ready(PATIENCE)
        gateway = GatewayServer(upstreams)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gateway.run)
            async with Client(gateway.server, cache=None) as client:
                (page,) = (await client.read_resource("ui://clock/face.html")).contents
                assert (page.uri, page.mime_type) == ("ui://clock/face.html", "text/html;profile=mcp-app")
            tasks.cancel_scope.cancel()
