"""Every tool call under the policy: consent by a host's dialog, by the API or at the terminal is one and the same record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import mcp_types
import pytest
from mcp.client.client import Client

from portico_gateway.caller import Caller, ConsentAnswer, ConsentRequest, Remember
from portico_gateway.config.sections import PolicyConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import ConsentRefused, ConsentRequired, InvalidEdit, QuotaExceeded, ToolDenied
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


def answering(*actions: str, content: Any = None) -> tuple[Any, list[str]]:
    """An elicitation callback that answers with `actions` in turn, and the messages that it was asked."""
    asked: list[ConsentRequest] = []

    async def answer(context: object, params: mcp_types.ElicitRequestParams) -> mcp_types.ElicitResult:
        asked.append(params.message)
        return mcp_types.ElicitResult(action=actions[len(asked) - 1], content=content or {})  # type: ignore[arg-type]

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


# -- what a person makes of a call


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_hosts_dialog_has_the_arguments_as_fields_and_what_they_then_say_is_called(
    upstreams: Upstreams, mode: str
) -> None:
    forms: list[mcp_types.ElicitRequestFormParams] = []

    async def answer(context: object, params: mcp_types.ElicitRequestParams) -> mcp_types.ElicitResult:
        assert isinstance(params, mcp_types.ElicitRequestFormParams)
        forms.append(params)
        return mcp_types.ElicitResult(action="accept", content={"text": "better"})

    async with host(calls(upstreams), mode, elicitation_callback=answer) as client:
        result = await client.call_tool(*WRITE)
    assert result.content[0].text == "wrote better"  # type: ignore[union-attr]
    assert "changed the arguments" in result.content[-1].text  # type: ignore[union-attr]
    assert result.meta is not None
    assert result.meta[DECISION]["arguments"] == {"text": "better"}
    (form,) = forms
    properties = form.requested_schema["properties"]
    assert properties["text"] == {"title": "Text", "type": "string", "default": "x"}
    assert properties["portico_remember"]["default"] == "no"


async def test_an_edit_that_the_tool_cannot_take_is_asked_again_with_why(upstreams: Upstreams) -> None:
    made = calls(upstreams)
    problems: list[str] = []

    async def ask(request: ConsentRequest) -> ConsentAnswer:
        problems.append(request.problem)
        return ConsentAnswer(True, {"text": 3} if len(problems) == 1 else {"text": "three"})

    result = await made.call_tool(*WRITE, Caller(consent=ask))
    assert result.content[0].text == "wrote three"  # type: ignore[union-attr]
    assert problems[0] == ""
    assert problems[1].startswith("/text: ")

    async def stubborn(request: ConsentRequest) -> ConsentAnswer:
        return ConsentAnswer(True, {"other": 1})

    with pytest.raises(ConsentRefused):
        await made.call_tool(*WRITE, Caller(consent=stubborn))


async def test_an_edited_approval_of_the_api_is_used_by_the_next_equal_call(upstreams: Upstreams) -> None:
    made = calls(upstreams, takes_approvals=True)
    with pytest.raises(ConsentRequired):
        await made.call_tool(*WRITE, Caller())
    (record,) = made.approvals.all()
    with pytest.raises(InvalidEdit, match="/text"):
        made.decide(record.id, ConsentAnswer(True, {"text": None}), channel="http")
    made.decide(record.id, ConsentAnswer(True, {"text": "edited"}), channel="http", by="owner")
    result = await made.call_tool(*WRITE, Caller())
    assert result.content[0].text == "wrote edited"  # type: ignore[union-attr]
    with pytest.raises(ConsentRequired):
        await made.call_tool("asks__write", {"text": "edited"}, Caller())


async def test_a_remembered_answer_counts_for_that_caller_and_pattern_and_never_where_the_owner_asks_always(
    upstreams: Upstreams,
) -> None:
    asked: list[ConsentRequest] = []

    def remembering(answer: ConsentAnswer) -> Any:
        async def ask(request: ConsentRequest) -> ConsentAnswer:
            asked.append(request)
            return answer

        return ask

    made = calls(upstreams)
    exact = Caller(consent=remembering(ConsentAnswer(True, remember=Remember(60))))
    for _ in range(3):
        result = await made.call_tool(*WRITE, exact)
    assert len(asked) == 1
    assert result.meta is not None
    assert result.meta[DECISION]["by"] == "remembered"
    await made.call_tool("asks__write", {"text": "y"}, exact)
    await made.call_tool(*WRITE, Caller("other", consent=exact.consent))
    assert len(asked) == 3
    no = Caller("third", consent=remembering(ConsentAnswer(False, remember=Remember(60, "any"))))
    for text in ("a", "b"):
        with pytest.raises(ConsentRefused):
            await made.call_tool("asks__write", {"text": text}, no)
    assert len(asked) == 4
    always = calls(upstreams, ask=["asks__*"])
    for _ in range(2):
        await always.call_tool(*WRITE, exact)
    assert len(asked) == 6
    assert not asked[-1].may_remember


async def test_a_write_with_an_argument_from_an_untrusted_result_asks_and_says_where_it_is_from(upstreams: Upstreams) -> None:
    made = calls(upstreams, allow=["asks__write"])
    await made.call_tool("asks__read", {}, Caller())
    await made.call_tool("asks__write", {"text": "my own words"}, Caller())
    with pytest.raises(ConsentRequired, match="/text was copied from a result of asks__read, which is not trusted"):
        await made.call_tool("asks__write", {"text": "text"}, Caller())
    await made.call_tool("asks__write", {"text": "text"}, Caller("other"))
    marks: list[str] = []

    async def ask(request: ConsentRequest) -> bool:
        marks.extend(request.marks)
        return True

    await made.call_tool("asks__write", {"text": "text"}, Caller(consent=ask))
    assert marks == ["/text was copied from a result of asks__read"]
    await made.call_tool("asks__write", {"text": "text"}, Caller(said="please write the word text"))


async def test_what_the_person_asked_for_runs_once(upstreams: Upstreams) -> None:
    made = calls(upstreams, others="requested")
    person = Caller("ann", said="please write hello")
    result = await made.call_tool("asks__write", {"text": "hello"}, person)
    assert DECISION not in (result.meta or {})
    with pytest.raises(ConsentRequired):
        await made.call_tool("asks__write", {"text": "hello"}, person)
    with pytest.raises(ConsentRequired):
        await made.call_tool("asks__write", {"text": "something else"}, person)
    with pytest.raises(ConsentRequired):
        await made.over(upstreams).call_tool("asks__write", {"text": "hello"}, person)
    await made.call_tool("asks__write", {"text": "hello"}, Caller("bob", said="please write hello"))
    trusting = calls(upstreams, allow=["asks__write"], trusted=["asks__*"])
    await trusting.call_tool("asks__read", {}, Caller())
    await trusting.call_tool("asks__write", {"text": "text"}, Caller())


async def test_a_caller_over_its_quota_is_refused_and_others_go_on(upstreams: Upstreams) -> None:
    made = calls(upstreams, callers={"ci": {"calls_per_minute": 1}, "nobody": {"calls_per_day": 0}})
    await made.call_tool("asks__read", {}, Caller("ci"))
    with pytest.raises(QuotaExceeded, match="may make 1 calls a minute"):
        await made.call_tool("asks__read", {}, Caller("ci"))
    with pytest.raises(QuotaExceeded, match="may make 0 calls a day"):
        await made.call_tool("asks__read", {}, Caller("nobody"))
    await made.call_tool("asks__read", {}, Caller())
