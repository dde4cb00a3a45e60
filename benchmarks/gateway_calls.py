"""What a tool call costs through the gateway, and what its policy and audit log add to that.

    python benchmarks/gateway_calls.py [--calls 1000]

Hosts of each era in this process, the gateway, and portico-db over stdio with a database of one table; the ways of a call take
turns, so that whatever else the machine does meets all of them. Times are wall clock.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any

import anyio
import mcp_types
from mcp.client.client import Client

from portico_gateway.config.sections import AuditConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.policy.audit import AuditLog, AuditRecord
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams
from report import table, write

WARM = 50
Call = Callable[[], Awaitable[Any]]


async def choose(context: object, params: mcp_types.ElicitRequestParams) -> mcp_types.ElicitResult:
    """Makes a host one that can be asked: its calls can be suspended. It is never asked here."""
    raise AssertionError("a read-only tool needs no consent")


async def measure(folder: Path, count: int) -> dict[str, list[float]]:
    """Seconds of each call, by way."""
    database = folder / "one.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("create table t (a integer)")
    spec = UpstreamSpec("db", command=sys.executable, args=("-m", "portico_servers.db", str(database)))
    log = AuditLog(AuditConfig(file=folder / "audit.db"))
    seconds: dict[str, list[float]] = {}
    async with Upstreams([spec], log_dir=folder) as upstreams, anyio.create_task_group() as tasks:
        await upstreams.ready(60.0)
        bare, logged = GatewayServer(upstreams), GatewayServer(upstreams, tool_calls=ToolCalls(upstreams, audit=log))
        for gateway in (bare, logged):
            tasks.start_soon(gateway.run)
        async with (
            Client(bare.server, cache=None) as plain,
            Client(logged.server, cache=None) as audited,
            Client(logged.server, cache=None, elicitation_callback=choose) as askable,
            Client(logged.server, mode="legacy", cache=None, elicitation_callback=choose) as legacy,
        ):
            ways: dict[str, Call] = {
                "the upstream alone": lambda: upstreams.call_tool("db__tables", {}),
                "gateway, 2026-07-28": lambda: plain.call_tool("db__tables", {}),
                "and audit log": lambda: audited.call_tool("db__tables", {}),
                "and a host that can be asked": lambda: askable.call_tool("db__tables", {}),
                "the same, 2025-11-25": lambda: legacy.call_tool("db__tables", {}),
            }
            for turn in range(count + WARM):
                for name, call in ways.items():
                    started = perf_counter()
                    await call()
                    if turn >= WARM:
                        seconds.setdefault(name, []).append(perf_counter() - started)
        tasks.cancel_scope.cancel()
    log.close()
    return seconds


def put_seconds(folder: Path, count: int) -> float:
    """Seconds that putting one record takes from the caller, mean over `count`."""
    log = AuditLog(AuditConfig(file=folder / "put.db"))
    result = mcp_types.CallToolResult(content=[mcp_types.TextContent(type="text", text="x" * 2000)])
    record = AuditRecord(0.0, "local", "host", "db", "db__tables", {}, "allow", None, 0.001, result, None)
    started = perf_counter()
    for _ in range(count):
        log.put(record)
    seconds = (perf_counter() - started) / count
    log.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        seconds = anyio.run(measure, Path(name), options.calls)
        put = put_seconds(Path(name), options.calls)
    figures = {}
    for way, all_ in seconds.items():
        p99 = statistics.quantiles(all_, n=100)[98]
        figures[way] = {"p50_ms": round(statistics.median(all_) * 1e3, 3), "p99_ms": round(p99 * 1e3, 3)}
    table(("a call of db__tables", "p50 ms", "p99 ms"), [(way, f["p50_ms"], f["p99_ms"]) for way, f in figures.items()])
    print(f"putting a record: {put * 1e6:.1f} µs")
    write("gateway_calls", {"calls": options.calls, "ways": figures, "put_us": round(put * 1e6, 2)})


if __name__ == "__main__":
    main()
