"""How well, and how fast, does documentation search work? Recall of index terms, indexing, latency, citations, start.

usage: python benchmarks/docs_search.py [--docs NAME=DIR ...] [--cache DIR] [--terms N] [--pages N] [--only recall|scale|start]

- recall@5: the index terms of three documentations (docs_labels.py) as queries; right is the section that holds the anchor.
  BM25 alone stands beside the hybrid in the same run, over the passage's text as it is, and over title, trail, names and
  text in two weightings; then the hybrid without each of its parts. The constants were chosen on other terms of the first.
- scale: 5,000 real pages (copies of them under other paths where there are fewer), HTML and reST, indexed cold in one go,
  while its progress is read as a server's client would; then the latency of the same queries over that index.
- citations: every hit of those queries is opened by its citation, and must show the cited text.
- start: from the start of a process to its first answers over stdio.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

import docs_labels
from docs_labels import Term
from portico_servers.common.embed import shared
from portico_servers.docs import ranking
from portico_servers.docs.ranking import FUSION, Frequencies, expression, look_up, rank, telling_words
from portico_servers.docs.readers import kind_of
from portico_servers.docs.service import Service
from report import percentile, table, write

K = 5
Ranker = Callable[[str], list[int]]  # a query's sections, best first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", action="append", default=[], metavar="NAME=DIR", help="Sphinx HTML with its index")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "portico-docs-benchmark")
    parser.add_argument("--terms", type=int, default=400, help="of each kind and documentation")
    parser.add_argument("--pages", type=int, default=5000)
    parser.add_argument("--only", choices=["recall", "scale", "start"])
    options = parser.parse_args()
    given = dict(pair.split("=", 1) for pair in options.docs)
    trees = {
        name: Path(given[name]) if name in given else docs_labels.fetch(name, options.cache) for name in docs_labels.PACKAGES
    }
    labels = {name: docs_labels.terms(tree) for name, tree in trees.items()}
    shared().embed(["warm"])
    figures: dict[str, Any] = {"labels": {name: docs_labels.digest(found) for name, found in labels.items()}}
    with tempfile.TemporaryDirectory() as temporary:
        if options.only in (None, "recall"):
            figures["recall_at_5"] = recall(trees, labels, options.terms, Path(temporary))
        if options.only in (None, "scale"):
            queries = [
                t.text for kind in ("concept", "object") for t in docs_labels.chosen("python", labels["python"], kind, 150)
            ]
            figures["scale"] = scale(trees, queries, options.pages, Path(temporary))
        if options.only in (None, "start"):
            figures["start"] = start(trees["python"], Path(temporary))
    write("docs_search" if options.only is None else f"docs_search_{options.only}", figures)


def recall(trees: dict[str, Path], labels: dict[str, list[Term]], count: int, cache: Path) -> dict[str, Any]:
    rows: dict[str, dict[str, float]] = {}
    sizes: dict[str, int] = {}
    for name, tree in trees.items():
        with closing(Service([tree], cache / name, watch=False)) as service:
            service.indexer.update(service.library.shelves())
            rankers = _rankers(service)
            places = _places(service)
            for kind in ("concept", "object"):
                found = docs_labels.chosen(name, labels[name], kind, count)
                wanted = [(t.text, {places[p] for p in t.places if p in places}) for t in found]
                wanted = [(text, gold) for text, gold in wanted if gold]
                if len(wanted) < 30:
                    continue  # too few to say anything
                column = f"{name} {kind}s"
                sizes[column] = len(wanted)
                for ranker, ask in track(rankers.items(), description=column, transient=True):
                    rows.setdefault(ranker, {})[column] = 100 * float(
                        np.mean([_recall(ask(text), gold) for text, gold in wanted])
                    )
    for row in rows.values():
        row["mean"] = float(np.mean(list(row.values())))
    columns = [*sizes, "mean"]
    print(f"recall@{K} (percent) of index terms; {', '.join(f'{n} {c}' for c, n in sizes.items())}")
    table(["ranking", *columns], [[name, *(f"{row[c]:.1f}" for c in columns)] for name, row in rows.items()])
    hybrid = rows["hybrid"]
    for name in (n for n in rows if n.startswith("BM25")):
        print(f"hybrid against {name}: " + ", ".join(f"{c} {hybrid[c] - rows[name][c]:+.1f}" for c in columns))
    return {"terms": sizes, "rankings": {n: {c: round(v, 1) for c, v in row.items()} for n, row in rows.items()}}


def _rankers(service: Service) -> dict[str, Ranker]:
    store, vectors, embedder, counts = service.store, service.vectors, shared(), Frequencies()

    def bm25(weights: tuple[float, float, float, float]) -> Ranker:
        def ask(query: str) -> list[int]:
            with store.read() as db:
                found = db.execute(
                    "SELECT p.section_id FROM (SELECT rowid AS id, bm25(lexical, ?, ?, ?, ?) AS s FROM lexical"
                    " WHERE lexical MATCH ?"
                    " ORDER BY s LIMIT 400) f JOIN passage p ON p.id = f.id ORDER BY f.s",
                    (*weights, expression(telling_words(query)).words),
                ).fetchall()
            return list(dict.fromkeys(row[0] for row in found))

        return ask

    def fused(weights: dict[str, float]) -> Ranker:
        def ask(query: str) -> list[int]:
            meaning = vectors.nearest(embedder.embed([query])[0], None) if weights["meaning"] else []
            with store.read() as db:
                return [item.section for item in rank(look_up(db, query, None, partial(counts.of, db)), meaning, weights)]

        return ask

    def meaning_alone(query: str) -> list[int]:
        return list(dict.fromkeys(section for _, section in vectors.nearest(embedder.embed([query])[0], None)))

    rankers: dict[str, Ranker] = {
        "BM25 of the text": bm25((0, 0, 0, 1)),
        "BM25 of all fields": bm25(ranking.EVEN),
        "BM25, titles first": bm25(ranking.TITLES_FIRST),
        "embeddings alone": meaning_alone,
        "hybrid": fused(dict(FUSION)),
    }
    return rankers | {f"hybrid without {part}": fused({**FUSION, part: 0.0}) for part in FUSION}


def _places(service: Service) -> dict[str, int]:
    """page#anchor -> section, whichever of a section's names the anchor is."""
    found: dict[str, int] = {}
    with service.store.read() as db:
        pages = db.execute("SELECT id, path FROM page").fetchall()
    for page_id, path in pages:
        for section in service.store.sections(page_id):
            for anchor in (section.anchor, *section.aliases):
                found.setdefault(f"{path}#{anchor}", section.id)
    return found


