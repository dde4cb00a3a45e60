"""How does the code server bear a large tree? 10,000 files and 100 MB: cold and warm start, queries, saves, references.

usage: python benchmarks/code_scale.py [--files 10000] [--megabytes 100] [--tree DIR]

The tree is made of what is installed beside this Python (sources in several languages, copied round by round until both
numbers are reached), so it differs a little between machines; the result says what it held. With --tree it's made there, or
taken from there if it exists, so that a run measures and does little else. Figures of a query are taken in the process, of
the index alone and of the tool's function with its whole answer, and over stdio (a real server, asked by raw JSON-RPC).
ripgrep over the whole tree, as it's called without an index, stands beside the patterns.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from fnmatch import fnmatchcase
from itertools import cycle
from pathlib import Path
from typing import Any

import anyio

from portico_servers.code.external.ripgrep import NEVER, WALK, ripgrep_program
from portico_servers.code.tools.registration import build_tools
from portico_servers.code.workspace import Workspace
from report import percentile, table, write

SUFFIXES = (
    ".py",
    ".js",
    ".ts",
    ".h",
    ".hpp",
    ".c",
    ".cpp",
    ".cuh",
    ".pyi",
    ".md",
    ".toml",
    ".json",
    ".html",
    ".css",
    ".sh",
    ".rs",
    ".go",
)
MAX_FILE = 900_000
QUERIES = 400
SEED = 11
PATTERNS = (r"def \w+_block\b", r"class \w+Error\(", r"import (os|sys)$", r"TODO|FIXME", r"return \w+\[0\]")
COMMON = ("self", "get", "value", "tensor")


def sources() -> list[Path]:
    """What a search would see: nothing hidden, and not what is left out of every index."""
    root = Path(sysconfig.get_paths()["purelib"])
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name[0] != "." and not any(fnmatchcase(name, never) for never in NEVER)]
        found += [Path(folder) / name for name in names if name.endswith(SUFFIXES) and name[0] != "."]
    return sorted(path for path in found if 0 < path.stat().st_size < MAX_FILE)


def make_tree(target: Path, files: int, size: int) -> dict[str, Any]:
    """Copies until there are `files` files; larger ones first if the bytes would not be reached otherwise."""
    available = sources()
    random.Random(SEED).shuffle(available)
    mean = size / files
    large = [path for path in available if path.stat().st_size > mean]
    small = [path for path in available if path.stat().st_size <= mean]
    held, copied = 0, 0
    suffixes: Counter[str] = Counter()
    turn = 0
    while copied < files:
        pool = large if held < mean * copied or not small else small
        if not pool:
            available = sources()
            turn += 1
            large = [path for path in available if path.stat().st_size > mean]
            small = [path for path in available if path.stat().st_size <= mean]
            continue
        source = pool.pop()
        path = target / f"r{turn}" / source.relative_to(sysconfig.get_paths()["purelib"])
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)
        held += path.stat().st_size
        copied += 1
        suffixes[path.suffix] += 1
    return {"files": copied, "megabytes": round(held / 1e6, 1), "suffixes": dict(suffixes.most_common())}


def started(root: Path, cache: Path) -> tuple[Workspace, float]:
    workspace = Workspace([root], cache)
    began = time.perf_counter()
    workspace.start()
    (index,) = workspace.indexes.values()
    last = -1.0
    while not index.ready.wait(0.5):
        if time.perf_counter() - last > 5:
            last = time.perf_counter()
            print(
                f"  {index.progress.done:,} of {index.progress.total:,} files, {time.perf_counter() - began:.0f} s",
                file=sys.stderr,
            )
    return workspace, time.perf_counter() - began


def questions(workspace: Workspace) -> Iterator[str]:
    """Two to five words of random definitions' names and their files' paths: words that are there, as a user's are."""
    (index,) = workspace.indexes.values()
    assert index.store is not None
    draw = random.Random(SEED)
    files = index.files()
    while True:
        symbols = index.store.symbols_in(draw.choice(files).path)
        if symbols:
            words = [
                word
                for symbol in draw.sample(symbols, min(3, len(symbols)))
                for word in symbol.name.split("_")
                if len(word) > 2
            ]
            if len(words) > 1:
                yield " ".join(words[:5])


def timed(count: int, work: Callable[[], object]) -> dict[str, float]:
    times = []
    for _ in range(count):
        began = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - began))
    return spread(times)


def spread(times: list[float]) -> dict[str, float]:
    return {"p50": round(percentile(times, 0.5), 2), "p99": round(percentile(times, 0.99), 2), "max": round(max(times), 2)}


async def timed_calls(count: int, work: Callable[[], Awaitable[object]]) -> dict[str, float]:
    times = []
    for _ in range(count):
        began = time.perf_counter()
        await work()
        times.append(1e3 * (time.perf_counter() - began))
    return spread(times)


async def measure_queries(workspace: Workspace) -> dict[str, dict[str, float]]:
    source = questions(workspace)
    (index,) = workspace.indexes.values()
    tools = {tool.name: tool.fn for tool in build_tools(workspace)}
    names = iter([question.split()[0] for _, question in zip(range(QUERIES), source, strict=False)])
    for _ in range(20):
        await tools["search"](query=next(source), ctx=None)
    patterns = cycle(PATTERNS)
    common = cycle(COMMON)
    return {
        "ranked search, index alone": timed(QUERIES, lambda: index.search(next(source), limit=200)),
        "ranked search, the tool's function": await timed_calls(QUERIES, lambda: tools["search"](query=next(source), ctx=None)),
        "regex search, the tool's function": await timed_calls(
            20 * len(PATTERNS), lambda: tools["search"](query=next(patterns), regex=True, ctx=None)
        ),
        "ripgrep over the whole tree": timed(4 * len(PATTERNS), lambda: by_ripgrep(index.root, next(patterns))),
        "find_symbol": await timed_calls(QUERIES, lambda: tools["find_symbol"](name=next(names))),
        "find_references of common names": await timed_calls(
            10 * len(COMMON), lambda: tools["find_references"](name=next(common))
        ),
        "find_references of a rare name": await timed_calls(20, lambda: tools["find_references"](name="deduplicate_helpers")),
    }


