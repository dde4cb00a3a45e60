"""How well does documentation search work? Recall of index terms and of paraphrases, citations, start.

usage: python benchmarks/docs_search.py [--docs NAME=DIR ...] [--cache DIR] [--terms N] [--only recall|start]

- recall@5: the index terms of three documentations (docs_labels.py) and opening sentences taken out of their sections
  (docs_paraphrases.py) as queries; right is the section that holds the anchor, or that the sentence was taken from. BM25
  alone stands beside the hybrid in the same run, over the passage's text as it is, and over title, trail, names and text in
  two weightings; then the hybrid as search gives it, with the best sentences first, and the hybrid without each of its
  parts. The constants were chosen on others of the first's labels.
- citations: the hits of every fourth of those queries are opened by their citations, and must show the cited text.
- start: from the start of a process to its first answers over stdio.

How it bears 5,000 pages is docs_scale.py's question.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

import docs_labels
import docs_paraphrases
from docs_labels import Term
from docs_paraphrases import Paraphrase
from portico_servers.common.embeddings import shared_embedder
from portico_servers.docs.config import DocsConfig
from portico_servers.docs.ingest.chunks import cut
from portico_servers.docs.ingest.pages import Page, Section
from portico_servers.docs.search import ranking
from portico_servers.docs.search.ranking import (
    FUSION,
    LexicalResult,
    Neighbour,
    WordCounts,
    content_words,
    expression,
    lexical_search,
    rank,
)
from portico_servers.docs.search.sentences import RERANKED, rerank
from portico_servers.docs.service import Service
from report import percentile, table, write

K = 5
PARAPHRASES = 200  # of each documentation
Wanted = tuple[str, set[int]]  # a query and the sections that answer it
Ranker = Callable[[str], list[int]]  # a query's sections, best first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", action="append", default=[], metavar="NAME=DIR", help="Sphinx HTML with its index")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "portico-docs-benchmark")
    parser.add_argument("--terms", type=int, default=400, help="of each kind and documentation")
    parser.add_argument("--only", choices=["recall", "start"])
    options = parser.parse_args()
    given = dict(pair.split("=", 1) for pair in options.docs)
    trees = {
        name: Path(given[name]) if name in given else docs_labels.fetch(name, options.cache) for name in docs_labels.PACKAGES
    }
    labels = {name: docs_labels.terms(tree) for name, tree in trees.items()}
    shared_embedder().embed(["warm"])
    figures: dict[str, Any] = {"labels": {name: docs_labels.digest(found) for name, found in labels.items()}}
    with tempfile.TemporaryDirectory() as temporary:
        if options.only in (None, "recall"):
            figures["recall_at_5"] = recall(trees, labels, options.terms, Path(temporary))
        if options.only in (None, "start"):
            figures["start"] = start(trees["python"], Path(temporary))
    write("docs_search" if options.only is None else f"docs_search_{options.only}", figures)


def recall(trees: dict[str, Path], labels: dict[str, list[Term]], count: int, cache: Path) -> dict[str, Any]:
    rows: dict[str, dict[str, float]] = {}
    sizes: dict[str, int] = {}
    citations = [0, 0]
    digests = {}

    def measure(service: Service, column: str, wanted: list[Wanted]) -> None:
        if len(wanted) < 30:
            return  # too few to say anything
        sizes[column] = len(wanted)
        rankers = _rankers(service)
        normalized_scores: dict[str, list[float]] = {name: [] for name in rankers}
        for text, gold in track(wanted, description=column, transient=True):
            for ranker, ask in rankers.items():  # one after the other: they share what the index gave
                normalized_scores[ranker].append(_recall(ask(text), gold))
        for ranker, values in normalized_scores.items():
            rows.setdefault(ranker, {})[column] = 100 * float(np.mean(values))
        for text, _ in wanted[::4]:
            opened, wrong = _opened(service, text)
            citations[0] += opened
            citations[1] += wrong

    for name, tree in trees.items():
        with closing(Service(DocsConfig((tree,), cache / name, watch=False))) as service:
            service.indexer.update(service.library.library_versions())
            places = _places(service)
            for kind in ("concept", "object"):
                found = docs_labels.chosen(name, labels[name], kind, count)
                wanted = [(t.text, {places[p] for p in t.places if p in places}) for t in found]
                measure(service, f"{name} {kind}s", [(text, gold) for text, gold in wanted if gold])
            edited, taken = docs_paraphrases.made(_pages(service), docs_paraphrases.TUNED_ON[1] + PARAPHRASES)
        with closing(Service(DocsConfig((), cache / f"{name} without", watch=False))) as service:
            library_version = service.store.add_library_version(
                name, "1", "url", "https://example.org/"
            )  # a source that is not looked at
            service.store.put_pages(library_version.id, [(path, "", page, cut(page)) for path, page in edited])
            service.indexer.update([library_version])
            chosen = docs_paraphrases.chosen(name, taken, PARAPHRASES)
            digests[name] = docs_paraphrases.digest(chosen)
            measure(service, f"{name} paraphrases", [(p.text, {_section(service, library_version.id, p)}) for p in chosen])
    for row in rows.values():
        row["mean"] = float(np.mean(list(row.values())))
    columns = [*sizes, "mean"]
    print(f"recall@{K} (percent); {', '.join(f'{n} {c}' for c, n in sizes.items())}")
    table(["ranking", *columns], [[name, *(f"{row[c]:.1f}" for c in columns)] for name, row in rows.items()])
    hybrid = rows["hybrid"]
    for name in (n for n in rows if n.startswith("BM25")):
        print(f"hybrid against {name}: " + ", ".join(f"{c} {hybrid[c] - rows[name][c]:+.1f}" for c in columns))
    print(f"citations opened: {citations[0]}, wrong: {citations[1]}")
    return {
        "queries": sizes, "paraphrases": digests, "citations_opened": citations[0], "citations_wrong": citations[1],
        "rankings": {n: {c: round(v, 1) for c, v in row.items()} for n, row in rows.items()},
    }  # fmt: skip


def _rankers(service: Service) -> dict[str, Ranker]:
    store, vectors, embedder, counts = service.store, service.vectors, shared_embedder(), WordCounts()

    def bm25(weights: tuple[float, float, float, float]) -> Ranker:
        def ask(query: str) -> list[int]:
            with store.read() as db:
                found = db.execute(
                    "SELECT p.section_id FROM (SELECT rowid AS id, bm25(lexical, ?, ?, ?, ?) AS s FROM lexical"
                    " WHERE lexical MATCH ?"
                    " ORDER BY s LIMIT 400) f JOIN passage p ON p.id = f.id ORDER BY f.s",
                    (*weights, expression(content_words(query)).words),
                ).fetchall()
            return list(dict.fromkeys(row[0] for row in found))

        return ask

    @lru_cache(maxsize=1)
    def lexical(query: str) -> LexicalResult:
        with store.read() as db:
            return lexical_search(db, query, None, partial(counts.of, db))

    @lru_cache(maxsize=1)
    def near(query: str) -> list[Neighbour]:
        return vectors.nearest(embedder.embed([query])[0], None)

    def fused(weights: dict[str, float]) -> Ranker:
        return lambda query: [item.section for item in rank(lexical(query), near(query), weights)]

    def reranked(query: str) -> list[int]:
        found = rank(lexical(query), near(query))
        return [item.section for item in rerank(query, found, store.passages([f.passage for f in found[:RERANKED]]), embedder)]

    def meaning_alone(query: str) -> list[int]:
        return list(dict.fromkeys(item.section for item in near(query)))

    rankers: dict[str, Ranker] = {
        "BM25 of the text": bm25((0, 0, 0, 1)),
        "BM25 of all fields": bm25(ranking.EVEN),
        "BM25, titles first": bm25(ranking.TITLES_FIRST),
        "embeddings alone": meaning_alone,
        "hybrid": fused(dict(FUSION)),
        "hybrid, best sentences first": reranked,
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


def _opened(service: Service, query: str) -> tuple[int, int]:
    """(hits opened by their citation, hits whose text didn't stand there)"""
    hits, wrong = service.library.search(query).hits, 0
    for hit in hits:
        page = service.library.page(hit.library, hit.version, hit.path)
        from_line = "\n".join(page.text.split("\n")[hit.line - 1 :])
        section = service.library.read(hit.citation, max_chars=10**7)
        wrong += not (hit.text in from_line and hit.text.split("\n")[0] in section.text)
    return len(hits), wrong


def _pages(service: Service) -> list[tuple[str, Page]]:
    """(path, page) of all that is indexed, as the readers made them."""
    found = []
    for library_version in service.library.library_versions():
        for path, _, _, _ in service.store.page_list(library_version.id):
            page = service.store.page(library_version.id, path)
            assert page is not None
            sections = [
                Section(s.level, s.title, s.anchor, s.line, s.end, s.trail, s.aliases) for s in service.store.sections(page.id)
            ]
            found.append((path, Page(page.title, page.text, page.kind, tuple(sections), page.note)))
    return found


def _section(service: Service, version_id: int, paraphrase: Paraphrase) -> int:
    page = service.store.page(version_id, paraphrase.path)
    assert page is not None
    return service.store.sections(page.id)[paraphrase.section].id


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
