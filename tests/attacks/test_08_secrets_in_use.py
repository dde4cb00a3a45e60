"""What a server was given to prove itself, and what a call carries, is in no audit row, metric or log of a gateway."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import mcp_types
import pytest

from portico_gateway.caller import Caller
from portico_gateway.config.sections import AuditConfig, PolicyConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import UnknownName, UpstreamError
from portico_gateway.http.middleware.metrics import Metrics
from portico_gateway.policy.audit import AuditLog
from portico_gateway.policy.audit_database import open_read_only
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.safe_output import redaction
from portico_gateway.safe_output.redaction import know_secrets, redacted, redacted_value
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = [pytest.mark.anyio, pytest.mark.attack("8 secrets stay")]
PATIENCE = 30.0
SECRET = "hunter2hunter2"
ALICE = Caller("alice", "tests")

# Lists one resource whose URI is a URL with a password and a token, and one tool; fails with what it was given.
SERVER = f"""
import json, os, sys
URI = "https://joe:{SECRET}@example.org/doc?token={SECRET}&page=2"
for line in sys.stdin:
    asked = json.loads(line)
    method, i = asked.get("method"), asked.get("id")
    if i is None:
        continue
    if method == "initialize":
        answer = {{"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {{"tools": {{}}, "resources": {{}}}},
                  "serverInfo": {{"name": "s", "version": "1"}}}}
    elif method == "tools/list":
        hints = {{"readOnlyHint": True}}
        answer = {{"tools": [{{"name": "fetch", "inputSchema": {{"type": "object"}}, "annotations": hints}}]}}
    elif method == "resources/list":
        answer = {{"resources": [{{"uri": URI, "name": "doc"}}]}}
    elif method == "resources/read":
        answer = {{"contents": [{{"uri": asked["params"]["uri"], "text": "fine"}}]}}
    elif method == "tools/call" and asked["params"]["arguments"].get("fail"):
        print(json.dumps({{"jsonrpc": "2.0", "id": i, "error": {{"code": -32000, "message": "refused " + os.environ["DSN"]}}}}))
        sys.stdout.flush()
        continue
    elif method == "tools/call":
        answer = {{"content": [{{"type": "text", "text": "fine"}}]}}
    else:
        answer = {{}}
    print(json.dumps({{"jsonrpc": "2.0", "id": i, "result": answer}}))
    sys.stdout.flush()
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_LOG_DIR", str(tmp_path / "logs"))
    monkeypatch.setattr(redaction, "_values", {})


@asynccontextmanager
async def audited(tmp_path: Path) -> AsyncIterator[tuple[ToolCalls, AuditLog]]:
    """Calls of the server, their arguments in the log as well."""
    env = {"DSN": f"postgresql://joe:{SECRET}@db/x"}
    spec = UpstreamSpec("s", command=sys.executable, args=("-c", SERVER), env=env, era="legacy")
    log = AuditLog(AuditConfig(file=tmp_path / "audit.db", arguments=True))
    async with Upstreams([spec]) as upstreams:
        await upstreams.ready(PATIENCE)
        yield ToolCalls(upstreams, policy=Policy(PolicyConfig()), audit=log), log


def rows(tmp_path: Path) -> list[dict[str, Any]]:
    with open_read_only(tmp_path / "audit.db") as connection:
        return [dict(row) for row in connection.execute("select * from calls order by id")]


async def test_audit_rows_metrics_and_logs_hold_none_of_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "portico_gateway")
    given = {
        "url": f"https://joe:{SECRET}@example.org/x?api_key={SECRET}",
        "headers": {"Authorization": f"Bearer {SECRET}"},
        "password": SECRET,
        "nested": [{"note": f"token={SECRET}"}],
        "city": "Basel",
        "max_tokens": 5,
    }
    async with audited(tmp_path) as (calls, log):
        await calls.call_tool("s__fetch", given, ALICE)
        with pytest.raises((UpstreamError, Exception)):
            await calls.call_tool("s__fetch", {"fail": True}, ALICE)
        (resource,) = calls.upstreams.catalog.resources
        assert SECRET in resource.uri, "a host needs it to read the resource"
        result = await calls.read_resource(resource.uri, ALICE)
        assert isinstance(result, mcp_types.ReadResourceResult)
        with pytest.raises(UnknownName) as unknown:
            await calls.read_resource(f"portico://gone/https://joe:{SECRET}@h/?token={SECRET}", ALICE)
        metrics = await Metrics(calls.upstreams).text()
        log.close()
    found = rows(tmp_path)
    assert [row["kind"] for row in found] == ["tool", "tool", "resource"]
    assert SECRET not in json.dumps(found)
    assert SECRET.encode() not in metrics
    assert SECRET not in caplog.text + str(unknown.value)
    kept = json.loads(found[0]["arguments"])
    assert (kept["city"], kept["max_tokens"]) == ("Basel", 5), "what is no secret is kept"
    assert kept["url"].startswith("https://[redacted]@example.org/x")
    assert "example.org/doc" in found[2]["tool"]
    assert "page=2" in found[2]["tool"]


async def test_what_the_log_keeps_on_disk_holds_none_of_it(tmp_path: Path) -> None:
    """Not the rows alone: SQLite's journal too."""
    async with audited(tmp_path) as (calls, log):
        await calls.call_tool("s__fetch", {"url": f"https://{SECRET}@example.org/"}, ALICE)
        log.close()
    with closing((tmp_path / "audit.db").open("rb")) as file:
        assert SECRET.encode() not in file.read()
    assert not [file for file in tmp_path.glob("audit.db*") if SECRET.encode() in file.read_bytes()]


@pytest.mark.parametrize(
    "given",
    [
        {"url": f"https://{SECRET}@host/mcp"}, {"url": f"https://host/mcp?api_key={SECRET}&x=1"},
        {"url": "https://joe:hunter2%40hunter2@host/"}, {"args": ["--header", f"Authorization: Bearer {SECRET}"]},
        {"args": [f"--header=X-Api-Key: {SECRET}"]}, {"args": [f"postgresql://joe:{SECRET}@db/x"]},
        {"env": {"DATABASE_URL": f"mysql://joe:{SECRET}@db/x"}}, {"env": {"ENDPOINT": f"https://h/?access_token={SECRET}"}},
    ],
)  # fmt: skip
def test_what_stands_in_urls_and_headers_is_known_by_itself(given: dict[str, Any]) -> None:
    """A server repeats it without the URL around it: `invalid token hunter2...`."""
    know_secrets(**given)
    bare = "hunter2@hunter2" if "%40" in str(given) else SECRET
    assert redacted(f"the server said: no access for {bare}") == "the server said: no access for [redacted]"


def test_a_value_keeps_its_shape() -> None:
    value = {"a": [1, None, True, 2.5, {"token_count": 7, "key": "k1", "token": SECRET}], "b": "x" * 10}
    assert redacted_value(value) == {
        "a": [1, None, True, 2.5, {"token_count": 7, "key": "k1", "token": "[redacted]"}],
        "b": "x" * 10,
    }
