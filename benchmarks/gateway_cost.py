"""What the gateway adds to a tool call, over stdio and over HTTP, and how many calls it carries beside fastmcp's proxy.

    python benchmarks/gateway_cost.py [--calls 1000] [--seconds 6] [--fastmcp PYTHON] [--no-write]

The same server (portico-db, one small table) is called alone and through the gateway, with policy and audit log as they are by
default: over stdio, and over HTTP on a kept connection. The four ways take turns, so that whatever else the machine does meets
all of them; times are wall clock, from the request to the whole answer, and what is added is the median of the differences
within a turn. Then 32 clients, each on its own kept connection and session, call as fast as they are answered, for a while at
the gateway and for a while at fastmcp's proxy in turns, the one and the other first, both in front of that server over stdio;
the ratio is the median of the rounds'. What its own process took of a CPU tells more where the machine is busy. `--fastmcp` is
a Python that has fastmcp; without one, the gateway alone is measured.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil

from local_server import serving
from mcp_calls import free_port, http_call, once_ready, stdio_call
from report import percentile, table, write

WARM = 50
CLIENTS = 32
ROUNDS = 4
BOUND = 1.3  # ms that the gateway may add, p50
TIMES = 3.0  # times the calls of fastmcp's proxy
TOOL = "db__tables"
PROXY = "fastmcp's proxy"
_PROXY = """
import sys
from fastmcp.server import create_proxy
servers = {"mcpServers": {"db": {"command": sys.argv[1], "args": sys.argv[2:-1]}}}
create_proxy(servers, name="proxy").run(transport="http", host="127.0.0.1", port=int(sys.argv[-1]), show_banner=False)
"""


@contextmanager
def at(port: int) -> Iterator[HTTPConnection]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        yield connection


@contextmanager
def fastmcp_proxy(python: str, server: list[str], folder: Path) -> Iterator[int]:
    """The port of fastmcp's proxy in front of the server."""
    port = free_port()
    with (folder / "fastmcp.log").open("wb") as log:
        process = subprocess.Popen([python, "-c", _PROXY, *server, str(port)], cwd=folder, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"fastmcp's proxy did not start: {(folder / 'fastmcp.log').read_text()[-2000:]}")
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _listens(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def latencies(ways: dict[str, Any], count: int) -> dict[str, list[float]]:
    """Milliseconds of each call, by way."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(count + WARM):
        for name, call in ways.items():
            began = time.perf_counter()
            call()
            if turn >= WARM:
                spent[name].append(1_000 * (time.perf_counter() - began))
    return spent


def calls_made(port: int, tool: str, seconds: float) -> tuple[int, float]:
    """What 32 clients get through, each in a session of its own, and in how many seconds."""
    made = [0] * CLIENTS
    ready = threading.Barrier(CLIENTS + 1)
    end = [0.0]

    def client(number: int) -> None:
        with at(port) as connection:
            call = http_call(connection, tool)
            call()
            ready.wait()
            ready.wait()
            while time.perf_counter() < end[0]:
                call()
                made[number] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    end[0] = began + seconds
    ready.wait()
    for thread in threads:
        thread.join()
    return sum(made), time.perf_counter() - began


def measure(folder: Path, count: int, seconds: float, python: str | None) -> dict[str, Any]:
    database = folder / "one.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("create table t (a integer)")
    db = [sys.executable, "-P", "-m", "portico_servers.db", str(database)]
    config = {"mcpServers": {"db": {"command": db[0], "args": db[1:]}}}
    (folder / "servers.json").write_text(json.dumps(config))
    portico = [sys.executable, "-P", "-m", "portico_gateway"]
    with ExitStack() as stack:
        enter = stack.enter_context
        serve = [*portico, "serve", "--port", "0", "--no-model", "--config", str(folder / "servers.json")]
        gateway = enter(serving(serve, folder))
        alone = enter(serving([*db, "--http", str(free_port())], folder))
        stdio = [*portico, "stdio", "--config", str(folder / "servers.json")]
        ways = {
            "stdio, the server alone": enter(stdio_call(db, folder)),
            "stdio, through the gateway": once_ready(enter(stdio_call(stdio, folder, TOOL))),
            "HTTP, the server alone": http_call(enter(at(alone))),
            "HTTP, through the gateway": once_ready(http_call(enter(at(gateway)), TOOL)),
        }
        own = {"stdio": "stdio", "HTTP": "gateway"}
        taken = {wire: _cpu_seconds(name) for wire, name in own.items()}
        spent = latencies(ways, count)
        found: dict[str, Any] = {"ways": {name: _figures(times) for name, times in spent.items()}}
        found["CPU time of the gateway's process a call of one client, ms"] = {
            wire: round(1000 * (_cpu_seconds(name) - taken[wire]) / (count + WARM), 2) for wire, name in own.items()
        }
        for wire in ("stdio", "HTTP"):
            added = map(float.__sub__, spent[f"{wire}, through the gateway"], spent[f"{wire}, the server alone"])
            found[f"added over {wire}, ms"] = round(statistics.median(added), 3)
        ports = {"gateway": (gateway, TOOL)}
        if python is not None:
            ports[PROXY] = (enter(fastmcp_proxy(python, db, folder)), "tables")
        found |= loads(ports, seconds)
    if python is not None:
        found["fastmcp"] = _version(python)
    return found


def loads(ports: dict[str, tuple[int, str]], seconds: float) -> dict[str, Any]:
    """What each carries of 32 clients, by rounds, and at what cost to its own process."""
    rates: dict[str, list[float]] = {name: [] for name in ports}
    spent: dict[str, list[float]] = {name: [] for name in ports}
    for number in range(ROUNDS):
        for name in list(ports)[:: -1 if number % 2 else 1]:
            before = _cpu_seconds(name)
            made, lasted = calls_made(*ports[name], seconds)
            rates[name].append(round(made / lasted, 1))
            spent[name].append(round(1000 * (_cpu_seconds(name) - before) / made, 2))
    found: dict[str, Any] = {"calls/s of 32 clients": rates, "CPU time of its process a call, ms": spent}
    if PROXY in ports:
        found["times fastmcp, by rounds"] = [round(ours / theirs, 2) for ours, theirs in zip(*rates.values(), strict=True)]
        found["times fastmcp"] = round(statistics.median(found["times fastmcp, by rounds"]), 2)
        found["of fastmcp's CPU time"] = round(statistics.median(spent["gateway"]) / statistics.median(spent[PROXY]), 2)
    return found


def _cpu_seconds(name: str) -> float:
    """That the gateway's or the proxy's own process has taken, without its servers'."""
    mark = {"gateway": "serve", "stdio": "stdio"}.get(name, _PROXY)
    (process,) = [each for each in psutil.Process().children() if mark in each.cmdline()]
    return float(sum(process.cpu_times()[:2]))


def _version(python: str) -> str:
    code = "import importlib.metadata as m; print(m.version('fastmcp'))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _figures(times: list[float]) -> dict[str, float]:
    return {"p50_ms": round(statistics.median(times), 3), "p99_ms": round(percentile(times, 0.99), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1000, help="of each way")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each of the rounds of 32 clients")
    parser.add_argument("--fastmcp", metavar="PYTHON", help="a Python that has fastmcp")
    parser.add_argument("--no-write", action="store_true", help="write no results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = measure(Path(name), args.calls, args.seconds, args.fastmcp)
    rows = [(way, each["p50_ms"], each["p99_ms"]) for way, each in found["ways"].items()]
    table(("a call of a tool without arguments", "p50 ms", "p99 ms"), rows)
    for name, value in found.items():
        if name != "ways":
            print(f"{name}: {value}")
    print(f"goals: at most {BOUND} ms added, at least {TIMES:g} times fastmcp's calls")
    if not args.no_write:
        write("gateway_cost", {"calls": args.calls, **found})


if __name__ == "__main__":
    main()
