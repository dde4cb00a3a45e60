"""`portico serve` beside llama.cpp's own server and llama-cpp-python's, on this CPU, on the same GGUF file, in one run.

    python benchmarks/peers_cpu.py [--llama-server FILE] [--only portico llama-server ...] [--clients 1,4,16] [--calls 64]
                                   [--seconds 15] [--slots 4] [--threads 2] [--no-write]

One server runs at a time. Each is asked for constrained tool calls as in `tool_call_load`, by its own way: by `tools` where its
first calls that way are valid, else by a JSON Schema with the tools in the instructions, which its prompt tokens show. The row
`portico, schema` is `portico serve` asked as such a peer is, so that the two read the same prompt. Before each level as many
calls as there are clients, four at most, are made and not counted: every slot has read the instructions by then.
A level ends after so many calls, or so many seconds after which none is begun, and what runs is waited for. Ratios are of calls
a second (ours by theirs) and of latencies (theirs by ours): `portico serve` asked by tools against each other row.

llama.cpp's server is the file that --llama-server names or the one on PATH. It is built from the sources that llama-cpp-python
brings, so that both peers are one version (4 minutes on 2 cores; cmake and ninja are wanted):

    pip download --no-deps --no-binary :all: llama-cpp-python==0.3.36 && tar xzf llama_cpp_python-0.3.36.tar.gz
    cd llama_cpp_python-0.3.36/vendor/llama.cpp
    cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DLLAMA_BUILD_SERVER=ON \\
          -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF \\
          -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF
    ninja -C build llama-server   # build/bin/llama-server
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from local_server import portico_serve, serving, wait_for_model
from portico_engine import find_model
from report import table, write
from tool_call_load import ANSWER_SECONDS, TOOLS, Server, Way, ask, figures, load

PROBES = 3  # calls by `tools` that decide how a server is asked
WARM = 4  # calls at once before a level, at most
CONTEXT = 4096  # tokens of one sequence
FLOORS = {"calls_per_s at 4 clients": 12.0, "p50 with 1 client": 10.0}  # times as good as llama.cpp's server
SERVERS = ("portico", "llama-server", "llama_cpp.server", "portico, schema")


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-server", type=Path, default=None, help="default: the one on PATH")
    parser.add_argument("--only", nargs="+", choices=SERVERS, default=SERVERS, metavar="SERVER", help=", ".join(SERVERS))
    parser.add_argument("--clients", type=numbers, default="1,4,16")
    parser.add_argument("--calls", type=int, default=64, help="of a level, at most")
    parser.add_argument("--seconds", type=float, default=15.0, help="in which a level's calls begin")
    parser.add_argument("--slots", type=int, default=4, help="sequences that llama.cpp's server computes at once")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2, help="of each peer; ours takes its default")
    parser.add_argument("--no-write", action="store_true", help="write no results")
    args = parser.parse_args()
    binary = llama_server(args.llama_server) if "llama-server" in args.only else None
    before = os.getloadavg()[0]  # of a quiet machine under 1
    found: dict[str, dict[str, Any]] = {}
    for name in args.only:
        try:
            found[name] = measure(name, args, binary)
        except KeyboardInterrupt:
            print(f"interrupted in {name}: what was measured before is kept", file=sys.stderr)
            break
    if not found:
        raise SystemExit("nothing was measured")
    show(found)
    against = {name: ratios(found["portico"], found[name]) for name in found if name != "portico" and "portico" in found}
    for name, held in against.items():
        table([f"portico by {name}", *map(str, args.clients)], [[what, *values.values()] for what, values in held.items()])
    floors = reached(against.get("llama-server"))
    for line, row in floors.items():
        print(f"{line}: {row['ratio']} times llama-server, {row['at_least']:g} wanted: {'met' if row['met'] else 'not met'}")
    if not args.no_write:
        write(
            "peers_cpu",
            {
                "model": find_model().name, "tools": len(TOOLS), "calls": args.calls, "seconds": args.seconds,
                "slots": args.slots, "threads": args.threads, "load_average_before": before, "llama_server": version(binary),
                "servers": found, "ratios": against, "floors": floors,
            },
        )  # fmt: skip


def numbers(text: str) -> list[int]:
    """As `1,4,16`."""
    found = [int(part) for part in text.split(",")]
    if min(found) < 1:
        raise ValueError(text)
    return found


def llama_server(named: Path | None) -> Path:
    """The binary, or an exit that says how to come by one."""
    path = named or shutil.which("llama-server")
    if path is None:
        raise SystemExit("no llama-server on PATH: name one by --llama-server; --help says how it is built")
    path = Path(path).resolve()
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise SystemExit(f"--llama-server {path}: not a program")
    return path


def version(binary: Path | None) -> str:
    """Its first line about itself."""
    if binary is None:
        return ""
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False)
    return next((line for line in (said.stdout + said.stderr).splitlines() if line.startswith("version")), "")


@contextmanager
def started(name: str, folder: Path, args: argparse.Namespace, binary: Path | None) -> Iterator[Server]:
    """One of SERVERS, ready for questions."""
    if name.startswith("portico"):
        with portico_serve(folder) as (port, model):
            yield Server("127.0.0.1", port, "/v1", model)
        return
    threads, gguf = str(args.threads), str(find_model())
    if name == "llama-server":
        command = [
            str(binary), "-m", gguf, "--host", "127.0.0.1", "--port", "0", "-t", threads, "-tb", threads,
            "-np", str(args.slots), "-c", str(args.slots * CONTEXT),
        ]  # fmt: skip
    else:
        command = [
            sys.executable, "-m", "llama_cpp.server", "--model", gguf, "--host", "127.0.0.1", "--port", "0",
            "--n_threads", threads, "--n_threads_batch", threads, "--n_ctx", str(CONTEXT), "--interrupt_requests", "false",
        ]  # fmt: skip
    with serving(command, folder) as port:
        yield Server("127.0.0.1", port, "/v1", wait_for_model(port))


def measure(name: str, args: argparse.Namespace, binary: Path | None) -> dict[str, Any]:
    """A server's way to be asked, its levels, and the first answer that was not valid."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder, started(name, Path(folder), args, binary) as server:
        by_schema: Way = "json_object" if name == "llama_cpp.server" else "json_schema"
        probes = [probe(server, i) for i in range(PROBES)]
        if name == "portico, schema" or any(probes):
            server = server._replace(way=by_schema)
        levels, problem = [], None
        for number in args.clients:
            load(server, min(number, WARM), min(number, WARM), level=1000 + number)
            level = load(server, number, max(args.calls, number), seconds=args.seconds)
            problem = problem or level.problem
            levels.append(figures(level))
            print(f"  {number} clients: {levels[-1]['calls_per_s']} calls/s", file=sys.stderr, flush=True)
    return {
        "way": server.way, "valid_by_tools": f"{probes.count(None)} of {PROBES}",
        "problem_by_tools": next(filter(None, probes), None), "levels": levels, "problem": problem,
    }  # fmt: skip