def by_ripgrep(root: Path, pattern: str) -> int:
    command = [
        ripgrep_program(),
        *WALK,
        "--line-number",
        "--null",
        "--no-heading",
        "--max-count=50",
        f"--regexp={pattern}",
        ".",
    ]
    return len(subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout)


def measure_save(workspace: Workspace) -> dict[str, float]:
    """Seconds from closing a saved file to finding its new word."""
    (index,) = workspace.indexes.values()
    path = index.root / index.files()[0].path
    times = []
    for turn in range(8):
        word = "saved" + "".join(random.Random(turn).choices("bcdfghjkl", k=12))  # no word of any earlier save
        began = time.perf_counter()
        path.write_text(f"def {word}():\n    return 1\n    # end\n")
        while not index.search(word):
            time.sleep(0.005)
            if time.perf_counter() - began > 20:
                raise SystemExit("a saved file was not taken in within 20 s")
        times.append(time.perf_counter() - began)
    return {"p50": round(percentile(times, 0.5), 3), "max": round(max(times), 3)}


class Pipe:
    """A real server over stdio, asked without a client library."""

    def __init__(self, root: Path, cache: Path) -> None:
        command = [sys.executable, "-m", "portico_servers.code", str(root), "--cache-dir", str(cache)]
        self.began = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._number = 0
        client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "benchmark", "version": "1"}}
        self.ask("initialize", client)
        self.first_answer = time.perf_counter() - self.began
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        self._send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        assert self.process.stdout is not None
        while True:
            answer: dict[str, Any] = json.loads(self.process.stdout.readline())
            if answer.get("id") == self._number:
                return answer["result"]

    def call(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        return self.ask("tools/call", {"name": tool, "arguments": arguments})["structuredContent"]

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write((json.dumps(message) + "\n").encode())
        self.process.stdin.flush()


def measure_stdio(root: Path, cache: Path, asked: list[str]) -> dict[str, Any]:
    pipe = Pipe(root, cache)
    began = time.perf_counter()
    partial = pipe.call("search", query=asked[0])
    first_search = time.perf_counter() - began
    while not pipe.call("search", query=asked[0])["complete"]:
        time.sleep(0.1)
    time.sleep(3)  # embeddings are made after the first pass
    source = iter(asked * 2)
    calls = timed(len(asked), lambda: pipe.call("search", query=next(source)))
    nothing = timed(200, lambda: pipe.call("find_symbol", name=""))
    pipe.close()
    return {
        "first_answer_s": round(pipe.first_answer, 2),
        "first_search_ms": round(1e3 * first_search, 1),
        "first_search_complete": partial["complete"],
        "search_ms": calls,
        "a_call_that_does_nothing_ms": nothing,
    }


def what_is_stored(cache: Path) -> dict[str, float]:
    """Megabytes of the database, and of the bitmaps in it."""
    (file,) = cache.glob("*.sqlite")
    with closing(sqlite3.connect(file)) as db:
        (bitmaps,) = db.execute("SELECT sum(length(trigrams)) FROM files").fetchone()
    return {"all": round(file.stat().st_size / 1e6, 1), "trigrams": round(bitmaps / 1e6, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--tree", type=Path, metavar="DIR")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, cache = args.tree or Path(folder) / "tree", Path(folder) / "cache"
        about = root.parent / f"{root.name}.json"
        if not about.exists():
            about.write_text(json.dumps(make_tree(root, args.files, args.megabytes * 1_000_000)))
        held = json.loads(about.read_text())
        print(f"{held['files']:,} files, {held['megabytes']} MB", file=sys.stderr)
        load = [os.getloadavg()]
        workspace, cold = started(root, cache)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = resource.getrusage(resource.RUSAGE_SELF)
        indexed = sum(file.skipped is None for index in workspace.indexes.values() for file in index.files())
        workspace.close()
        workspace, warm = started(root, cache)
        time.sleep(5)  # embeddings
        load.append(os.getloadavg())
        asked = [question for _, question in zip(range(QUERIES), questions(workspace), strict=False)]
        queries = anyio.run(measure_queries, workspace)
        save = measure_save(workspace)
        workspace.close()
        stdio = measure_stdio(root, cache, asked)
        stored = what_is_stored(cache)
    figures = {
        "tree": held,
        "indexed_files": indexed,
        "cold_index_s": round(cold, 1),
        "cpu_s": {"children": round(children.ru_utime + children.ru_stime, 1), "own": round(own.ru_utime + own.ru_stime, 1)},
        "warm_start_s": round(warm, 2),
        "queries_ms": queries,
        "save_to_found_s": save,
        "stdio": stdio,
        "index_megabytes": stored,
        "peak_memory_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
        "load_averages_at_start_before_queries_and_at_end": [*load, os.getloadavg()],
    }
    print(f"cold index {cold:.1f} s, warm start {warm:.2f} s, save to found {save}, MB on disk {stored}; stdio {stdio}")
    table(["ms", "p50", "p99", "max"], [[name, row["p50"], row["p99"], row["max"]] for name, row in queries.items()])
    write("code_scale", {"command": "python benchmarks/code_scale.py", **figures})


if __name__ == "__main__":
    main()
