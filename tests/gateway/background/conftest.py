"""A background server on a real socket, in a thread, whose answers are a test's."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from portico_gateway.background.key import BackgroundKey
from portico_gateway.background.server import Answer, BackgroundKind, BackgroundServer
from portico_gateway.background.socket_place import SocketPlace, only_one, socket_place

KEY = BackgroundKey(Path("/work"), "0123456789abcdef")


@pytest.fixture(autouse=True)
def _runtime_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="p") as folder:  # whose path is short enough for a socket
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield


class Serving:
    """Call it for the place of a server that answers so; it is there until the test ends."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._future: Future[None] | None = None

    def __call__(self, answer: Answer, kind: BackgroundKind | None = None) -> SocketPlace:
        place = socket_place(KEY)
        assert self._stack.enter_context(only_one(place))
        portal = self._stack.enter_context(start_blocking_portal())
        server = BackgroundServer(place, kind or BackgroundKind("background", "/work", 600.0), answer)
        self.end_when_told = partial(portal.call, server.end_when_told)
        self._future, _ = portal.start_task(server.run)
        self._stack.callback(self._future.cancel)
        return place

    def wait_ended(self) -> None:
        """Fails where it does not end by itself."""
        assert self._future is not None
        self._future.result(20)


@pytest.fixture
def serving() -> Iterator[Serving]:
    with ExitStack() as stack:
        yield Serving(stack)
