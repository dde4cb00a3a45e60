"""A word on a call or an answer is taken from whoever had it, and from an owner's key; on anything else it is a 404."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from portico_engine import AsyncEngine
from portico_gateway.caller import Caller
from portico_gateway.config.sections import AuditConfig, KeyConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.http.app import create_app
from portico_gateway.http.generation.answer_ids import AnswerIds
from portico_gateway.http.middleware.keys import key_hash
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.model.host import ModelHost
from portico_gateway.policy.audit import audit_log
from portico_gateway.policy.audit_database import open_read_only
from portico_gateway.policy.tool_calls import CALL, ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.common.transport import security

pytestmark = pytest.mark.anyio
KEYS = {name: KeyConfig(sha256=key_hash(f"k-{name}"), scopes=[scope]) for name, scope in (("ada", "chat"), ("bob", "chat"))}
KEYS["host"] = KeyConfig(sha256=key_hash("k-host"), scopes=["mcp"])
KEYS["meter"] = KeyConfig(sha256=key_hash("k-meter"), scopes=["metrics"])
KEYS["owner"] = KeyConfig(sha256=key_hash("k-owner"), scopes=["admin"])
MESSAGES = [{"role": "user", "content": "hi"}]


@asynccontextmanager
async def served(
    log: Path, *specs: UpstreamSpec, engine: Any = None, keys: dict[str, KeyConfig] | None = None
) -> AsyncIterator[tuple[httpx2.AsyncClient, ToolCalls]]:
    upstreams = Upstreams(specs)
    model = None if engine is None else ModelHost("fake", partial(AsyncEngine.open, lambda progress: engine), first_delay=0.0)
    with audit_log(AuditConfig(file=log)) as audit:
        calls = ToolCalls(upstreams, audit=audit, takes_approvals=True)
        rules = security("127.0.0.1", 8630)
        app = create_app(
            upstreams, GatewayServer(upstreams, tool_calls=calls), model, security=rules, tool_calls=calls, keys=keys
        )
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        client = httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8630")
        async with app.router.lifespan_context(app), client:
            yield client, calls


async def said(client: httpx2.AsyncClient, identity: str, key: str = "", path: str = "/v1/feedback") -> httpx2.Response:
    headers = {"Authorization": f"Bearer k-{key}"} if key else {}
    return await client.post(path, json={"id": identity, "rating": "good"}, headers=headers)


async def called(calls: ToolCalls, name: str) -> str:
    await calls.upstreams.ready()
    result = await calls.call_tool("asks__read", {}, Caller(name=name))
    assert result.meta is not None
    return str(result.meta[CALL])


async def test_a_call_is_rated_by_who_made_it_and_by_an_owner(tmp_path: Path, asking_http: Callable[[], UpstreamSpec]) -> None:
    log = tmp_path / "audit.db"
    async with served(log, asking_http(), keys=KEYS) as (client, calls):
        call = await called(calls, "ada")
        assert [(await said(client, call, key)).status_code for key in ("ada", "bob", "owner")] == [200, 404, 200]
        assert (await said(client, call, "ada", "/feedback")).status_code == 200
    async with served(log, keys=KEYS) as (client, _):  # it was in the queue; now it is in the file alone
        assert [(await said(client, call, key)).status_code for key in ("ada", "bob", "owner")] == [200, 404, 200]
    with open_read_only(log) as rows:
        noted = rows.execute("select caller, call from calls where kind = 'feedback'").fetchall()
    assert [tuple(row) for row in noted] == [(by, call) for by in ("ada", "owner", "ada", "ada", "owner")]


async def test_a_host_rates_its_calls_with_its_key_for_mcp(tmp_path: Path, asking_http: Callable[[], UpstreamSpec]) -> None:
    async with served(tmp_path / "audit.db", asking_http(), keys=KEYS) as (client, calls):
        call = await called(calls, "host")
        assert [(await said(client, call, key)).status_code for key in ("host", "ada", "meter")] == [200, 404, 403]


async def test_an_id_of_nothing_is_a_404_that_says_what_ids_there_are(tmp_path: Path) -> None:
    log = tmp_path / "audit.db"
    async with served(log) as (client, _):
        for identity in ("x", "chat-1", "chatcmpl-0", "resp_0", "0" * 200):
            refused = await said(client, identity)
            assert refused.status_code == 404
            error = refused.json()["error"]
            assert (error["param"], error["code"]) == ("id", "not_found")
            assert "portico/call" in error["message"]
    assert not log.exists()


async def test_what_was_rated_once_is_no_call_for_that(tmp_path: Path) -> None:
    """A log of before has feedback on ids that nobody had."""
    with audit_log(AuditConfig(file=tmp_path / "audit.db")) as audit:
        ToolCalls(Upstreams([]), audit=audit).note_feedback("x", "good", "local")
    async with served(tmp_path / "audit.db") as (client, _):
        assert (await said(client, "x")).status_code == 404


async def test_a_log_that_cant_be_read_is_a_503_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "audit.db").write_bytes(b"no database, whatever its name says" * 100)
    async with served(tmp_path / "audit.db") as (client, _):
        refused = await said(client, "0123")
    assert refused.status_code == 503
    assert "can't be read" in refused.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": MESSAGES}),
        ("/v1/completions", {"prompt": "hi"}),
        ("/v1/responses", {"input": "hi"}),
        ("/v1/messages", {"messages": MESSAGES, "max_tokens": 5}),
    ],
)
async def test_an_answer_is_rated_by_who_was_given_it(
    tmp_path: Path, fakes: Any, path: str, body: dict[str, Any], stream: bool
) -> None:
    async with served(tmp_path / "audit.db", engine=fakes.FakeEngine(), keys=KEYS) as (client, _):
        headers = {"Authorization": "Bearer k-ada"}
        answer = await client.post(path, json={**body, "model": "fake", "stream": stream}, headers=headers)
        identity = next(
            word for word in answer.text.replace('"', " ").split() if word.startswith(("chatcmpl-", "cmpl-", "resp_", "msg_"))
        )
        assert [(await said(client, identity, key)).status_code for key in ("ada", "bob", "owner")] == [200, 404, 200]


def test_the_last_answers_of_each_caller_are_known() -> None:
    ids = AnswerIds()
    ids.note("bob", "his")
    for number in range(1000):
        ids.note("ada", str(number))
    assert [ids.caller_of(each) for each in ("his", "999", "744", "743")] == ["bob", "ada", "ada", None]
    for number in range(999):
        ids.note(f"token-{number}", f"of {number}")
    assert [ids.caller_of(each) for each in ("his", "999")] == [None, "ada"]


async def test_a_look_for_a_call_in_a_log_of_before_is_none(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "audit.db") as old:
        old.execute("create table calls (id integer primary key, time text, caller text)")
    async with served(tmp_path / "audit.db") as (client, _):
        assert (await said(client, "x")).status_code == 404
