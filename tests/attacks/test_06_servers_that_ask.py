"""What a server asks of models and people counts against the call that it asks in: one call can't keep them busy."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types
import pytest

from portico_gateway.caller import Caller, on_behalf_of
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import UpstreamTimeout
from portico_gateway.upstreams.server_requests import MAX_OPEN_REQUESTS, MAX_REQUESTS, ServerRequests
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = [pytest.mark.anyio, pytest.mark.attack("6 a server's questions are counted")]
ODD_SERVER = Path(__file__).with_name("odd_server.py")
PATIENCE = 30.0
PARAMS = mcp_types.CreateMessageRequestParams(
    messages=[mcp_types.SamplingMessage(role="user", content=mcp_types.TextContent(type="text", text="x"))], max_tokens=5
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _logs_go_to_a_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_LOG_DIR", str(tmp_path / "logs"))


class Sampler:
    """Counts what it is asked; an answer takes `seconds`."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.asked = self.running = self.most_running = self.cancelled = 0

    async def __call__(self, params: mcp_types.CreateMessageRequestParams) -> mcp_types.CreateMessageResult:
        self.asked += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await anyio.sleep(self.seconds)
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        content = mcp_types.TextContent(type="text", text="hi")
        return mcp_types.CreateMessageResult(role="assistant", content=content, model="m")


@asynccontextmanager
async def upstreams_of(mode: str, sampler: Sampler, **spec: Any) -> AsyncIterator[Upstreams]:
    made = UpstreamSpec("s", command=sys.executable, args=(str(ODD_SERVER), mode), **spec)
    async with Upstreams([made], sampler=sampler) as upstreams:
        await upstreams.ready(PATIENCE)
        yield upstreams


@pytest.mark.parametrize("seconds", [0.0, 0.2])
async def test_one_call_asks_the_model_a_few_times_and_not_thousands(seconds: float) -> None:
    sampler = Sampler(seconds)
    async with upstreams_of("asks", sampler) as upstreams:
        with anyio.fail_after(PATIENCE):
            await upstreams.call_tool("s__asks_without_end")
        assert sampler.asked <= MAX_REQUESTS
        assert sampler.most_running <= MAX_OPEN_REQUESTS


async def test_generations_for_a_call_that_has_ended_end_too() -> None:
    sampler = Sampler(60.0)
    async with upstreams_of("asks", sampler) as upstreams:
        with anyio.fail_after(PATIENCE):
            await upstreams.call_tool("s__asks_without_end")
        await anyio.sleep(0.1)
        assert sampler.running == 0
        assert sampler.cancelled == sampler.asked


async def test_a_server_that_asks_does_not_escape_its_deadline() -> None:
    async with upstreams_of("asks_and_stays", Sampler(0.01), call_timeout=1.0) as upstreams:
        with anyio.fail_after(PATIENCE), pytest.raises(UpstreamTimeout):
            await upstreams.call_tool("s__asks_without_end")


async def test_a_server_that_nobody_calls_has_no_model() -> None:
    sampler = Sampler()
    answer = await ServerRequests("s", sampler).sampling(None, PARAMS)
    assert isinstance(answer, mcp_types.ErrorData)
    assert "while nobody calls it" in answer.message
    assert not sampler.asked


async def test_the_hosts_user_and_model_are_asked_a_few_times_too() -> None:
    asked: list[str] = []

    async def ask(request: mcp_types.InputRequest, key: str = "") -> mcp_types.InputResponse:
        asked.append(request.method)
        return mcp_types.ElicitResult(action="decline")

    can = mcp_types.ClientCapabilities(elicitation=mcp_types.ElicitationCapability())
    requests = ServerRequests("s")
    form = mcp_types.ElicitRequestFormParams(message="?", requested_schema={"type": "object", "properties": {}})
    with on_behalf_of(Caller(capabilities=can, ask=ask)), anyio.CancelScope() as deadline, requests.in_flight(deadline, 5.0):
        answers = [await requests.elicitation(None, form) for _ in range(100)]
    assert len(asked) == MAX_REQUESTS
    assert isinstance(answers[-1], mcp_types.ErrorData)


async def test_a_question_that_is_never_answered_stops_the_clock_for_a_while_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("portico_gateway.upstreams.server_requests.MAX_PAUSE", 0.1)

    async def ask(request: mcp_types.InputRequest, key: str = "") -> mcp_types.InputResponse:
        await anyio.sleep_forever()
        raise AssertionError

    can = mcp_types.ClientCapabilities(elicitation=mcp_types.ElicitationCapability())
    requests = ServerRequests("s")
    form = mcp_types.ElicitRequestFormParams(message="?", requested_schema={"type": "object", "properties": {}})
    with (
        anyio.fail_after(PATIENCE),
        on_behalf_of(Caller(capabilities=can, ask=ask)),
        anyio.move_on_after(0.2) as deadline,
        requests.in_flight(deadline, 0.2),
    ):
        await requests.elicitation(None, form)
    assert deadline.cancelled_caught
