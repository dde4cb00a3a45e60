"""The application behind its real server, on loopback and in a thread, for attacks that need sockets; and its APIs' bodies."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
from fastapi import FastAPI
from starlette.types import ASGIApp
from tests.gateway.http.fake_engine import FakeEngine

from portico_engine import AsyncEngine
from portico_gateway.config.sections import KeyConfig, OAuthConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.http.app import create_app
from portico_gateway.http.limits import CallerLimits
from portico_gateway.http.middleware.keys import key_hash
from portico_gateway.http.server.server import HttpServer
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.model.host import ModelHost
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.common.transport import bind, security

PATIENCE = 20.0
USER = [{"role": "user", "content": "Hi"}]
CHAT, RESPONSES, MESSAGES, COUNT = "/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens"
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"model": "fake", "messages": USER},
    RESPONSES: {"model": "fake", "input": "Hi"},
    MESSAGES: {"model": "fake", "messages": USER, "max_tokens": 50},
    COUNT: {"model": "fake", "messages": USER},
}


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs, and a client for it."""

    port: int
    client: httpx2.Client
    engine: FakeEngine
    app: FastAPI

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, path: str, content: bytes, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        return self.client.post(path, content=content, headers={"Content-Type": "application/json", **(headers or {})})

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)


@contextmanager
def running(
    engine: FakeEngine | None = None,
    *,
    keys: Mapping[str, list[str]] | None = None,
    oauth: OAuthConfig | None = None,
    limits: CallerLimits | None = None,
    live_keys: dict[str, KeyConfig] | None = None,
    specs: Sequence[UpstreamSpec] = (),
    around: Callable[[ASGIApp], ASGIApp] = lambda app: app,
) -> Iterator[Running]:
    """Serve until the block ends. `keys` are names with scopes; the key of NAME is `k-NAME`. `live_keys` may change. `around`
    puts something between the sockets and the application."""
    made = {name: KeyConfig(sha256=key_hash(f"k-{name}"), scopes=scopes) for name, scopes in (keys or {}).items()}
    sock = bind("127.0.0.1", 0)
    port = sock.getsockname()[1]
    fake = engine or FakeEngine()
    ready = threading.Event()
    servers: list[HttpServer] = []
    apps: list[FastAPI] = []

    def serve() -> None:
        upstreams = Upstreams(specs)
        calls = ToolCalls(upstreams, takes_approvals=True)
        start = partial(AsyncEngine.open, lambda progress: fake)
        model = ModelHost("fake", start, on_end=lambda status: ready.set())  # type: ignore[arg-type]
        app = create_app(
            upstreams,
            GatewayServer(upstreams, tool_calls=calls),
            model,
            security=security("127.0.0.1", port),
            tool_calls=calls,
            keys=made if live_keys is None else live_keys,
            oauth=oauth,
            limits=limits,
        )
        apps.append(app)
        servers.append(HttpServer(around(app)))
        asyncio.run(servers[0].serve(sockets=[sock]))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            yield Running(port, client, fake, apps[0])
    finally:
        servers[0].should_exit = True
        thread.join(PATIENCE)
        sock.close()


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer k-{name}"}
