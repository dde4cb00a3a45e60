"""Keys with scopes, and tokens of an authorization server: what opens, what is refused, and in whose shape."""

from __future__ import annotations

import json
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import mcp_types
import pytest
from fastapi import FastAPI
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from portico_gateway.cli.main import run
from portico_gateway.config.sections import KeyConfig, OAuthConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.http.app import create_app
from portico_gateway.http.middleware.auth import scope_of
from portico_gateway.http.middleware.introspection import Introspection
from portico_gateway.http.middleware.keys import BearerTokenVerifier, key_hash, new_key
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.common.transport import security

pytestmark = pytest.mark.anyio
BASE = "http://127.0.0.1:8630"
KEYS = {
    "agent": KeyConfig(sha256=key_hash("k-agent"), scopes=["chat"]),
    "host": KeyConfig(sha256=key_hash("k-host"), scopes=["mcp"]),
    "owner": KeyConfig(sha256=key_hash("k-owner"), scopes=["admin"]),
}
OAUTH = OAuthConfig(issuer="https://as.example", resource=f"{BASE}/mcp", introspection_url="https://as.example/introspect")


@asynccontextmanager
async def served(
    *specs: UpstreamSpec, oauth: OAuthConfig | None = None, keys: dict[str, KeyConfig] | None = None
) -> AsyncIterator[tuple[FastAPI, httpx2.AsyncClient, ToolCalls]]:
    upstreams = Upstreams(specs)
    calls = ToolCalls(upstreams, takes_approvals=True)
    app = create_app(
        upstreams,
        GatewayServer(upstreams, tool_calls=calls),
        None,
        security=security("127.0.0.1", 8630),
        tool_calls=calls,
        keys=KEYS if keys is None else keys,
        oauth=oauth,
    )
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
        yield app, client, calls


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/healthz", None),
        ("/.well-known/oauth-protected-resource/mcp", None),
        ("/v1/models", "chat"),
        ("/v1/messages", "chat"),
        ("/openapi.json", "chat"),
        ("/mcp", "mcp"),
        ("/metrics", "metrics"),
        ("/v1/approvals", "admin"),
        ("/v1/approvals/x", "admin"),
        ("/mcpx", "chat"),
    ],
)
def test_what_opens_a_path(path: str, scope: str | None) -> None:
    assert scope_of(path) == scope


async def test_without_a_key_only_health_answers() -> None:
    async with served() as (_, client, _calls):
        assert (await client.get("/healthz")).status_code == 200
        for path in ("/v1/models", "/metrics", "/v1/approvals", "/openapi.json", "/mcp"):
            assert (await client.get(path)).status_code == 401, path
            assert (await client.get(path, headers=bearer("wrong"))).status_code == 401, path


async def test_a_scope_opens_its_paths_and_admin_opens_all() -> None:
    async with served() as (_, client, _calls):
        for key, opened in (("k-agent", {"/v1/models"}), ("k-owner", {"/v1/models", "/metrics", "/v1/approvals"})):
            for path in ("/v1/models", "/metrics", "/v1/approvals"):
                status = (await client.get(path, headers=bearer(key))).status_code
                assert status == (200 if path in opened else 403), (key, path)


async def test_refusals_have_the_shape_of_their_api() -> None:
    async with served() as (_, client, _calls):
        openai = await client.post("/v1/chat/completions", json={})
        assert openai.json()["error"]["code"] == "invalid_api_key"
        assert "portico key new" in openai.json()["error"]["message"]
        anthropic = await client.post("/v1/messages", json={})
        assert anthropic.json()["error"]["type"] == "authentication_error"
        forbidden = await client.post("/v1/messages", json={}, headers=bearer("k-host"))
        assert (forbidden.status_code, forbidden.json()["error"]["type"]) == (403, "permission_error")
        mcp = await client.post("/mcp", json={}, headers=bearer("k-agent"))
        assert (mcp.status_code, mcp.json()["error"]) == (403, "insufficient_scope")
        assert mcp.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="mcp"'


async def test_anthropics_clients_send_their_key_in_their_own_header() -> None:
    async with served() as (_, client, _calls):
        body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}
        answered = await client.post("/v1/messages", json=body, headers={"x-api-key": "k-agent"})
        assert answered.status_code not in (401, 403)
        assert (await client.get("/v1/models", headers={"x-api-key": "k-agent"})).status_code == 401


async def test_without_keys_everything_is_open_on_this_machine() -> None:
    async with served(keys={}) as (_, client, _calls):
        assert (await client.get("/v1/models")).status_code == 200


def transport_over(app: FastAPI, key: str) -> Any:
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=BASE, headers=bearer(key))
    return streamable_http_client(f"{BASE}/mcp", http_client=client)


async def test_the_callers_key_never_reaches_a_server_and_names_him_in_approvals(
    asking_http: Callable[[], UpstreamSpec],
) -> None:
    async with served(asking_http()) as (app, client, _calls):
        async with Client(transport_over(app, "k-host"), cache=None) as host:
            await host.list_tools()
            seen = (await host.call_tool("asks__headers")).structured_content
            assert seen is not None
            assert "mcp-protocol-version" in {name.lower() for name in seen}
            assert "authorization" not in {name.lower() for name in seen}
            assert "k-host" not in str(seen)
            assert (await host.call_tool("asks__write", {"text": "x"})).is_error
            (pending,) = (await client.get("/v1/approvals", headers=bearer("k-owner"))).json()["data"]
            assert (pending["caller"], pending["status"], pending["arguments"]) == ("host", "pending", {"text": "x"})
            where = f"/v1/approvals/{pending['id']}"
            assert (await client.post(where, json={"decision": "maybe"}, headers=bearer("k-owner"))).status_code == 400
            decided = await client.post(where, json={"decision": "approve"}, headers=bearer("k-owner"))
            assert decided.json()["decided_by"] == "http"
            written = await host.call_tool("asks__write", {"text": "x"})
            assert isinstance(written.content[0], mcp_types.TextContent)
            assert written.content[0].text == "wrote x"
        assert (await client.get(where, headers=bearer("k-owner"))).status_code == 404


