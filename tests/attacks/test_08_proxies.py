"""What is said to this machine goes through no proxy that the environment names: arguments, keys and tokens would leave it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import anyio.to_thread
import pytest
from tests.attacks.http_server import Running, running

from portico_gateway.cli.top_snapshot import ServeReader, ServeUnreachable
from portico_gateway.config.loopback import is_loopback, proxy_of
from portico_gateway.config.sections import OAuthConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.http.middleware.introspection import Introspection
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = [pytest.mark.anyio, pytest.mark.attack("8 secrets stay")]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What a proxy hears that the environment names for everything."""
    found: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def listen() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                with client:
                    found.append(client.recv(4096))

        threading.Thread(target=listen, daemon=True).start()
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{listening.getsockname()[1]}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield found
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def server() -> Iterator[Running]:
    with running() as found:
        yield found


async def to_a_server_of_mcp(base: str) -> None:
    async with Upstreams([UpstreamSpec("s", url=f"{base}/mcp", headers={"Authorization": "Bearer secret"})]) as upstreams:
        await upstreams.ready(20.0)


async def to_serve(base: str) -> None:
    reader = ServeReader(base, "secret-key")
    with suppress(ServeUnreachable):  # the fake has no metrics
        await anyio.to_thread.run_sync(reader.read)
    reader.close()


async def to_the_issuer(base: str) -> None:
    oauth = OAuthConfig(issuer="https://issuer.example", resource="https://x.example/mcp", introspection_url=f"{base}/healthz")
    await Introspection(oauth).described("secret-token")


@pytest.mark.parametrize("say", [to_a_server_of_mcp, to_serve, to_the_issuer])
async def test_no_proxy_hears_what_is_said_to_this_machine(
    say: Callable[[str], Awaitable[None]], server: Running, heard: list[bytes]
) -> None:
    await say(server.base)
    assert heard == []


def test_others_are_spoken_to_through_the_proxy_that_the_environment_names(heard: list[bytes]) -> None:
    assert heard == []
    assert (proxy_of("https://mcp.example/x") or "").startswith("http://127.0.0.1:")
    local = ["http://localhost:1/x", "http://127.0.0.1/", "http://127.9.9.9/", "http://[::1]:8/", "http://[::ffff:127.0.0.1]/"]
    assert [proxy_of(url) for url in local] == [None] * len(local)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("LOCALHOST", True), ("localhost.", True), ("localhost.evil.example", False), ("127.0.0.1.evil.example", False),
        ("0.0.0.0", False), ("10.0.0.1", False), ("", False), ("::ffff:8.8.8.8", False), ("127.1", False),
    ],
)  # fmt: skip
def test_only_this_machine_is_this_machine(host: str, local: bool) -> None:
    assert is_loopback(host) is local
