"""How much the gateway's event loop does for one tool call, counted: function calls, and turns of the loop.

    python benchmarks/gateway_work.py [--calls 400] [--before TREE] [--by-file] [--no-write]

Times say little on a machine that others use; counts are the same there. A gateway in front of portico-db runs under cProfile,
over stdio and over HTTP, with policy and audit log as they are by default, and is ended: once after few calls and once after
many. What lies between the two, divided by the calls between, is one call's. It is the event loop's thread alone, without the
audit log's. Each turn of the loop is a system call, too. A coroutine counts as called each time it goes on. `--before` counts
another checkout's gateway beside this one's; `--by-file` shows where the calls are, those of built-in functions with who makes
them.
"""

from __future__ import annotations

import argparse
import json
import os
import pstats
import sqlite3
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from local_server import serving
from mcp_calls import Call, http_call, once_ready, stdio_call
from report import table, write

FEW = 100
FILES = 40
TOOL = "db__tables"
WAYS = ("stdio", "HTTP")
Counts = Counter[str]  # function calls by file, and "turns"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=400, help="that are counted")
    parser.add_argument("--before", type=Path, help="another checkout, counted beside this one")
    parser.add_argument("--by-file", action="store_true", help="show the files with the most")
    parser.add_argument("--no-write", action="store_true", help="write no results")
    args = parser.parse_args()
    trees = {"now": Path(__file__).resolve().parents[1]} | ({"before": args.before.resolve()} if args.before else {})
    found: dict[str, dict[str, dict[str, float]]] = {}
    for way in WAYS:
        for name, tree in trees.items():
            counts = counted(tree, way, args.calls)
            turns = counts.pop("turns")
            found.setdefault(way, {})[name] = {"function calls": round(counts.total(), 1), "turns": round(turns, 2)}
            if args.by_file:
                print(f"{way}, {name}")
                table(("file", "function calls"), [(file, round(number, 1)) for file, number in counts.most_common(FILES)])
    rows = [(way, name, *each.values()) for way, trees in found.items() for name, each in trees.items()]
    table(("over", "tree", "function calls a tool call", "turns of the loop"), rows)
    if not args.no_write:
        write("gateway_work", {"calls": args.calls, **found})


def counted(tree: Path, way: str, calls: int) -> Counts:
    """Of one tool call."""
    few, many = (_after(tree, way, number) for number in (FEW, FEW + calls))
    return Counter({name: (many[name] - few[name]) / calls for name in many})


def _after(tree: Path, way: str, calls: int) -> Counts:
    """Of a gateway's whole life with so many tool calls in it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with closing(sqlite3.connect(folder / "one.db")) as connection:
            connection.execute("create table t (a integer)")
        python = [sys.executable, "-P", "-m"]
        server = {"command": python[0], "args": [*python[1:], "portico_servers.db", str(folder / "one.db")]}
        (folder / "servers.json").write_text(json.dumps({"mcpServers": {"db": server}}))
        gateway = [*python, "cProfile", "-o", str(folder / "work.prof"), "-m", "portico_gateway"]
        os.environ["PYTHONPATH"] = os.pathsep.join(str(tree / each) for each in ("engine", "gateway", "servers"))
        with ExitStack() as stack:
            call = _call(stack, gateway, way, folder)
            for _ in range(calls):
                call()
        return _counts(folder / "work.prof")


def _call(stack: ExitStack, gateway: list[str], way: str, folder: Path) -> Call:
    config = ["--config", str(folder / "servers.json")]
    if way == "stdio":
        return once_ready(stack.enter_context(stdio_call([*gateway, "stdio", *config], folder, TOOL)))
    port = stack.enter_context(serving([*gateway, "serve", "--port", "0", "--no-model", *config], folder))
    connection = stack.enter_context(closing(HTTPConnection("127.0.0.1", port, timeout=60)))
    return once_ready(http_call(connection, TOOL))


def _counts(profile: Path) -> Counts:
    stats: dict[Any, Any] = pstats.Stats(str(profile)).stats  # type: ignore[attr-defined]
    found: Counts = Counter()
    for (file, _, name), (_, calls, _, _, callers) in stats.items():
        if file != "~":
            found[_short(file)] += calls
            found["turns"] += calls * (name == "_run_once" and file.endswith("base_events.py"))
            continue
        for (caller, _, _), numbers in callers.items():
            found[_short(caller)] += numbers[0]
    return found


def _short(file: str) -> str:
    """From its package on."""
    for mark in ("site-packages/", "/gateway/", "/servers/", "/engine/", f"python{sys.version_info[0]}.{sys.version_info[1]}/"):
        if mark in file:
            return file.rpartition(mark)[2]
    return file


if __name__ == "__main__":
    main()
