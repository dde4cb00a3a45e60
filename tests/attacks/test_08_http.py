"""Secrets stay: health tells a stranger its status, and no answer and no log line holds a key."""

from __future__ import annotations

import json
import logging

import pytest
from tests.attacks.http_server import BODIES, CHAT, COUNT, MESSAGES, RESPONSES, bearer, running
from tests.gateway.http.fake_engine import FakeEngine

from portico_gateway.http.middleware.auth import may_see_details

pytestmark = pytest.mark.attack("8 secrets stay")
KEYS = {"chat": ["chat"], "mcp": ["mcp"], "metrics": ["metrics"], "root": ["admin"]}


def test_health_tells_strangers_its_status_alone() -> None:
    with running(keys=KEYS) as server:
        for headers in ({}, bearer("wrong"), bearer("chat"), bearer("mcp"), {"Authorization": "Basic x"}):
            assert server.client.get("/healthz", headers=headers).json() == {"status": "ok"}, headers
        for name in ("metrics", "root"):
            assert server.client.get("/healthz", headers=bearer(name)).json()["model"]["id"] == "fake"


@pytest.mark.parametrize(
    ("client", "told"),
    [
        (("127.0.0.1", 1), True),
        (("127.8.8.8", 1), True),
        (("::1", 1), True),
        (("192.168.0.2", 1), False),
        (("0.0.0.0", 1), False),
        (("::ffff:10.0.0.1", 1), False),
        (("", 0), False),
        (None, False),
    ],
)
def test_without_keys_health_tells_this_machine_the_rest(client: tuple[str, int] | None, told: bool) -> None:
    assert may_see_details({"client": client}, keys_needed=False) is told


def test_no_answer_and_no_log_line_holds_a_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "portico-sk-0123456789abcdef"
    headers = {"Authorization": f"Bearer {secret}", "x-api-key": secret}
    engine = FakeEngine(script=lambda request: [RuntimeError("broken")])
    with running(engine, keys=KEYS) as refusing, running(engine) as open_to_all:
        for server in (refusing, open_to_all):
            for path in (CHAT, RESPONSES, MESSAGES, COUNT, "/nowhere", "/v1/models", "/metrics", "/healthz", "/v1/approvals"):
                for content in (b"{oops", json.dumps(BODIES.get(path, {})).encode()):
                    assert secret not in server.post(path, content, headers).text
                assert secret not in server.client.get(path, headers=headers).text
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("portico")]
    assert not [line for line in ours if secret in line]
