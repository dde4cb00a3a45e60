"""Every path that the application has, as its own table of routes says, with no key, a key for something else, and two keys
for the same: who may not see it doesn't, by whatever spelling and method.

A route that is added is asked for here without anybody's thinking of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from tests.attacks.http_server import BODIES, CHAT, COUNT, MESSAGES, RESPONSES, Running, bearer, running

pytestmark = pytest.mark.attack("23 every route asks who it is")

KEYS = {"ada": ["chat", "mcp"], "eve": ["chat", "mcp"], "watch": ["metrics"], "root": ["admin"]}
OPEN = {"/", "/healthz", "/readyz"}
SCOPES = {"/mcp": "ada", "/metrics": "watch", "/v1/approvals": "root", "/v1/approvals/{identity}": "root"}
WRONG = {"ada": "watch", "watch": "ada", "root": "ada"}  # a key that is good for something else
INITIALIZE = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip
MCP = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(keys=KEYS) as found:
        yield found


def routes(server: Running) -> list[tuple[str, str]]:
    """(method, path), of mounted and included ones too. A route without methods takes all."""
    found = []
    todo: list[Any] = list(server.app.router.routes)
    while todo:
        route = todo.pop()
        inner = getattr(route, "original_router", None)
        if getattr(route, "path", None) is None:  # a router that was included
            todo += getattr(inner, "routes", [])
            continue
        methods = getattr(route, "methods", None) or {"GET", "POST", "DELETE"}
        found += [(method, str(route.path)) for method in methods]
    assert {"/mcp", "/metrics", CHAT, RESPONSES, MESSAGES, COUNT, "/v1/models"} <= {path for _, path in found}
    return sorted(found)


def ask(server: Running, method: str, path: str, headers: dict[str, str]) -> httpx2.Response:
    return server.client.request(method, path.replace("{name:path}", "x").replace("{name}", "x"), headers=headers)


def test_without_a_key_no_route_is_opened_by_any_method(server: Running) -> None:
    for _, path in routes(server):
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"):
            for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer k-nobody"}, {"x-api-key": "k-root2"}):
                status = ask(server, method, path, headers).status_code
                assert status == 401 or (path in OPEN and status in (200, 405)), (method, path, status)


def test_a_key_for_something_else_opens_no_route(server: Running) -> None:
    for method, path in routes(server):
        if path not in OPEN:
            wrong = WRONG[SCOPES.get(path, "ada")]
            assert ask(server, method, path, bearer(wrong)).status_code == 403, (method, path)


SPELLINGS = [
    "/v1/approvals/", "//v1/approvals", "/v1//approvals", "/V1/approvals", "/v1/Approvals", "/v1/./approvals",
    "/v1/models/../approvals", "/v1/models/%2e%2e/approvals", "/v1/%61pprovals", "/v1%2Fapprovals", "/v1/approvals%2f",
    "/v1/approvals;x", "/v1/approvals?x", "/v1/approvals%00", "/healthz/../v1/approvals", "/.well-known/../v1/approvals",
    "/mcp/../metrics", "/metrics/", "/metrics%20", "/healthz/../metrics", "/METRICS", "/%6detrics", "/mcp/", "/mcp%2f",
]  # fmt: skip


@pytest.mark.parametrize("path", SPELLINGS)
def test_no_spelling_of_a_path_opens_it(server: Running, path: str) -> None:
    """Sent as it stands: a client would normalize it."""
    for name in (None, "eve"):
        wanted = "/mcp" in path and name == "eve" and "metrics" not in path
        said = raw(server, path, name)
        assert wanted or said.startswith((b"HTTP/1.1 40", b"HTTP/1.1 307")), said[:200]
        assert b"portico_" not in said
        assert b'"object": "list"' not in said
        assert b'"data"' not in said


def raw(server: Running, path: str, name: str | None) -> bytes:
    key = "" if name is None else f"Authorization: Bearer k-{name}\r\n"
    with server.connect() as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{key}Connection: close\r\n\r\n".encode())
        found = b""
        while piece := sock.recv(65536):
            found += piece
            if len(found) > 100_000 or b"event-stream" in found:
                break
    return found


def test_a_session_of_one_key_is_no_other_keys(server: Running) -> None:
    started = server.client.post("/mcp", json=INITIALIZE, headers={**MCP, **bearer("ada")})
    assert started.status_code == 200
    session = {"mcp-session-id": started.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    for stranger in ("eve", "root"):
        headers = {**MCP, **session, **bearer(stranger)}
        assert server.client.post("/mcp", json=listing, headers=headers).status_code in (403, 404)
        assert server.client.delete("/mcp", headers=headers).status_code in (403, 404)
        with server.client.stream("GET", "/mcp", headers=headers) as streamed:
            assert streamed.status_code in (403, 404)
    assert server.client.post("/mcp", json=listing, headers={**MCP, **session, **bearer("ada")}).status_code == 200


def test_nothing_of_one_keys_is_in_anothers_answers(server: Running) -> None:
    """All that ada made is looked for in all that eve, the watcher and a stranger can ask for."""
    mark = "adas-own-words-7f3a"
    made = []
    for path, body in BODIES.items():
        marked = json.loads(json.dumps(body).replace('"Hi"', json.dumps(mark)))
        answer = server.client.post(path, json=marked, headers=bearer("ada"))
        assert answer.status_code == 200, answer.text
        made.append(answer.json().get("id"))
    secrets = [mark, *(str(each) for each in made if each)]
    told: list[tuple[str, str, str]] = []
    for name in ("eve", "watch", None):
        headers = {} if name is None else bearer(name)
        for method, path in routes(server):
            if method in ("GET", "HEAD") and path != "/mcp":
                told.append((name or "nobody", path, ask(server, method, path, headers).text))
    for name, path, text in told:
        for secret in secrets:
            assert secret not in text, (name, path)


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "prompt_cache_key", "user", "safety_identifier"])
def test_naming_anothers_in_a_body_brings_nothing_of_it(server: Running, field: str) -> None:
    mine: dict[str, Any] = server.client.post(
        RESPONSES, json={**BODIES[RESPONSES], "input": "adas-secret-input"}, headers=bearer("ada")
    ).json()
    answer = server.client.post(RESPONSES, json={**BODIES[RESPONSES], field: mine["id"]}, headers=bearer("eve"))
    assert "adas-secret-input" not in answer.text
    prompts = [str(call) for call in server.engine.requests[-1:]] if hasattr(server.engine, "requests") else []
    assert not any("adas-secret-input" in prompt for prompt in prompts)
