"""Tasks of 2025-11-25 cross the gateway, under the policy, and are their caller's alone."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types
import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from portico_gateway.config.sections import AuditConfig, PolicyConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.policy.audit import audit_log
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = pytest.mark.anyio
DIGGER = UpstreamSpec("digger", command=sys.executable, args=(str(Path(__file__).with_name("task_server.py")),))
DIG = {"name": "digger__dig", "arguments": {"depth": 3}, "task": {"ttl": 60_000}}


@pytest.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    async with Upstreams([DIGGER]) as running:
        await running.ready(30)
        yield running


@asynccontextmanager
async def host(made: ToolCalls, mode: str = "legacy", **given: Any) -> AsyncIterator[Client]:
    gateway = GatewayServer(made.upstreams, tool_calls=made)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gateway.run)
        async with Client(gateway.server, mode=mode, cache=None, **given) as client:
            yield client
        tasks.cancel_scope.cancel()


async def ask(client: Client, method: str, **params: Any) -> dict[str, Any]:
    """A request as a host with tasks sends it; the SDK's client has no methods for them."""
    return dict(await client.session._dispatcher.send_raw_request(method, params))


async def test_a_task_is_begun_watched_and_read_under_the_gateways_name(
    upstreams: Upstreams, caplog: pytest.LogCaptureFixture
) -> None:
    async with host(ToolCalls(upstreams)) as client:
        tasks = client.server_capabilities.tasks
        assert tasks is not None
        assert tasks.requests is not None
        assert tasks.requests.tools is not None
        assert tasks.requests.tools.call is not None
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        execution = listed["digger__dig"].execution
        assert execution is not None
        assert execution.task_support == "optional"
        begun = await ask(client, "tools/call", **DIG)
        assert "content" not in begun, "it is a CreateTaskResult"
        task = begun["task"]
        assert {key: task[key] for key in ("taskId", "status", "ttl", "pollInterval")} == {
            "taskId": "digger__t1",
            "status": "working",
            "ttl": 60_000,
            "pollInterval": 10,
        }
        mcp_types.CreateTaskResult.model_validate(begun, by_name=False)
        first, second = [await ask(client, "tasks/get", taskId="digger__t1") for _ in range(2)]
        assert (first["status"], second["status"]) == ("working", "completed")
        assert second["x-shovels"] == 2, "what nobody knows passes through"
        assert [each["status"] for each in (await ask(client, "tasks/list"))["tasks"]] == ["completed"]
        result = await ask(client, "tasks/result", taskId="digger__t1")
    assert result["content"][0] == {"type": "text", "text": "dug 3 m"}
    assert result["content"][1]["uri"] == "portico://digger/hole://1", "it can be read through the gateway"
    assert result["_meta"]["io.modelcontextprotocol/related-task"] == {"taskId": "digger__t1"}
    assert "resultType" not in result
    assert not [record for record in caplog.records if "oddly" in record.getMessage()]


async def test_a_task_can_be_cancelled_and_what_its_server_refuses_is_told(upstreams: Upstreams) -> None:
    async with host(ToolCalls(upstreams)) as client:
        await ask(client, "tools/call", **DIG)
        assert (await ask(client, "tasks/cancel", taskId="digger__t1"))["status"] == "cancelled"
        for method in ("tasks/cancel", "tasks/result"):
            with pytest.raises(MCPError, match="the task"):
                await ask(client, method, taskId="digger__t1")


