"""Upstreams against real subprocess servers: one that behaves, and ones that die, hang, chatter or were never there."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import anyio
import psutil
import pytest
from mcp.shared.exceptions import MCPError

from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import ConfigError, UnknownName, UpstreamDied, UpstreamTimeout, UpstreamUnavailable
from portico_gateway.upstreams.supervision import UpstreamState
from portico_gateway.upstreams.upstream import UpstreamStatus
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = pytest.mark.anyio
Sample = Callable[..., UpstreamSpec]
PATIENCE = 60.0


def by_name(statuses: list[UpstreamStatus]) -> dict[str, UpstreamStatus]:
    return {status.name: status for status in statuses}


def text_of(result: object) -> str:
    return str(result.content[0].text)  # type: ignore[attr-defined]


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does and tells nobody about."""
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.01)


@pytest.mark.parametrize(("era", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
async def test_tools_prompts_resources_progress_and_completion_work_in_both_eras(
    sample: Sample, era: str, version: str
) -> None:
    async with Upstreams([sample("one", era=era)]) as up:
        (status,) = await up.ready(PATIENCE)
        assert (status.state, status.protocol_version) == (UpstreamState.READY, version)
        result = await up.call_tool("one__add", {"a": 2, "b": 3})
        assert result.structured_content == {"result": 5}
        assert not result.meta, "the server's identity stamp must not leak"
        seen: list[tuple[float, float | None, str | None]] = []

        async def progress(done: float, total: float | None, message: str | None) -> None:
            seen.append((done, total, message))

        assert text_of(await up.call_tool("one__count", {"to": 2}, progress=progress)) == "counted to 2"
        assert seen == [(1.0, 2.0, "step 1"), (2.0, 2.0, "step 2")]
        assert (await up.call_tool("one__fail")).is_error
        resource = await up.read_resource("portico://one/note://a/b")
        assert resource.contents[0].text == "note a/b of one"  # type: ignore[union-attr]
        prompt = await up.get_prompt("one__greet", {"who": "Ada"})
        assert "Greet Ada for one" in str(prompt.messages[0].content)
        from mcp_types import ResourceTemplateReference

        template = ResourceTemplateReference(type="ref/resource", uri="portico://one/note://{+path}")
        completed = await up.complete(template, {"name": "path", "value": "al"})
        assert completed.completion.values == ["alpha"]


async def test_servers_that_cannot_start_are_named_and_the_others_go_on(sample: Sample) -> None:
    specs = [
        sample("good"),
        sample("usage", "--die-at-start", "2"),
        sample("crash", "--die-at-start", "3"),
        UpstreamSpec("missing", command="/no/such/program"),
        UpstreamSpec("nowhere", transport="http", url="http://127.0.0.1:1/mcp"),
        UpstreamSpec("elsewhere", command="true", cwd="/no/such/folder"),
    ]
    async with Upstreams(specs) as up:
        status = by_name(await up.ready(PATIENCE))
        assert status["good"].state is UpstreamState.READY
        assert status["usage"].state is UpstreamState.FAILED, "a usage error is not worth a restart"
        assert status["usage"].error == "server 'usage' exited with code 2: fatal: can't open the thing (at start)"
        assert status["crash"].state in (UpstreamState.RESTARTING, UpstreamState.STARTING)
        assert "exited with code 3" in str(status["crash"].error)
        assert status["missing"].error == "server 'missing' can't be started: there is no '/no/such/program'"
        assert "can't be reached at http://127.0.0.1:1/mcp" in str(status["nowhere"].error)
        assert "/no/such/folder" in str(status["elsewhere"].error)
        assert [tool.name for tool in up.catalog.tools if not tool.name.startswith("good__")] == []
        assert text_of(await up.call_tool("good__add", {"a": 1, "b": 1})) == "2"


async def test_a_server_that_says_nothing_is_given_up_after_its_start_timeout() -> None:
    silent = UpstreamSpec("silent", command="sh", args=("-c", "echo waiting for nobody >&2; sleep 60"), start_timeout=0.5)
    async with Upstreams([silent]) as up:
        (status,) = await up.ready(PATIENCE)
        assert status.error == "server 'silent' did not get ready within 0.5 s; it last said: waiting for nobody"


async def test_a_server_that_dies_in_mid_call_is_named_restarted_and_works_again(sample: Sample) -> None:
    async with Upstreams([sample("one"), sample("other")]) as up:
        await up.ready(PATIENCE)
        names = [tool.name for tool in up.catalog.tools]
        with pytest.raises(UpstreamDied, match=r"server 'one' exited with code 7: fatal: told to die with 7") as caught:
            await up.call_tool("one__die", {"code": 7})
        assert caught.value.server == "one"
        assert [tool.name for tool in up.catalog.tools] == names, "a dead server keeps its last known list"
        assert text_of(await up.call_tool("other__add", {"a": 1, "b": 2})) == "3"
        assert text_of(await up.call_tool("one__add", {"a": 1, "b": 2})) == "3", "the call waits for the restart"
        assert by_name(up.status())["one"].restarts == 1


async def test_deadlines_missed_in_a_row_open_the_circuit(sample: Sample) -> None:
    async with Upstreams([sample("one")]) as up:
        await up.ready(PATIENCE)
        for _ in range(3):
            with pytest.raises(UpstreamTimeout):
                await up.call_tool("one__hang", {"marker": os.devnull + "x"}, timeout=0.05)
        with pytest.raises(UpstreamUnavailable, match=r"in a row; next try in .* Last: server 'one' did not"):
            await up.call_tool("one__add", {"a": 1, "b": 2})
        assert up.status()[0].error is None, "the server itself is up"


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_deadline_and_a_cancelled_caller_cancel_the_call_at_the_server(
    sample: Sample, era: str, tmp_path: Path
) -> None:
    async with Upstreams([sample("one", era=era)]) as up:
        await up.ready(PATIENCE)
        by_deadline, by_caller = tmp_path / "deadline", tmp_path / "caller"
        with pytest.raises(UpstreamTimeout, match=r"did not answer within 0\.5 s; the call was cancelled"):
            await up.call_tool("one__hang", {"marker": str(by_deadline)}, timeout=0.5)
        await until(by_deadline.exists)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(up.call_tool, "one__hang", {"marker": str(by_caller)})
            await until(by_caller.with_suffix(".started").exists)
            tasks.cancel_scope.cancel()
        await until(by_caller.exists)
        assert text_of(await up.call_tool("one__add", {"a": 1, "b": 1})) == "2"


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_changed_list_is_read_again(sample: Sample, era: str) -> None:
    async with Upstreams([sample("one", era=era)]) as up:
        await up.ready(PATIENCE)
        changed = anyio.Event()
        up.catalog.subscribe(lambda kinds: changed.set() if "tools" in kinds else None)
        await up.call_tool("one__grow")
        with anyio.fail_after(PATIENCE):
            await changed.wait()
        assert text_of(await up.call_tool("one__grown")) == "grown"


async def test_chatter_on_stdout_does_not_break_the_connection(sample: Sample) -> None:
    chatty = "import os; os.write(1, b'Welcome!\\n\\xff\\xfe\\n{}\\n'); import runpy, sys; sys.argv[1:] = ['chatty']; "
    spec = sample("chatty")
    wrapped = UpstreamSpec(
        "chatty", command=spec.command, args=("-c", f"{chatty}runpy.run_path({spec.args[0]!r}, run_name='__main__')")
    )
    async with Upstreams([wrapped]) as up:
        (status,) = await up.ready(PATIENCE)
        assert status.state is UpstreamState.READY
        assert text_of(await up.call_tool("chatty__print_to_stdout")) == "printed"


async def test_a_server_sees_a_minimal_environment_and_what_its_spec_gives(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "do not pass on")
    async with Upstreams([sample("one", env={"GIVEN": "1"})]) as up:
        await up.ready(PATIENCE)
        seen = (await up.call_tool("one__environment")).structured_content
        assert seen["GIVEN"] == "1"
        assert "SECRET_TOKEN" not in seen
        assert "PATH" in seen


async def test_leaving_ends_the_whole_process_group_even_one_that_ignores_sigterm(sample: Sample, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    async with Upstreams([sample("one", "--ignore-sigterm", "--pid-file", str(pid_file))]) as up:
        await up.ready(PATIENCE)
        child = int(text_of(await up.call_tool("one__child")))
        assert psutil.pid_exists(child)
    for pid in (child, int(pid_file.read_text())):
        await until(lambda pid=pid: is_gone(pid))  # type: ignore[misc]


async def test_the_users_own_error_leaves_as_it_is(sample: Sample) -> None:
    with pytest.raises(ZeroDivisionError):
        async with Upstreams([sample("one")]):
            raise ZeroDivisionError


async def test_unknown_names_and_the_servers_own_protocol_errors_are_told_apart(sample: Sample) -> None:
    async with Upstreams([sample("one")]) as up:
        await up.ready(PATIENCE)
        with pytest.raises(UnknownName, match="no tool is named 'one__nope'"):
            await up.call_tool("one__nope")
        with pytest.raises(MCPError):
            await up.read_resource("portico://one/other://x")


async def test_two_servers_of_one_name_are_refused(sample: Sample) -> None:
    with pytest.raises(ConfigError, match="two servers are named 'one'"):
        Upstreams([sample("one"), sample("one")])


@pytest.mark.parametrize(("kind", "path"), [("http", "mcp"), ("sse", "sse")])
async def test_servers_over_http_and_sse_are_reached_lost_and_reached_again(sample: Sample, kind: str, path: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = sample("web", f"--{kind}", str(port))

    def start() -> psutil.Popen:
        return psutil.Popen([run.command, *run.args])

    server = start()
    try:
        spec = UpstreamSpec("web", transport=kind, url=f"http://127.0.0.1:{port}/{path}")  # type: ignore[arg-type]
        async with Upstreams([spec]) as up:
            await until(lambda: up.status()[0].state is UpstreamState.READY)
            assert text_of(await up.call_tool("web__add", {"a": 1, "b": 2})) == "3"
            with pytest.raises(UpstreamDied, match="server 'web' lost the connection"):
                await up.call_tool("web__die", {"code": 1})
            server.wait(PATIENCE)
            server = start()
            await until(lambda: up.status()[0].state is UpstreamState.READY and up.status()[0].restarts > 0)
            assert text_of(await up.call_tool("web__add", {"a": 1, "b": 2})) == "3"
    finally:
        server.kill()
        server.wait(PATIENCE)
