"""The configuration file changes while the gateway runs: servers come and go, rules change, and hosts hear of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import mcp_types
import psutil
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


async def test_a_call_to_a_server_that_is_taken_away_ends_with_a_type(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portico_gateway.upstreams.upstream.RETIRE_GRACE", 0.1)
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


async def test_calls_of_a_server_that_is_taken_away_finish(sample: Sample, tmp_path: Path) -> None:
    texts: list[str] = []
    async with Upstreams([sample("one")]) as up:
        await up.ready(PATIENCE)
        pid = up._servers["one"].supervisor.pid
        assert pid is not None
        started, go_on = tmp_path / "started", tmp_path / "go_on"

        async def call() -> None:
            result = await up.call_tool("one__wait", {"started": str(started), "go_on": str(go_on)})
            texts.append(str(result.content))

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                while not started.exists():  # noqa: ASYNC110 - another process makes it
                    await anyio.sleep(0.01)
                await up.replace([])
                assert up.catalog.tools == ()
                with pytest.raises(UnknownName):
                    await up.call_tool("one__add", {"a": 1, "b": 1})
                go_on.touch()
            assert "went on" in texts[0]
            while psutil.pid_exists(pid):  # noqa: ASYNC110 - another process ends
                await anyio.sleep(0.05)


async def test_a_server_that_was_taken_away_lists_nothing_any_more(sample: Sample) -> None:
    """Its last reading of the lists may end after it is gone: that made tools that nobody serves."""
    async with Upstreams([sample("one")]) as up:
        await up.ready(PATIENCE)
        lists = up._servers["one"].supervisor._lists
        client = up._servers["one"].supervisor._client
        assert client is not None
        listing = up.catalog.listing("one")
        await up.replace([])

        async def late(_: object) -> Any:
            return listing

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("portico_gateway.upstreams.list_updates.list_everything", late)
            await lists.read(client)
        assert up.catalog.tools == ()
        for name in ("one__add", "one__greet"):
            with pytest.raises(UnknownName):
                await up.call_tool(name, {})


async def test_a_tool_whose_server_is_gone_is_unknown_and_no_key_error(sample: Sample) -> None:
    async with Upstreams([sample("one")]) as up:
        await up.ready(PATIENCE)
        listing = up.catalog.listing("one")
        await up.replace([])
        up.catalog.put("one", listing)  # however it comes to that
        with pytest.raises(UnknownName):
            await up.call_tool("one__add", {"a": 1, "b": 1})
        with pytest.raises(UnknownName):
            await up.get_prompt("one__greet", {"who": "me"})
        with pytest.raises(UnknownName):
            await up.complete(mcp_types.PromptReference(type="ref/prompt", name="one__greet"), {"name": "who", "value": ""})


def _replaced(path: Path) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text("[policy]\n")
    fresh.replace(path.resolve())


def _linked_elsewhere(path: Path) -> None:
    other = path.parent.parent / "elsewhere" / "second.toml"
    other.write_text("[policy]\n")
    link = path.with_suffix(".link")
    link.symlink_to(other)
    link.replace(path)


def _written_through(path: Path) -> None:
    path.resolve().write_text("[policy]\n")


def _folder_linked_elsewhere(path: Path) -> None:
    """As Kubernetes changes what it mounts: `..data` is a link that is replaced."""
    other = path.parent.parent / "elsewhere" / "data2"
    other.mkdir()
    (other / "portico.toml").write_text("[policy]\n")
    (path.parent / "..new").symlink_to(other)
    (path.parent / "..new").replace(path.parent / "..data")


@pytest.mark.parametrize("change", [_replaced, _linked_elsewhere, _written_through, _folder_linked_elsewhere])
async def test_a_file_behind_links_is_watched(tmp_path: Path, change: Callable[[Path], None]) -> None:
    folder = tmp_path / "config"
    data = tmp_path / "elsewhere" / "data1"
    data.mkdir(parents=True)
    folder.mkdir()
    (data / "portico.toml").write_text("")
    (folder / "..data").symlink_to(data)
    path = folder / "portico.toml"
    path.symlink_to("..data/portico.toml" if change is _folder_linked_elsewhere else data / "portico.toml")
    applied = anyio.Event()

    def read() -> tuple[PorticoConfig, Sequence[UpstreamSpec]]:
        applied.set()
        return PorticoConfig(), []

    async with Upstreams([]) as up, anyio.create_task_group() as tasks:
        tasks.start_soon(follow_config, ConfigSource(path, read), ToolCalls(up))
        await anyio.sleep(0.3)  # a change before the watch stands is found when it looks by itself
        change(path)
        with anyio.fail_after(PATIENCE):
            await applied.wait()
        tasks.cancel_scope.cancel()