async def test_the_arguments_of_a_waiting_call_can_be_edited_and_the_decision_remembered(
    asking_http: Callable[[], UpstreamSpec],
) -> None:
    owner = bearer("k-owner")
    async with served(asking_http()) as (app, client, _calls):
        async with Client(transport_over(app, "k-host"), cache=None) as host:
            assert (await host.call_tool("asks__write", {"text": "x"})).is_error
            (pending,) = (await client.get("/v1/approvals", headers=owner)).json()["data"]
            where = f"/v1/approvals/{pending['id']}"
            for body, field in (
                ({"decision": "approve", "arguments": {"text": 7}}, "arguments"),
                ({"decision": "deny", "arguments": {"text": "y"}}, ""),
                ({"decision": "approve", "remember": {"seconds": 0}}, "seconds"),
            ):
                refused = await client.post(where, json=body, headers=owner)
                assert refused.status_code == 400
                assert field in refused.text
            body = {"decision": "approve", "arguments": {"text": "y"}, "remember": {"seconds": 60}}
            decided = (await client.post(where, json=body, headers=owner)).json()
            assert (decided["status"], decided["arguments"], decided["edited_arguments"]) == (
                "approved",
                {"text": "x"},
                {"text": "y"},
            )
            written = await host.call_tool("asks__write", {"text": "x"})
            assert isinstance(written.content[0], mcp_types.TextContent)
            assert written.content[0].text == "wrote y"
            assert not (await host.call_tool("asks__write", {"text": "y"})).is_error, "what was approved is remembered"
            assert (await host.call_tool("asks__write", {"text": "x"})).is_error
        off = await client.post("/v1/feedback", json={"id": "x", "rating": "good"}, headers=bearer("k-agent"))
        assert off.status_code == 409
        assert "switched off" in off.text


async def test_oauth_metadata_is_served_and_the_challenge_names_it() -> None:
    async with served(oauth=OAUTH, keys={}) as (_, client, _calls):
        about = (await client.get("/.well-known/oauth-protected-resource/mcp")).json()
        assert about["resource"] == f"{BASE}/mcp"
        assert [str(server).rstrip("/") for server in about["authorization_servers"]] == ["https://as.example"]
        refused = await client.post("/mcp", json={})
        metadata = f'resource_metadata="{BASE}/.well-known/oauth-protected-resource/mcp"'
        assert metadata in refused.headers["www-authenticate"]


ACTIVE = {"active": True, "scope": "mcp chat", "aud": [f"{BASE}/mcp"], "client_id": "c", "sub": "ada"}


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (ACTIVE, 200),
        ({**ACTIVE, "active": False}, 401),
        ({**ACTIVE, "aud": "https://another.example/mcp"}, 401),
        ({**ACTIVE, "aud": None}, 401),
        ({**ACTIVE, "iss": "https://evil.example"}, 401),
        ({**ACTIVE, "exp": 1}, 401),
        ({**ACTIVE, "exp": "soon"}, 401),
        ({**ACTIVE, "exp": 4102444800}, 200),
        ({**ACTIVE, "nbf": 4102444800}, 401),
        ({**ACTIVE, "nbf": 1}, 200),
        ({**ACTIVE, "nbf": True}, 401),
        ({**ACTIVE, "scope": "mcp"}, 403),
        ("no object", 401),
    ],
)
async def test_an_access_token_counts_if_its_issuer_vouches_for_it_here_and_now(
    monkeypatch: pytest.MonkeyPatch, said: Any, status: int
) -> None:
    async def introspect(self: Introspection, token: str) -> Any:
        return said

    monkeypatch.setattr(Introspection, "_ask", introspect)
    async with served(oauth=OAUTH, keys={}) as (_, client, _calls):
        assert (await client.get("/v1/models", headers=bearer("a-token"))).status_code == status


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    """A body that comes as a stream."""
    for part in parts:
        yield part


async def test_introspection_asks_as_rfc_7662_says_and_a_dead_server_vouches_for_nobody() -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, content=pieces(json.dumps(ACTIVE).encode())) if len(asked) == 1 else httpx2.Response(500)

    oauth = OAUTH.model_copy(update={"client_id": "portico", "client_secret": "s"})
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client:
        tokens = BearerTokenVerifier({}, oauth, client=client)
        found = await tokens.verify_token("a-token")
        assert found is not None
        assert (found.client_id, found.subject, found.scopes) == ("oauth:c", "ada", ["mcp", "chat"])
        assert await tokens.verify_token("another-token") is None
    assert asked[0].content == b"token=a-token"
    assert asked[0].headers["authorization"].startswith("Basic ")


def test_a_new_key_goes_to_stdout_and_its_hash_to_the_lines_for_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["key", "new", "laptop", "--scope", "mcp"]) == 0
    out, err = capsys.readouterr()
    made = tomllib.loads(err.split("\n\n", 1)[1])["keys"]["laptop"]
    assert KeyConfig.model_validate(made) == KeyConfig(sha256=key_hash(out.strip()), scopes=["mcp"])
    assert run(["key", "new", "no spaces"]) == 2
    assert new_key() != new_key()
