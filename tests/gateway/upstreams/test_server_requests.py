"""What servers ask while they are called reaches the host that called, in any mix of eras, and its answer goes back."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import mcp_types
import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from portico_gateway.caller import Caller
from portico_gateway.config.sections import PolicyConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.supervision import UpstreamState
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = pytest.mark.anyio
Asking = Callable[..., UpstreamSpec]
PATIENCE = 60.0
ERAS = pytest.mark.parametrize(
    ("host", "server"), [("auto", "modern"), ("auto", "legacy"), ("legacy", "modern"), ("legacy", "legacy")]
)


@asynccontextmanager
async def hosts(
    spec: UpstreamSpec, modes: tuple[str, ...], callbacks: tuple[dict[str, Any], ...], policy: PolicyConfig, **upstreams: Any
) -> AsyncIterator[list[Client]]:
    """Hosts with these callbacks, connected to one gateway in front of one server."""
    async with Upstreams([spec], **upstreams) as up:
        gateway = GatewayServer(up, tool_calls=ToolCalls(up, policy=Policy(policy)), list_timeout=PATIENCE)
        async with anyio.create_task_group() as tasks, contextlib.AsyncExitStack() as stack:
            tasks.start_soon(gateway.run)
            yield [
                await stack.enter_async_context(Client(gateway.server, mode=mode, cache=None, **given))
                for mode, given in zip(modes, callbacks, strict=True)
            ]
            await stack.aclose()
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def connected(
    spec: UpstreamSpec, mode: str, *, policy: PolicyConfig | None = None, **given: Any
) -> AsyncIterator[Client]:
    sampler = given.pop("sampler", None)
    async with hosts(spec, (mode,), (given,), policy or PolicyConfig(), sampler=sampler) as (client,):
        yield client


def text_of(result: mcp_types.CallToolResult) -> str:
    assert isinstance(result.content[0], mcp_types.TextContent)
    return result.content[0].text


async def choose(context: object, params: mcp_types.ElicitRequestParams) -> mcp_types.ElicitResult:
    assert params.message == "Which size?"
    return mcp_types.ElicitResult(action="accept", content={"size": 7})


async def speak(context: object, params: mcp_types.CreateMessageRequestParams) -> mcp_types.CreateMessageResult:
    content = mcp_types.TextContent(type="text", text="hello")
    return mcp_types.CreateMessageResult(role="assistant", content=content, model="the-host's")


async def speak_locally(params: mcp_types.CreateMessageRequestParams) -> mcp_types.CreateMessageResult:
    content = mcp_types.TextContent(type="text", text="hi")
    return mcp_types.CreateMessageResult(role="assistant", content=content, model="local")


async def tell_roots(context: object) -> mcp_types.ListRootsResult:
    return mcp_types.ListRootsResult(roots=[mcp_types.Root(uri="file:///home/x")])


@ERAS
async def test_elicitation_sampling_and_roots_cross_the_gateway(asking: Asking, host: str, server: str) -> None:
    callbacks = {"elicitation_callback": choose, "sampling_callback": speak, "list_roots_callback": tell_roots}
    async with connected(asking(server), host, **callbacks) as client:
        with anyio.fail_after(PATIENCE):
            assert text_of(await client.call_tool("asks__order")) == "size 7"
            assert text_of(await client.call_tool("asks__think")) == "the-host's: hello"
            assert text_of(await client.call_tool("asks__where")) == "file:///home/x"


@pytest.mark.parametrize("host", ["auto", "legacy"])
async def test_a_push_style_question_of_an_older_server_reaches_hosts_of_both_eras(asking: Asking, host: str) -> None:
    async with connected(asking("legacy"), host, elicitation_callback=choose) as client:
        with anyio.fail_after(PATIENCE):
            assert text_of(await client.call_tool("asks__order_by_request")) == "size 7"


@ERAS
async def test_the_local_model_answers_sampling_for_a_host_that_has_none(asking: Asking, host: str, server: str) -> None:
    async with connected(asking(server), host, sampler=speak_locally) as client:
        assert text_of(await client.call_tool("asks__think")) == "local: hi"


@pytest.mark.parametrize("host", ["auto", "legacy"])
@pytest.mark.parametrize("server", ["modern", "legacy"])
async def test_where_neither_can_answer_the_error_names_what_is_missing(asking: Asking, host: str, server: str) -> None:
    """A server of 2026-07-28 is told beforehand and says so itself; an older one asks, and is told then."""
    async with connected(asking(server), host) as client:
        for tool, needed in (("order", "elicitation"), ("think", "sampling")):
            with pytest.raises(MCPError) as caught:
                await client.call_tool(f"asks__{tool}")
            assert caught.value.code == mcp_types.MISSING_REQUIRED_CLIENT_CAPABILITY
            assert [*caught.value.data["requiredCapabilities"]] == [needed]
            if server == "legacy":
                assert "neither the caller nor this gateway can answer" in str(caught.value)


@pytest.mark.parametrize("host", ["auto", "legacy"])
async def test_a_server_is_told_with_each_request_what_its_caller_can_be_asked(asking: Asking, host: str) -> None:
    given: tuple[dict[str, Any], ...] = ({}, {"elicitation_callback": choose}, {"sampling_callback": speak})
    async with hosts(asking("modern"), (host,) * 3, given, PolicyConfig()) as clients:
        told = [(await client.call_tool("asks__able")).structured_content for client in clients]
        assert [sorted(each or {}) for each in told] == [[], ["elicitation"], ["sampling"]]
    async with connected(asking("modern"), host, sampler=speak_locally) as client:
        assert sorted((await client.call_tool("asks__able")).structured_content or {}) == ["sampling"]


async def test_a_question_keeps_the_name_that_its_server_gave_it(asking: Asking) -> None:
    async with Upstreams([asking("modern")]) as up:
        await up.ready(PATIENCE)
        keys: list[str] = []

        async def ask(request: mcp_types.InputRequest, key: str = "") -> mcp_types.InputResponse:
            keys.append(key)
            return mcp_types.ElicitResult(action="accept", content={"size": 7})

        form = mcp_types.ElicitationCapability(form=mcp_types.FormElicitationCapability())
        caller = Caller(capabilities=mcp_types.ClientCapabilities(elicitation=form), ask=ask)
        await ToolCalls(up).call_tool("asks__order", {}, caller)
        assert keys
        assert all(keys)
    async with connected(asking("modern"), "auto", elicitation_callback=choose) as client:
        first = await client.session.call_tool("asks__order", allow_input_required=True)
        assert isinstance(first, mcp_types.InputRequiredResult)
        assert [*(first.input_requests or ())] == keys


@pytest.mark.parametrize("server", ["modern", "legacy"])
@pytest.mark.parametrize("code", [mcp_types.CONNECTION_CLOSED, mcp_types.REQUEST_TIMEOUT, -1])
async def test_a_host_that_answers_with_an_error_ends_that_call_and_not_the_server(
    asking: Asking, server: str, code: int
) -> None:
    async with Upstreams([asking(server)]) as up:
        await up.ready(PATIENCE)

        async def ask(request: mcp_types.InputRequest, key: str = "") -> mcp_types.InputResponse:
            raise MCPError(code, "not now")

        can = mcp_types.ClientCapabilities(sampling=mcp_types.SamplingCapability())
        with pytest.raises(MCPError, match="not now"):
            await ToolCalls(up).call_tool("asks__think", {}, Caller(capabilities=can, ask=ask))
        (status,) = up.status()
        assert (status.state, status.restarts) == (UpstreamState.READY, 0)


@ERAS
async def test_a_user_who_thinks_for_longer_than_the_calls_deadline_is_waited_for(
    asking: Asking, host: str, server: str
) -> None:
    async def choose_late(context: object, params: mcp_types.ElicitRequestParams) -> mcp_types.ElicitResult:
        await anyio.sleep(1.5)
        return await choose(context, params)

    async with connected(asking(server, call_timeout=1.0), host, elicitation_callback=choose_late) as client:
        assert text_of(await client.call_tool("asks__order")) == "size 7"
        late = await client.call_tool("asks__hang")
        assert late.is_error
        assert "did not answer within 1 s" in text_of(late)


async def test_answers_go_to_the_host_that_called_and_no_question_to_another(asking: Asking) -> None:
    """Two hosts call a server of the older era at once: it can't be told whose call its question belongs to."""

    async def never(context: object, params: mcp_types.ElicitRequestParams) -> mcp_types.ElicitResult:
        raise AssertionError("asked although two callers were at work")

    callbacks: tuple[dict[str, Any], ...] = ({"elicitation_callback": never}, {"elicitation_callback": never})
    info = [mcp_types.Implementation(name=name, version="1") for name in ("one", "two")]
    given = tuple({**c, "client_info": i} for c, i in zip(callbacks, info, strict=True))
    async with hosts(asking("legacy"), ("legacy", "legacy"), given, PolicyConfig()) as (one, two):
        await one.list_tools()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.call_tool, "asks__hang")
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(MCPError, match="several callers are at work there"):
                await two.call_tool("asks__order_by_request")
            tasks.cancel_scope.cancel()


