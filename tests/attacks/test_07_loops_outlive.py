"""Threads and tasks that serve many go on behind what one brings, panics of native code among it, or say that they ended."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.engine.beside_others import Panic, Unsayable

from portico_gateway.config.sections import AuditConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.http.generation.choices import StartedAnswer, choice_pieces
from portico_gateway.policy.audit import AuditLog, AuditRecord
from portico_gateway.upstreams.supervision import Supervisor, UpstreamState
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.code.index.root_index import RootIndex
from portico_servers.code.workspace import Workspace
from portico_servers.docs.config import DocsConfig
from portico_servers.docs.index.indexer import Indexer
from portico_servers.docs.service import Service

pytestmark = pytest.mark.attack("7 the engine outlives a request")
PATIENCE = 20.0
ROUND: dict[str, Any] = {}
ROUND["itself"] = ROUND
ODD: list[dict[str, Any]] = [
    {"failure": Unsayable()},
    {"failure": Panic("index")},
    {"arguments": ROUND},
    {"arguments": {"a": object()}},
    {"arguments": {"\ud800": "\udfff"}},
    {"caller": "\ud800"},
    {"tool": "\udfff"},
    {"seconds": float("nan")},
    {"started": 1e300},
    {"note": 5},
]


def record(**odd: Any) -> AuditRecord:
    plain: dict[str, Any] = dict.fromkeys(("caller", "client", "server", "tool", "decision"), "x")
    return AuditRecord(
        **{
            **plain,
            "started": time.time(),
            "arguments": {},
            "approval": None,
            "seconds": 0.0,
            "result": None,
            "failure": None,
            **odd,
        }
    )


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_a_call_that_cant_be_logged_costs_the_log_that_call(odd: dict[str, Any], tmp_path: Path) -> None:
    """Those that were written with it are there, and later ones."""
    path = tmp_path / "audit.db"
    log = AuditLog(AuditConfig(file=path))
    for each in (record(tool="before"), record(**odd), record(tool="beside")):
        log.put(each)
    time.sleep(0.3)
    log.put(record(tool="behind"))
    log.close()
    with closing(sqlite3.connect(path)) as connection:
        found = {tool for (tool,) in connection.execute("select tool from calls")}
    assert {"before", "beside", "behind"} <= found


def test_a_panic_in_one_of_several_answers_is_raised_to_who_reads() -> None:
    async def failing() -> AsyncGenerator[Any, None]:
        yield "a piece"
        raise Panic("index")

    async def main() -> None:
        started: Any = [StartedAnswer(None, failing()), StartedAnswer(None, failing())]  # type: ignore[arg-type]
        with pytest.raises(Panic):
            async for _ in choice_pieces(started):
                pass

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


SERVER = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    said = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
    result = said if asked["method"] == "initialize" else {"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"""


def test_a_panic_over_one_server_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_LOG_DIR", str(tmp_path / "logs"))
    connect = Supervisor._connect

    async def connecting(supervisor: Supervisor) -> None:
        if supervisor.spec.name == "bad":
            raise Panic("index")
        await connect(supervisor)

    monkeypatch.setattr(Supervisor, "_connect", connecting)
    specs = [UpstreamSpec(name, command=sys.executable, args=("-c", SERVER), era="legacy") for name in ("bad", "good")]

    async def main() -> None:
        async with Upstreams(specs) as upstreams:
            with anyio.fail_after(PATIENCE):
                await upstreams.ready(PATIENCE)
            bad, good = sorted(upstreams.status(), key=lambda status: status.name)
            assert good.state is UpstreamState.READY
            assert bad.state is not UpstreamState.READY
            assert "index" in str(bad.error)

    anyio.run(main)


def test_an_indexer_that_panics_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.md").write_text("# A\n")
    (tmp_path / "root" / "a.py").write_text("a = 1\n")

    def failing(*_: object) -> None:
        raise Panic("index")

    monkeypatch.setattr(Indexer, "update", failing)
    monkeypatch.setattr(RootIndex, "_scan", failing)
    with closing(Service(DocsConfig((tmp_path / "root",), tmp_path / "docs", watch=False))) as service:
        service.indexer.start(service.library.library_versions)
        for _ in range(200):
            if service.indexer.progress.phase == "failed":
                break
            time.sleep(0.05)
        assert "index" in (service.indexer.progress.problem or "")
    workspace = Workspace([tmp_path / "root"], tmp_path / "code")
    workspace.start()
    (index,) = workspace.indexes.values()
    assert index.ready.wait(PATIENCE)
    assert "Panic: index" in (index.failure or "")
    workspace.close()