def _recall(ranked: Sequence[int], gold: set[int]) -> float:
    return len(set(ranked[:K]) & gold) / min(K, len(gold))


def scale(trees: dict[str, Path], queries: Sequence[str], pages: int, temporary: Path) -> dict[str, Any]:
    root = temporary / "pages"
    size = _collect(list(trees.values()), pages, root)
    with closing(Service([root], temporary / "scale", watch=False)) as service:
        progress = service.indexer.progress
        seen: list[tuple[float, str, int, int]] = []
        ended = threading.Event()
        started = time.monotonic()

        def look() -> None:
            while not ended.wait(0.25):
                seen.append((time.monotonic() - started, progress.phase, progress.done, progress.total))

        watcher = threading.Thread(target=look)
        watcher.start()
        service.indexer.update(service.library.shelves())
        total = time.monotonic() - started
        ended.set()
        watcher.join()
        searchable = next((t for t, phase, _, _ in seen if phase in ("embedding", "ready")), total)
        steps = len({done for _, phase, done, _ in seen if phase == "reading"})
        took, opened, wrong = _ask(service, queries)
        counts = {"sections": "section", "passages": "passage"}
        with service.store.read() as db:
            numbers = {name: db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for name, t in counts.items()}
        on_disk = sum(f.stat().st_size for f in (temporary / "scale").iterdir()) / 1e6
    figures = {
        "pages": pages, "source_mb": round(size / 1e6, 1), **numbers, "index_mb": round(on_disk),
        "searchable_s": round(searchable, 1), "with_embeddings_s": round(total, 1), "progress_steps_seen": steps,
        "query_ms": {name: round(percentile(took, share), 2) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))},
        "citations_opened": opened, "citations_wrong": wrong,
    }  # fmt: skip
    table(["scale", "figure"], [[k, json.dumps(v) if isinstance(v, dict) else v] for k, v in figures.items()])
    return figures


