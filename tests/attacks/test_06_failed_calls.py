"""A call that fails leaves nothing that only the collector of cyclic garbage can free.

An error holds its frames; a frame that holds the error keeps all that the call knew, by the hundred, until the collector comes
round, which in a process that serves is seldom.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from tests.attacks.bomb_engine import GAPS, load_paced
from tests.attacks.http_server import BODIES, CHAT, running
from tests.gateway.http.fake_engine import FakeEngine

from portico_engine import Request
from portico_engine.errors import ChatTemplateError, EngineError
from portico_engine.process.client import EngineProcess
from portico_gateway.caller import Caller
from portico_gateway.config.sections import AuditConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import GatewayError
from portico_gateway.policy.audit import AuditLog
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = [pytest.mark.anyio, pytest.mark.attack("6 one client can't starve another")]
ODD_SERVER = Path(__file__).with_name("odd_server.py")
_CALLS = 10


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@contextmanager
def collected_frames() -> Iterator[Counter[str]]:
    """Of our functions, those whose frames only the collector would free: filled at the end of the block."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        codes = [each.f_code for each in gc.garbage if isinstance(each, FrameType)]
        found.update(code.co_qualname for code in codes if "/portico_" in code.co_filename)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def failing(call: Callable[[], Awaitable[Any]], errors: type[BaseException] | tuple[type[BaseException], ...]) -> None:
    with pytest.raises(errors) as raised:
        await call()
    del raised


async def test_calls_of_servers_that_fail_leave_no_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_LOG_DIR", str(tmp_path / "logs"))
    audit = AuditLog(AuditConfig(file=tmp_path / "audit.db"))
    caller = Caller()
    async with Upstreams([UpstreamSpec("s", command=sys.executable, args=(str(ODD_SERVER), "plain"))]) as upstreams:
        await upstreams.ready(30.0)
        calls = ToolCalls(upstreams, audit=audit)

        async def each() -> None:
            await failing(lambda: calls.call_tool("s__odd", {"mode": "err32000"}, caller), (MCPError, GatewayError))
            await failing(lambda: calls.call_tool("s__write", {}, caller), GatewayError)
            await failing(lambda: calls.read_resource("portico://s/file://1", caller), (MCPError, GatewayError))

        await each()
        with collected_frames() as left:
            for _ in range(_CALLS):
                await each()
    audit.close()
    assert left == {}


async def test_requests_that_the_engine_refuses_leave_no_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GAPS, str(tmp_path / "gaps"))
    engine = await EngineProcess.open(load_paced)

    async def generate() -> None:
        async for _ in engine.generate(Request("one", tuple([5] * 10_000), max_tokens=10)):  # longer than the context
            pass

    try:
        with collected_frames() as left:
            for _ in range(_CALLS):
                await failing(generate, EngineError)
                await failing(
                    lambda: engine.render_chat([{"role": 5}], None, {"tools": object}), (ChatTemplateError, EngineError)
                )
    finally:
        await engine.aclose()
    assert left == {}


async def test_answers_that_fail_over_http_leave_no_frames() -> None:
    with running(FakeEngine(script=lambda request: ["a", EngineError("it broke")])) as server:
        bodies = [{**BODIES[CHAT], "stream": stream} for stream in (False, True)]

        def each() -> None:
            for body in bodies:
                server.client.post(CHAT, json=body)

        each()
        with collected_frames() as left:
            for _ in range(_CALLS):
                each()
    assert left == {}
