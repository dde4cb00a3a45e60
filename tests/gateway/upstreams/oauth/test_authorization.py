"""A server that wants OAuth: a person logs in once, tokens are kept and renewed, and slow calls do not wait for each other."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
import pytest
from mcp.client.auth import AuthorizationCodeResult, OAuthFlowError
from mcp.shared.auth import OAuthToken

from portico_gateway.config.server_spec import OAuthClient, UpstreamSpec
from portico_gateway.errors import GatewayError
from portico_gateway.upstreams.oauth import login
from portico_gateway.upstreams.oauth.authorization import Authorization, AuthorizedTransport, token_store
from portico_gateway.upstreams.oauth.login import log_in
from portico_gateway.upstreams.oauth.token_store import TokenStore, token_file
from portico_gateway.upstreams.wire.http_answers import AnswerTransport

pytestmark = pytest.mark.anyio
URL = "https://mcp.example/mcp"
ISSUER = "https://login.example"
CALL = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {}}


@pytest.fixture(autouse=True)
def _state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@dataclass
class Place:
    """An MCP server and the authorization server that it names. `good` are the tokens that count."""

    good: set[str] = field(default_factory=set)
    given: int = 0
    asked: list[str] = field(default_factory=list)
    gate: anyio.Event | None = None
    arrived: int = 0
    calls: int = 0

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        where = str(request.url.copy_with(query=None))
        self.asked.append(request.url.path)
        if where == URL:
            return await self._call(request)
        if request.url.path == "/.well-known/oauth-protected-resource/mcp":
            return httpx2.Response(200, json={"resource": URL, "authorization_servers": [ISSUER]})
        if where == f"{ISSUER}/.well-known/oauth-authorization-server":
            ends = {"authorization_endpoint": f"{ISSUER}/authorize", "token_endpoint": f"{ISSUER}/token"}
            more = {"registration_endpoint": f"{ISSUER}/register", "response_types_supported": ["code"]}
            more |= {
                "code_challenge_methods_supported": ["S256"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
            }
            return httpx2.Response(200, json={"issuer": ISSUER, **ends, **more})
        if where == f"{ISSUER}/register":
            return httpx2.Response(201, json={**json.loads(request.content), "client_id": "registered"})
        if where == f"{ISSUER}/token":
            self.given += 1
            token = f"token{self.given}"
            self.good = {token}
            said = {"access_token": token, "token_type": "Bearer", "expires_in": 3600, "refresh_token": f"again{self.given}"}
            return httpx2.Response(200, json=said)
        return httpx2.Response(404)

    async def _call(self, request: httpx2.Request) -> httpx2.Response:
        self.arrived += 1
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.good:
            return httpx2.Response(401, headers={"WWW-Authenticate": "Bearer"})
        self.calls += 1
        if self.gate is not None:
            await self.gate.wait()
        return httpx2.Response(200, json={"jsonrpc": "2.0", "id": 7, "result": {}})


class Person:
    """Logs in at once, and counts how often."""

    def __init__(self) -> None:
        self.pages: list[str] = []

    async def show(self, page: str) -> None:
        self.pages.append(page)

    async def receive(self) -> AuthorizationCodeResult:
        state = parse_qs(urlsplit(self.pages[-1]).query)["state"][0]
        return AuthorizationCodeResult(code="code", state=state)


def client(place: Place, person: Person | None = None, who: OAuthClient = OAuthClient()) -> httpx2.AsyncClient:  # noqa: B008
    asked = {} if person is None else {"show": person.show, "receive": person.receive}
    return httpx2.AsyncClient(transport=AuthorizedTransport(httpx2.MockTransport(place), Authorization(URL, who, **asked)))


async def test_a_person_logs_in_once_and_the_next_process_has_the_token() -> None:
    place, person = Place(), Person()
    async with client(place, person) as first:
        assert (await first.post(URL, json=CALL)).status_code == 200
    async with client(place) as second:
        assert (await second.post(URL, json=CALL)).status_code == 200
    assert len(person.pages) == 1
    assert token_file(URL).stat().st_mode & 0o077 == 0


async def test_without_a_person_the_call_ends_with_what_to_do() -> None:
    place = Place()
    async with client(place) as alone:
        with pytest.raises(OAuthFlowError):
            await alone.post(URL, json=CALL)
    wire = AnswerTransport(AuthorizedTransport(httpx2.MockTransport(place), Authorization(URL, OAuthClient())))
    async with httpx2.AsyncClient(transport=wire) as told:
        answer = (await told.post(URL, json=CALL)).json()
    assert answer["id"] == 7
    assert "portico login" in answer["error"]["message"]


async def test_slow_calls_of_one_server_go_beside_each_other() -> None:
    place, person = Place(), Person()
    async with client(place, person) as calling:
        await calling.post(URL, json=CALL)
        place.gate, place.calls = anyio.Event(), 0
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(lambda: calling.post(URL, json=CALL))
                while place.calls < 3:  # noqa: ASYNC110 - they arrive in tasks of the client's
                    await anyio.sleep(0.001)
                place.gate.set()


async def test_an_expired_token_is_renewed_without_a_person() -> None:
    place, person = Place(), Person()
    async with client(place, person) as first:
        await first.post(URL, json=CALL)
    kept = json.loads(token_file(URL).read_text())
    token_file(URL).write_text(json.dumps({**kept, "expires": time.time() - 1}))
    async with client(place) as second:
        assert (await second.post(URL, json=CALL)).status_code == 200
    assert (place.given, len(person.pages)) == (2, 1)


async def test_a_token_that_another_process_has_renewed_is_taken() -> None:
    place, person = Place(), Person()
    async with client(place, person) as first:
        await first.post(URL, json=CALL)
        await token_store(URL, OAuthClient()).set_tokens(OAuthToken(access_token="newer", token_type="Bearer", expires_in=60))
        place.good = {"newer"}
        assert (await first.post(URL, json=CALL)).status_code == 200
    assert len(person.pages) == 1


async def test_a_refusal_that_is_not_about_the_token_is_no_reason_to_log_in() -> None:
    async def refuse(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(403, headers={"WWW-Authenticate": 'Bearer error="access_denied"'})

    store = token_store(URL, OAuthClient())
    await store.set_tokens(OAuthToken(access_token="t", token_type="Bearer", expires_in=60))
    wire = AuthorizedTransport(httpx2.MockTransport(refuse), Authorization(URL, OAuthClient()))
    async with httpx2.AsyncClient(transport=wire) as calling:
        assert (await calling.post(URL, json=CALL)).status_code == 403


async def test_a_client_that_its_owner_registered_is_used_and_never_kept() -> None:
    place, person = Place(), Person()
    async with client(place, person, OAuthClient(client_id="mine", client_secret="hush")) as calling:
        await calling.post(URL, json=CALL)
    assert "/register" not in place.asked
    assert "client_id=mine" in person.pages[0]
    assert "hush" not in token_file(URL).read_text()
    assert "hush" not in repr(OAuthClient(client_secret="hush"))


async def test_an_answer_of_the_flow_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(401) if str(request.url) == URL else httpx2.Response(200, content=b"x" * (2 << 20))

    person = Person()
    wire = AuthorizedTransport(
        httpx2.MockTransport(endless), Authorization(URL, OAuthClient(), show=person.show, receive=person.receive)
    )
    async with httpx2.AsyncClient(transport=wire) as calling:
        with pytest.raises(OAuthFlowError, match="more than 1 MiB"):
            await calling.post(URL, json=CALL)


async def test_a_file_that_is_broken_counts_as_none(tmp_path: Path) -> None:
    for content in ("", "[]", "{", '{"tokens": 7, "expires": "soon", "client": {}}'):
        (tmp_path / "t.json").write_text(content)
        store = TokenStore(tmp_path / "t.json")
        assert (await store.get_tokens(), await store.get_client_info(), store.expires()) == (None, None, None)
    assert store.forget()
    assert not store.forget()


@pytest.fixture
def listening_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


async def test_the_browser_comes_back_to_this_machine(listening_port: int) -> None:
    async with login._listening(OAuthClient(redirect_port=listening_port)) as receive, httpx2.AsyncClient() as browser:
        base = f"http://127.0.0.1:{listening_port}"
        assert (await browser.get(f"{base}/favicon.ico")).status_code == 404
        page = await browser.get(f"{base}/callback", params={"code": "c", "state": "s", "iss": ISSUER})
        assert "can be closed" in page.text
        with anyio.fail_after(20):
            found = await receive()
    assert (found.code, found.state, found.iss) == ("c", "s", ISSUER)


async def test_a_person_who_refuses_ends_the_log_in(listening_port: int) -> None:
    async with login._listening(OAuthClient(redirect_port=listening_port)) as receive, httpx2.AsyncClient() as browser:
        await browser.get(f"http://127.0.0.1:{listening_port}/callback", params={"error": "access_denied"})
        with pytest.raises(OAuthFlowError, match="access_denied"):
            await receive()


async def test_a_server_that_is_not_there_is_told_in_a_line(listening_port: int) -> None:
    spec = UpstreamSpec("far", transport="http", url="http://127.0.0.1:9/mcp", oauth=OAuthClient(redirect_port=listening_port))

    async def show(page: str) -> None:
        raise AssertionError("there is no page")

    with pytest.raises(GatewayError, match="far: the log-in failed"):
        await log_in(spec, show)
