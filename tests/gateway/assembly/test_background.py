"""Sessions of a process that answers for others: opened once, each question by its own rules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from portico_gateway.assembly import background
from portico_gateway.assembly.ask_session import AskParts, AskSession
from portico_gateway.assembly.background import GatewaySessions, OwnSessions
from portico_gateway.caller import Caller
from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.sections import PolicyConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import ConfigError
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = pytest.mark.anyio

CONFIG = PorticoConfig(policy=PolicyConfig(allow=["a__*"]))
UPDATES: list[tuple[str, str]] = []


@pytest.fixture(autouse=True)
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session shows the rules that it is under."""
    UPDATES.clear()

    def session(parts: AskParts, caller: Caller | None = None) -> Any:
        return parts.tool_calls.policy.config.allow

    @asynccontextmanager
    async def parts(config: Any, specs: Sequence[UpstreamSpec], update: Callable[[str, str], None]) -> AsyncIterator[AskParts]:
        async with Upstreams(specs) as upstreams:
            update("model", "ready")
            yield AskParts(ToolCalls(upstreams), None)  # type: ignore[arg-type]

    monkeypatch.setattr(background, "ask_session", session)
    monkeypatch.setattr(background, "open_ask_parts", parts)


async def ask(sessions: OwnSessions | GatewaySessions, *allow: str) -> AskSession:
    return await sessions.session(Caller(), allow, lambda what, state: UPDATES.append((what, state)))


async def test_each_question_has_its_own_rules_over_the_files() -> None:
    sessions = OwnSessions(lambda: (CONFIG, ()), lambda: None)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sessions.hold)
            assert await ask(sessions, "b__*") == ["a__*", "b__*"]
            assert await ask(sessions) == ["a__*"]
            tasks.cancel_scope.cancel()


async def test_a_gateways_rules_are_those_of_its_questions() -> None:
    async def no_engine() -> Any:
        return None

    async with Upstreams([]) as upstreams:
        assert await ask(GatewaySessions(ToolCalls(upstreams), no_engine), "b__*") == ["b__*"]


async def test_what_can_not_be_opened_is_told_to_every_question() -> None:
    failed = anyio.Event()

    def read() -> tuple[PorticoConfig, Sequence[UpstreamSpec]]:
        raise ConfigError("line 3 is wrong")

    sessions = OwnSessions(read, failed.set)
    with anyio.fail_after(20):
        await sessions.hold()
        assert failed.is_set()
        for _ in range(2):
            with pytest.raises(ConfigError, match="line 3 is wrong"):
                await ask(sessions)


async def test_a_database_that_came_to_the_workspace_is_there_for_the_next_question(
    sample: Callable[..., UpstreamSpec],
) -> None:
    now: list[UpstreamSpec] = []
    held: list[Upstreams] = []
    sessions = OwnSessions(lambda: (CONFIG, tuple(now)), lambda: None)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sessions.hold)
            await ask(sessions)
            assert sessions._parts is not None
            held.append(sessions._parts.tool_calls.upstreams)
            now.append(sample("db"))
            await ask(sessions)
            assert [status.name for status in held[0].status()] == ["db"]
            tasks.cancel_scope.cancel()