def _ask(service: Service, queries: Sequence[str]) -> tuple[list[float], int, int]:
    """(milliseconds of each query, citations opened, citations that didn't show their text)"""
    library = service.library
    for query in queries[:20]:
        library.search(query)
    took, opened, wrong = [], 0, 0
    for query in queries:
        started = time.perf_counter()
        found = library.search(query)
        took.append(1000 * (time.perf_counter() - started))
        for hit in found.hits:
            page = library.page(hit.library, hit.version, hit.path)
            from_line = "\n".join(page.text.split("\n")[hit.line - 1 :])
            section = library.read(hit.citation, max_chars=10**7)
            opened += 1
            wrong += not (hit.text in from_line and hit.text.split("\n")[0] in section.text)
    return took, opened, wrong


def _collect(trees: Sequence[Path], count: int, root: Path) -> int:
    """Copies `count` documentation pages below `root`; bytes copied."""
    files = [(tree, f) for tree in trees for f in sorted(tree.rglob("*")) if f.is_file() and kind_of(f.name) in ("html", "rst")]
    size, done = 0, 0
    while done < count:
        for number, (tree, file) in enumerate(files):
            if done >= count:
                break
            copy = root / f"copy{done // len(files)}" / f"{trees.index(tree)}" / file.relative_to(tree)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
            size += copy.stat().st_size
            done += 1
            assert number < len(files)
    return size


def start(tree: Path, temporary: Path) -> dict[str, Any]:
    """Seconds from the start of the process to its answers: to `initialize`, and to a search; first with no index at all."""
    command = [sys.executable, "-m", "portico_servers.docs", str(tree), "--cache-dir", str(temporary / "start")]
    rows = {}
    for state in ("no index yet", "index at hand", "index at hand, again"):
        began = time.perf_counter()
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "benchmark", "version": "0"}}
            _call(process, 1, "initialize", client)
            initialized = time.perf_counter() - began
            answer = _call(process, 2, "tools/call", {"name": "search", "arguments": {"query": "walrus operator"}})
            first = time.perf_counter() - began
            number = 3
            while not answer["result"]["structuredContent"]["complete"]:
                answer = _call(process, number, "tools/call", {"name": "search", "arguments": {"query": "walrus operator"}})
                number += 1
            complete = time.perf_counter() - began
            time.sleep(3)  # let the embeddings come, so that the next state has them
            took = []
            for query in ("json", "regular expressions", "async for", "thread pool") * 25:
                asked = time.perf_counter()
                _call(process, number, "tools/call", {"name": "search", "arguments": {"query": query}})
                took.append(1000 * (time.perf_counter() - asked))
                number += 1
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)
        rows[state] = {
            "initialize_s": round(initialized, 2), "first_search_s": round(first, 2), "complete_s": round(complete, 2),
            "stdio_call_ms_p50": round(percentile(took, 0.5), 2),
        }  # fmt: skip
    table(["start", *next(iter(rows.values()))], [[name, *row.values()] for name, row in rows.items()])
    return rows


def _call(process: subprocess.Popen[str], number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n")
    process.stdin.flush()
    while line := process.stdout.readline():
        message = json.loads(line)
        if message.get("id") == number:
            return dict(message)
    raise SystemExit(f"the server ended (code {process.poll()})")


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
