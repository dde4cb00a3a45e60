"""Who waits for what before a question: the model, and the servers that are quick."""

from __future__ import annotations

import sys
from collections.abc import Callable

import anyio
import pytest

from portico_gateway.assembly import ask_session
from portico_gateway.assembly.ask_session import AskSession, _quick_servers
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.upstreams.supervision import UpstreamState
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = pytest.mark.anyio

HANGING = UpstreamSpec("hangs", command=sys.executable, args=("-c", "import time; time.sleep(600)"), start_timeout=300.0)


def session(upstreams: Upstreams) -> AskSession:
    return AskSession(None, None, upstreams, None, None, "")  # type: ignore[arg-type]


async def test_a_server_that_hangs_is_not_waited_for_once_the_model_and_another_are_there(
    sample: Callable[..., UpstreamSpec],
) -> None:
    loaded = anyio.Event()
    loaded.set()
    with anyio.fail_after(60):
        async with Upstreams([HANGING, sample("quick")]) as upstreams:
            hanging, quick = await _quick_servers(upstreams, loaded)
            assert (hanging.state, quick.state) == (UpstreamState.STARTING, UpstreamState.READY)
            assert session(upstreams).failures() == {"hangs": "it is still starting"}


async def test_where_no_server_is_there_the_first_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask_session, "READY_TIMEOUT", 0.1)
    monkeypatch.setattr(ask_session, "LATE_GRACE", 0.0)
    loaded = anyio.Event()
    loaded.set()
    with anyio.fail_after(60):
        async with Upstreams([HANGING]) as upstreams:
            (status,) = await _quick_servers(upstreams, loaded)
            assert status.state is UpstreamState.STARTING


async def test_servers_that_failed_are_named_with_their_reason() -> None:
    loaded = anyio.Event()
    with anyio.fail_after(60):
        async with Upstreams([UpstreamSpec("gone", command="/nowhere/at/all")]) as upstreams:
            await _quick_servers(upstreams, loaded)
            assert "there is no '/nowhere/at/all'" in session(upstreams).failures()["gone"]
