"""What a kept HTTP connection costs a request: GET /v1/models of `portico serve`, and a tool call of portico-db over HTTP
against the same call over stdio.

    python benchmarks/http_latency.py [--calls 500] [--no-model] [--check]

One run, one connection each, the ways in turns, so that whatever else the machine does meets all of them. Times are wall clock,
from the request to the whole answer. With Nagle's algorithm on, an answer waits for the client's delayed acknowledgement, 40 ms
on Linux: `--check` ends with exit code 1 past the bounds below.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

from local_server import serving
from mcp_calls import Call, free_port, http_call, once_ready, stdio_call
from report import percentile, table, write

WARM = 20
MODELS_BOUND = 3.0  # ms, p50
CALL_BOUND = 1.3  # ms over stdio's p50


@contextmanager
def connected(command: list[str], folder: Path) -> Iterator[HTTPConnection]:
    """A connection to the server that the command starts."""
    with serving(command, folder) as port, closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        yield connection


def models(connection: HTTPConnection) -> Call:
    def call() -> None:
        connection.request("GET", "/v1/models")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status

    return once_ready(call)  # it answers while it still loads its model


def measure(folder: Path, count: int, *, model: bool) -> dict[str, list[float]]:
    """Milliseconds of each request, by way."""
    database = folder / "one.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("create table t (a integer)")
    db = [sys.executable, "-P", "-m", "portico_servers.db", str(database)]
    gateway = [sys.executable, "-P", "-m", "portico_gateway", "serve", "--port", "0", "--root", str(folder)]
    spent: dict[str, list[float]] = {}
    with ExitStack() as stack:
        portico = stack.enter_context(connected(gateway + ([] if model else ["--no-model"]), folder))
        served = stack.enter_context(connected([*db, "--http", str(free_port())], folder))
        ways = {
            "GET /v1/models": models(portico),
            "MCP call, HTTP": http_call(served),
            "MCP call, stdio": stack.enter_context(stdio_call(db, folder)),
        }
        for connection in (portico, served):
            connection.close()  # it may have been idle for too long; the first request opens it again
        for turn in range(count + WARM):
            for name, call in ways.items():
                began = time.perf_counter()
                call()
                if turn >= WARM:
                    spent.setdefault(name, []).append(1_000 * (time.perf_counter() - began))
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=500, help="of each way (default: 500)")
    parser.add_argument("--no-model", action="store_true", help="portico serve without its model")
    parser.add_argument("--check", action="store_true", help="exit code 1 past the bounds; nothing is written")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="latency-") as folder:
        spent = measure(Path(folder), arguments.calls, model=not arguments.no_model)
    figures = {
        name: {"p50_ms": round(statistics.median(times), 3), "p95_ms": round(percentile(times, 0.95), 3), "calls": len(times)}
        for name, times in spent.items()
    }
    table(["request on a kept connection", "p50 ms", "p95 ms"], [(n, f["p50_ms"], f["p95_ms"]) for n, f in figures.items()])
    over = figures["MCP call, HTTP"]["p50_ms"] - figures["MCP call, stdio"]["p50_ms"]
    print(f"HTTP over stdio: {over:+.2f} ms (bound {CALL_BOUND}); /v1/models: bound {MODELS_BOUND} ms")
    if not arguments.check:
        write("http-latency", {"command": "python benchmarks/http_latency.py", "ways": figures})
    elif over > CALL_BOUND or figures["GET /v1/models"]["p50_ms"] > MODELS_BOUND:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
