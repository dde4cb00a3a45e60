"""Looks: what is asked of which server for whom, over a real one; and what is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from benchmarks.data.db_samples import write_sqlite

from portico_engine import Tool
from portico_gateway.agent.question_looks import MAX_QUESTION, QuestionLooks
from portico_gateway.caller import Caller
from portico_gateway.config.sections import PolicyConfig
from portico_gateway.config.server_spec import own_spec
from portico_gateway.errors import UpstreamUnavailable
from portico_gateway.guidance.question_readings import QuestionReading
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = pytest.mark.anyio
QUESTION = "How many customers are from Germany?"
PATIENT = 30.0


@pytest.fixture(scope="module")
async def upstreams(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Upstreams]:
    """Our database server, and the same as somebody else's."""
    folder = tmp_path_factory.mktemp("db")
    own = own_spec("db", [str(write_sqlite(folder, "shop"))])
    async with Upstreams([own, replace(own, name="other", own=None)], log_dir=folder / "logs") as connected:
        with anyio.fail_after(60):
            await connected.ready(60)
        yield connected


def offered(upstreams: Upstreams, name: str = "db__rows") -> Tool:
    """As a client knows it from the gateway."""
    tool = upstreams.catalog.tool(name).tool
    return Tool(name, tool.description or "", dict(tool.input_schema))


def under(upstreams: Upstreams, **policy: Any) -> QuestionLooks:
    return QuestionLooks(ToolCalls(upstreams, policy=Policy(PolicyConfig(**policy))), seconds=PATIENT)


async def test_a_tool_of_ours_is_looked_at_once_and_what_was_read_is_kept(upstreams: Upstreams) -> None:
    looks = under(upstreams)
    for _ in range(2):
        found = await looks.of([offered(upstreams), offered(upstreams, "db__query")], QUESTION, Caller())
        assert list(found) == ["db__rows"]
        assert isinstance(found["db__rows"], QuestionReading)
        assert found["db__rows"].arguments["ask"]["aggregate"] == "count"
    assert looks.counts == {("db", "read"): 1, ("db", "kept"): 1}


async def test_a_tool_that_is_not_as_it_is_defined_here_is_the_clients_own(upstreams: Upstreams) -> None:
    looks, tool = under(upstreams), offered(upstreams)
    others = [
        replace(tool, description="Another."),
        replace(tool, parameters={"type": "object"}),
        replace(tool, name="db__lines"),
        offered(upstreams, "other__rows"),
    ]
    assert await looks.of(others, QUESTION, Caller()) == {}
    assert not looks.counts, "nobody was asked"


@pytest.mark.parametrize(
    "policy",
    [
        {"deny": ["db__rows"]},
        {"ask": ["db__rows"]},
        {"writes": ["db__rows"], "allow": ["db__rows"]},
        {"callers": {"guest": {"deny": ["db__*"]}}},
    ],
)
async def test_what_a_caller_may_not_call_without_a_question_is_not_looked_at(upstreams: Upstreams, policy: Any) -> None:
    looks = under(upstreams, **policy)
    assert await looks.of([offered(upstreams)], QUESTION, Caller("guest")) == {}
    assert not looks.counts


async def test_what_one_caller_may_read_is_not_kept_for_one_who_may_not(upstreams: Upstreams) -> None:
    looks = under(upstreams, callers={"guest": {"deny": ["db__*"]}})
    assert await looks.of([offered(upstreams)], QUESTION, Caller("ada"))
    assert await looks.of([offered(upstreams)], QUESTION, Caller("guest")) == {}


async def test_a_request_that_wants_a_person_asked_is_not_looked_at(upstreams: Upstreams) -> None:
    looks = under(upstreams)
    assert await looks.of([offered(upstreams)], QUESTION, Caller(careful=frozenset({"db__rows"}))) == {}


async def test_the_log_has_the_call_and_not_the_look(upstreams: Upstreams) -> None:
    logged: list[str] = []
    log: Any = SimpleNamespace(put=lambda record: logged.append(record.tool))
    tool_calls = ToolCalls(upstreams, audit=log)
    found = await QuestionLooks(tool_calls, seconds=PATIENT).of([offered(upstreams)], QUESTION, Caller())
    assert isinstance(found["db__rows"], QuestionReading)
    assert logged == []
    await tool_calls.call_tool("db__rows", dict(found["db__rows"].arguments), Caller())
    assert logged == ["db__rows"]


@pytest.mark.parametrize("question", ["", "  ", "a" * (MAX_QUESTION + 1)])
async def test_what_is_no_question_is_not_looked_up(upstreams: Upstreams, question: str) -> None:
    assert await under(upstreams).of([offered(upstreams)], question, Caller()) == {}


async def test_a_server_that_is_late_or_fails_is_left_out_and_counted(
    upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = QuestionLooks(ToolCalls(upstreams), seconds=0.01)

    async def never(*_: Any) -> str:
        await anyio.sleep_forever()
        return ""

    async def fails(*_: Any) -> str:
        raise UpstreamUnavailable("db", "is away")

    for read, outcome in ((never, "late"), (fails, "failed")):
        monkeypatch.setattr(upstreams, "read_question", read)
        with anyio.fail_after(10):
            assert await looks.of([offered(upstreams)], QUESTION, Caller()) == {}
        assert looks.counts["db", outcome] == 1
