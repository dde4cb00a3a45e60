"""asyncio's own event loop serves, also where uvloop is installed, which can't start a process in a group of its own."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType

import pytest
from starlette.applications import Starlette

from portico_gateway.http.server.server import HttpServer


def test_uvloop_is_not_taken_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    class OtherLoop(asyncio.SelectorEventLoop):
        pass

    uvloop = ModuleType("uvloop")
    uvloop.new_event_loop = OtherLoop  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "uvloop", uvloop)
    factory = HttpServer(Starlette()).config.get_loop_factory()
    assert factory is not None
    loop = factory()
    try:
        assert not isinstance(loop, OtherLoop)
    finally:
        loop.close()