async def test_a_task_is_its_callers_alone(upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ToolCalls(upstreams)
    async with host(made) as client:
        await ask(client, "tools/call", **DIG)
        monkeypatch.setattr("portico_gateway.mcp.host_caller.principal", lambda scope: "somebody else")
        assert (await ask(client, "tasks/list"))["tasks"] == []
        for method in ("tasks/get", "tasks/cancel", "tasks/result"):
            for name in ("digger__t1", "digger__t9", "t1", ""):
                with pytest.raises(MCPError, match="there is no task"):
                    await ask(client, method, taskId=name)


async def test_a_call_as_a_task_is_under_the_policy_and_its_result_is_logged_and_untrusted(
    upstreams: Upstreams, tmp_path: Path
) -> None:
    asked: list[str] = []

    async def answer(context: object, params: mcp_types.ElicitRequestParams) -> mcp_types.ElicitResult:
        asked.append(params.message)
        return mcp_types.ElicitResult(action="accept" if len(asked) == 1 else "decline")

    with audit_log(AuditConfig(file=tmp_path / "audit.db")) as audit:
        made = ToolCalls(upstreams, audit=audit)
        async with host(made, elicitation_callback=answer) as client:
            bury = {**DIG, "name": "digger__bury"}
            assert "task" in await ask(client, "tools/call", **bury)
            refused = await ask(client, "tools/call", **bury)
            assert refused["isError"]
            assert len(asked) == 2
            await ask(client, "tasks/result", taskId="digger__t1")
            assert made._readers, "its caller has read what a server says"
            made.use_policy(Policy(PolicyConfig(deny=["digger__bury"])))
            with pytest.raises(MCPError, match="digger__bury"):
                await ask(client, "tasks/result", taskId="digger__t1")


@pytest.mark.parametrize(("mode", "tool"), [("legacy", "digger__look"), ("2026-07-28", "digger__dig")])
async def test_what_cannot_run_as_a_task_says_so(upstreams: Upstreams, mode: str, tool: str) -> None:
    async with host(ToolCalls(upstreams), mode) as client:
        params = mcp_types.CallToolRequestParams(name=tool, arguments={"depth": 1}, task=mcp_types.TaskMetadata())
        with pytest.raises(MCPError, match="can't run as a task"):
            await client.session.send_request(mcp_types.CallToolRequest(params=params), mcp_types.CallToolResult)
        result = await client.call_tool(tool, {"depth": 1})
        assert not result.is_error


async def test_a_callers_oldest_task_is_forgotten_when_there_are_too_many(
    upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portico_gateway.mcp.tasks._MAX_OWN_TASKS", 2)
    async with host(ToolCalls(upstreams)) as client:
        await ask(client, "tools/call", **DIG)
        with monkeypatch.context() as other:
            other.setattr("portico_gateway.mcp.host_caller.principal", lambda scope: "somebody else")
            for _ in range(3):
                await ask(client, "tools/call", **DIG)
            assert [each["taskId"] for each in (await ask(client, "tasks/list"))["tasks"]] == ["digger__t3", "digger__t4"]
        assert [each["taskId"] for each in (await ask(client, "tasks/list"))["tasks"]] == ["digger__t1"]


async def test_what_a_task_asks_reaches_the_host_that_waits_for_its_result(upstreams: Upstreams) -> None:
    related: list[object] = []

    async def answer(context: Any, params: mcp_types.ElicitRequestParams) -> mcp_types.ElicitResult:
        related.append((params.meta or {}).get("io.modelcontextprotocol/related-task"))
        return mcp_types.ElicitResult(action="accept", content={"tool": "a spoon"})

    async with host(ToolCalls(upstreams), elicitation_callback=answer) as client:
        await ask(client, "tools/call", **{**DIG, "arguments": {"depth": 13}})
        result = await ask(client, "tasks/result", taskId="digger__t1")
    assert result["content"][0]["text"] == "dug 13 m with a spoon"
    assert related == [{"taskId": "digger__t1"}], "under the name that the host knows it by"


async def test_a_task_of_a_server_that_is_gone_is_an_error(upstreams: Upstreams) -> None:
    async with host(ToolCalls(upstreams)) as client:
        await ask(client, "tools/call", **DIG)
        await upstreams.replace([])
        for method in ("tasks/get", "tasks/result"):
            with pytest.raises(MCPError, match="digger"):
                await ask(client, method, taskId="digger__t1")
