"""The configuration file changes while the gateway runs: servers come and go, rules change, and hosts hear of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import mcp_types
import pytest
from mcp.client.client import Client

from portico_gateway.assembly.config_reload import follow_config
from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.sections import PolicyConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.config.workspace import ConfigSource
from portico_gateway.errors import ConfigError, UnknownName, UpstreamError
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.supervision import UpstreamState
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = pytest.mark.anyio
Sample = Callable[..., UpstreamSpec]
PATIENCE = 60.0


def servers(upstreams: Upstreams) -> list[str]:
    return list(dict.fromkeys(tool.server for tool in upstreams.catalog.tools))


async def test_servers_are_added_removed_reordered_and_what_stays_is_not_restarted(sample: Sample) -> None:
    async with Upstreams([sample("one"), sample("two")]) as up:
        await up.ready(PATIENCE)
        before = {status.name: up._servers[status.name].supervisor.pid for status in up.status()}
        await up.replace([sample("three"), sample("two")])
        assert servers(up) == ["two"], "the new one isn't up yet, the old one is gone"
        await up.ready(PATIENCE)
        assert servers(up) == ["three", "two"]
        assert up._servers["two"].supervisor.pid == before["two"]
        with pytest.raises(UnknownName):
            await up.call_tool("one__add", {"a": 1, "b": 1})
        assert (await up.call_tool("three__add", {"a": 1, "b": 1})).structured_content == {"result": 2}


async def test_a_changed_server_starts_anew_and_keeps_its_list_meanwhile(sample: Sample) -> None:
    async with Upstreams([sample("one")]) as up:
        await up.ready(PATIENCE)
        await up.replace([sample("one", env={"MARK": "new"})])
        assert servers(up) == ["one"]
        result = await up.call_tool("one__environment")
        assert result.structured_content is not None
        assert result.structured_content["MARK"] == "new"


async def test_a_call_to_a_server_that_is_taken_away_ends_with_a_type(sample: Sample, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    ended: list[UpstreamError] = []
    async with Upstreams([sample("one")]) as up:
        await up.ready(PATIENCE)

        async def call() -> None:
            try:
                await up.call_tool("one__hang", {"marker": str(marker)})
            except UpstreamError as error:
                ended.append(error)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                await anyio.wait_all_tasks_blocked()
                await up.replace([])
    assert len(ended) == 1


async def test_two_servers_of_one_name_change_nothing(sample: Sample) -> None:
    async with Upstreams([sample("one")]) as up:
        await up.ready(PATIENCE)
        with pytest.raises(ConfigError, match="two servers are named 'x'"):
            await up.replace([sample("x"), sample("x")])
        assert [status.state for status in up.status()] == [UpstreamState.READY]


class File:
    """A configuration that changes when a test says so."""

    def __init__(self) -> None:
        self.send, self.changes = anyio.create_memory_object_stream[None](10)
        self.now: tuple[PorticoConfig, Sequence[UpstreamSpec]] | ConfigError = ConfigError("not written yet")

    async def __aenter__(self) -> File:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.send.close()
        self.changes.close()

    def read(self) -> tuple[PorticoConfig, Sequence[UpstreamSpec]]:
        if isinstance(self.now, ConfigError):
            raise self.now
        return self.now

    async def write(self, now: tuple[PorticoConfig, Sequence[UpstreamSpec]] | ConfigError) -> None:
        self.now = now
        await self.send.send(None)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_hosts_of_both_eras_hear_of_a_new_policy_and_see_no_denied_tool(sample: Sample, mode: str) -> None:
    heard = anyio.Event()

    async def on_message(message: Any) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            heard.set()

    specs, file = [sample("one")], File()
    async with file, Upstreams(specs) as up, anyio.create_task_group() as tasks, AsyncExitStack() as stack:
        calls = ToolCalls(up)
        gateway = GatewayServer(
            up,
            tool_calls=calls,
            background=lambda: follow_config(ConfigSource(Path("x"), file.read), calls, changes=file.changes),
        )
        tasks.start_soon(gateway.run)
        client = await stack.enter_async_context(Client(gateway.server, mode=mode, cache=None, message_handler=on_message))
        assert "one__add" in {tool.name for tool in (await client.list_tools()).tools}
        if mode == "auto":
            changes = await stack.enter_async_context(client.listen(tools_list_changed=True))
        await file.write((PorticoConfig(policy=PolicyConfig(deny=["one__add"])), specs))
        with anyio.fail_after(PATIENCE):
            if mode == "auto":
                async for _ in changes:
                    break
            else:
                await heard.wait()
        assert "one__add" not in {tool.name for tool in (await client.list_tools()).tools}
        assert "policy.deny names it" in str((await client.call_tool("one__add", {"a": 1, "b": 1})).content)
        await stack.aclose()
        tasks.cancel_scope.cancel()


async def test_a_file_that_cannot_be_used_is_a_warning_and_what_ran_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    file = File()
    async with file, Upstreams([]) as up, anyio.create_task_group() as tasks:
        calls = ToolCalls(up, policy=Policy(PolicyConfig(allow=["a"])))
        tasks.start_soon(lambda: follow_config(ConfigSource(Path("x"), file.read), calls, changes=file.changes))
        await file.write(ConfigError("unknown key 'polcy'"))
        await anyio.wait_all_tasks_blocked()
        assert calls.policy.config.allow == ["a"]
        assert "unknown key 'polcy'; the configuration stays as it was" in caplog.text
        await file.write((PorticoConfig(policy=PolicyConfig(allow=["b"])), []))
        await anyio.wait_all_tasks_blocked()
        assert calls.policy.config.allow == ["b"]
        tasks.cancel_scope.cancel()


async def test_a_replaced_file_is_noticed_by_the_real_watch(tmp_path: Path) -> None:
    path = tmp_path / "portico.toml"
    path.write_text("")
    applied = anyio.Event()

    def read() -> tuple[PorticoConfig, Sequence[UpstreamSpec]]:
        applied.set()
        return PorticoConfig(), []

    async with Upstreams([]) as up, anyio.create_task_group() as tasks:
        tasks.start_soon(follow_config, ConfigSource(path, read), ToolCalls(up))
        with anyio.fail_after(PATIENCE):
            while not applied.is_set():  # until the watch stands, a change is not seen
                (tmp_path / "new").write_text("[policy]\n")
                (tmp_path / "new").replace(path)
                with anyio.move_on_after(0.2):
                    await applied.wait()
        tasks.cancel_scope.cancel()
