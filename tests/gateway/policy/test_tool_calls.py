"""Every tool call under the policy: consent by a host's dialog, by the API or at the terminal is one and the same record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import mcp_types
import pytest
from mcp.client.client import Client

from portico_gateway.caller import Caller, ConsentRequest
from portico_gateway.config.sections import PolicyConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import ConsentRefused, ConsentRequired, ToolDenied
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.terminal_consent import terminal_caller
from portico_gateway.policy.tool_calls import DECISION, ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = pytest.mark.anyio
PATIENCE = 60.0
WRITE = ("asks__write", {"text": "x"})


@pytest.fixture(scope="module")
async def upstreams(asking: Callable[..., UpstreamSpec]) -> AsyncIterator[Upstreams]:
    async with Upstreams([asking("auto")]) as running:
        await running.ready(PATIENCE)
        yield running


def calls(upstreams: Upstreams, *, takes_approvals: bool = False, **policy: Any) -> ToolCalls:
    return ToolCalls(upstreams, policy=Policy(PolicyConfig(**policy)), takes_approvals=takes_approvals)


@asynccontextmanager
async def host(made: ToolCalls, mode: str, **given: Any) -> AsyncIterator[Client]:
    gateway = GatewayServer(made.upstreams, tool_calls=made, list_timeout=PATIENCE)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gateway.run)
        async with Client(gateway.server, mode=mode, cache=None, **given) as client:
            yield client
        tasks.cancel_scope.cancel()


def answering(*actions: str) -> tuple[Any, list[str]]:
    """An elicitation callback that answers with `actions` in turn, and the messages that it was asked."""
    asked: list[ConsentRequest] = []

    async def answer(context: object, params: mcp_types.ElicitRequestParams) -> mcp_types.ElicitResult:
        asked.append(params.message)
        return mcp_types.ElicitResult(action=actions[len(asked) - 1], content={})  # type: ignore[arg-type]

    return answer, asked


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_host_asks_its_user_once_a_call_and_only_for_what_is_not_read_only(upstreams: Upstreams, mode: str) -> None:
    answer, asked = answering("accept", "decline", "cancel", "accept")
    async with host(calls(upstreams), mode, elicitation_callback=answer) as client:
        assert not (await client.call_tool("asks__read")).is_error
        assert asked == []
        allowed = await client.call_tool(*WRITE)
        assert allowed.content[0].text == "wrote x"  # type: ignore[union-attr]
        assert allowed.meta is not None
        assert allowed.meta[DECISION]["by"] == "elicitation"
        assert asked == ['Allow one call of asks__write? (it is not read-only)\nArguments: {"text": "x"}']
        for _ in ("decline", "cancel"):
            refused = await client.call_tool(*WRITE)
            assert refused.is_error
            assert refused.content[0].text == "the user did not allow this call of asks__write"  # type: ignore[union-attr]
        assert not (await client.call_tool(*WRITE)).is_error
        assert len(asked) == 4


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_host_that_cannot_ask_is_told_how_to_approve(upstreams: Upstreams, mode: str) -> None:
    made = calls(upstreams, takes_approvals=True)
    async with host(made, mode) as client:
        pending = await client.call_tool(*WRITE)
        assert pending.is_error
        (record,) = made.approvals.all()
        assert f"POST /v1/approvals/{record.id}" in pending.content[0].text  # type: ignore[union-attr]
        made.approvals.decide(record.id, approve=True, channel="http")
        assert (await client.call_tool("asks__write", {"text": "y"})).is_error, "approved were other arguments"
        assert not (await client.call_tool(*WRITE)).is_error
        assert (await client.call_tool(*WRITE)).is_error, "an approval counts once"


async def test_without_an_api_the_error_names_the_setting(upstreams: Upstreams) -> None:
    with pytest.raises(ConsentRequired, match='name the tool in "allow" under \\[policy\\]') as caught:
        await calls(upstreams).call_tool(*WRITE, Caller())
    assert caught.value.approval is None


async def test_a_denied_tool_is_never_called_and_nobody_is_asked(upstreams: Upstreams) -> None:
    async def ask(request: ConsentRequest) -> bool:
        raise AssertionError("asked")

    with pytest.raises(ToolDenied, match=r"asks__read is not allowed here: policy.deny names it"):
        await calls(upstreams, deny=["asks__read"]).call_tool("asks__read", {}, Caller(consent=ask))


async def test_a_write_after_an_untrusted_read_needs_consent_from_that_caller_alone(upstreams: Upstreams) -> None:
    made = calls(upstreams, allow=["asks__write"], ask_after_read=True, trusted=["asks__write"])
    one, other = Caller("one"), Caller("other")
    await made.call_tool(*WRITE, one)
    await made.call_tool(*WRITE, one)
    await made.call_tool("asks__read", {}, one)
    with pytest.raises(ConsentRequired, match="has read untrusted text"):
        await made.call_tool(*WRITE, one)
    await made.call_tool(*WRITE, other)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_reading_a_resource_counts_as_reading(upstreams: Upstreams, mode: str) -> None:
    made = calls(upstreams, allow=["asks__write"], ask_after_read=True, trusted=["asks__write"])
    async with host(made, mode) as client:
        assert not (await client.call_tool(*WRITE)).is_error
        await client.read_resource("portico://asks/note://x")
        assert "has read untrusted text" in str((await client.call_tool(*WRITE)).content)


async def test_a_consent_that_comes_too_late_allows_nothing(upstreams: Upstreams) -> None:
    made = calls(upstreams)

    async def ask(request: ConsentRequest) -> bool:
        (record,) = made.approvals.all()
        record.expires = 0.0
        return True

    with pytest.raises(ConsentRefused):
        await made.call_tool(*WRITE, Caller(consent=ask))


async def test_two_equal_calls_at_once_are_two_consents(upstreams: Upstreams) -> None:
    made, both = calls(upstreams), anyio.Event()
    asked: list[ConsentRequest] = []
    done: list[mcp_types.CallToolResult] = []

    async def ask(request: ConsentRequest) -> bool:
        asked.append(request)
        if len(asked) == 2:
            both.set()
        await both.wait()
        return True

    async def call() -> None:
        done.append(await made.call_tool(*WRITE, Caller(consent=ask)))

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            tasks.start_soon(call)
    assert len(asked) == len(done) == 2
    assert asked[0] is not asked[1]


async def test_without_a_terminal_the_refusal_names_the_flag(upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(ConsentRequired, match="start with --allow asks__write"):
        await calls(upstreams).call_tool(*WRITE, terminal_caller("portico ask"))
    allowed = calls(upstreams, allow=["asks__write"])
    assert not (await allowed.call_tool(*WRITE, terminal_caller("portico ask"))).is_error


@pytest.mark.parametrize(("typed", "allowed"), [(True, True), (False, False)])
async def test_at_a_terminal_a_person_decides(
    upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch, typed: bool, allowed: bool
) -> None:
    asked: list[ConsentRequest] = []

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("click.echo", lambda text, **options: asked.append(text))
    monkeypatch.setattr("click.prompt", lambda text, **options: "y" if typed else options["default"])
    made = calls(upstreams)
    arguments = {"text": "harmless\x1b[2K"}
    if allowed:
        result = await made.call_tool("asks__write", arguments, terminal_caller("portico ask"))
        assert result.meta is not None
        assert result.meta[DECISION]["by"] == "terminal"
    else:
        with pytest.raises(ConsentRefused):
            await made.call_tool("asks__write", arguments, terminal_caller("portico ask"))
    assert "\x1b" not in asked[0]