async def test_a_request_state_counts_once_for_the_request_that_it_was_given_to(asking: Asking) -> None:
    async with connected(asking("modern"), "auto", elicitation_callback=choose) as client:
        first = await client.session.call_tool("asks__order", allow_input_required=True)
        assert isinstance(first, mcp_types.InputRequiredResult)
        assert first.input_requests is not None
        (key,) = first.input_requests
        answers = {key: mcp_types.ElicitResult(action="accept", content={"size": 3})}

        async def resume(name: str, state: str | None) -> mcp_types.Result:
            return await client.session.call_tool(name, input_responses=answers, request_state=state, allow_input_required=True)

        for name, state in (("asks__think", first.request_state), ("asks__order", "made up")):
            with pytest.raises(MCPError, match="requestState is unknown here") as caught:
                await resume(name, state)
            assert caught.value.code == mcp_types.INVALID_PARAMS
        unanswered = await client.session.call_tool("asks__order", request_state=first.request_state, allow_input_required=True)
        assert isinstance(unanswered, mcp_types.InputRequiredResult), "asked again for what is missing"
        done = await resume("asks__order", unanswered.request_state)
        assert isinstance(done, mcp_types.CallToolResult)
        assert text_of(done) == "size 3"
        with pytest.raises(MCPError):
            await resume("asks__order", unanswered.request_state)