def probe(server: Server, i: int) -> str | None:
    """What is wrong with a call by `tools`."""
    connection = HTTPConnection(server.host, server.port, timeout=ANSWER_SECONDS)
    try:
        return ask(connection, server, i).problem
    finally:
        connection.close()


def show(found: dict[str, dict[str, Any]]) -> None:
    """The table, and what was not valid."""
    rows = [
        [name, server["way"], *(level[key] for key in level if key != "valid"), f"{level['valid'] / level['calls']:.1%}"]
        for name, server in found.items()
        for level in server["levels"]
    ]
    keys = [key for key in next(iter(found.values()))["levels"][0] if key != "valid"]
    table(["server", "asked by", *keys, "valid"], rows)
    for name, server in found.items():
        print(f"{name}: {server['valid_by_tools']} valid by tools")
        for problem in filter(None, (server["problem_by_tools"], server["problem"])):
            print(f"  not valid: {problem}")


def ratios(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """How many times as good ours is, by number of clients; None where none of their calls was answered."""
    pairs = list(zip(ours["levels"], theirs["levels"], strict=True))
    return {
        "calls_per_s": {
            str(a["clients"]): round(a["calls_per_s"] / b["calls_per_s"], 2) if b["calls_per_s"] else None for a, b in pairs
        },
        "p50": {str(a["clients"]): round(b["p50_ms"] / a["p50_ms"], 2) for a, b in pairs},
        "p95": {str(a["clients"]): round(b["p95_ms"] / a["p95_ms"], 2) for a, b in pairs},
    }


def reached(ratio: dict[str, dict[str, float | None]] | None) -> dict[str, dict[str, Any]]:
    """The floors beside llama.cpp's server, where the levels that they speak of were measured."""
    if ratio is None:
        return {}
    measured = {"calls_per_s at 4 clients": ratio["calls_per_s"].get("4"), "p50 with 1 client": ratio["p50"].get("1")}
    return {
        line: {"ratio": value, "at_least": FLOORS[line], "met": value >= FLOORS[line]}
        for line, value in measured.items()
        if value is not None
    }


if __name__ == "__main__":
    main()
