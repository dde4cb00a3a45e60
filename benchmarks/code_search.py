"""How well does code search rank? NDCG@10 on frozen, mechanically made labels, beside plain BM25 and ripgrep, part by part.

usage: python benchmarks/code_search.py [--history NAME=GIT_DIR ...] [--half dev|test|all] [--no-ablation]

Labels: benchmarks/data/code_search.jsonl (see code_search_labels.py). Half of them (dev, by digest) served to choose the
weights; the reported figure is the other half's. Trees are the installed packages with every docstring removed. Commit
questions need a clone of the project's history, given by --history; without one they are left out, and that is said.

- ripgrep: pieces ordered by how many of the question's words match, then by matches (`rg -i`, words of three letters and up).
- plain BM25: SQLite's FTS5 over the same pieces, its default tokenizer, the question's words joined by OR.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import importlib.metadata
import json
import math
import re
import sqlite3
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from rich.progress import track

from code_search_labels import LABELS, PACKAGES, digest, docstrings, package_dir, without_docstrings
from portico_servers.code.external.ripgrep import ripgrep_program
from portico_servers.code.index.extraction import extract
from portico_servers.code.index.store import IndexStore
from portico_servers.code.ranking.ranked_index import RankedIndex
from portico_servers.code.ranking.rerank import RankingWeights
from portico_servers.code.syntax.symbols import definitions
from portico_servers.common.embeddings import shared_embedder
from report import percentile, table, write

K = 10


class Question(NamedTuple):
    kind: str
    package: str
    text: str
    wanted: frozenset[str]  # paths, for a commit
    path: str  # of the one piece, for a docstring
    lines: tuple[int, int]
    half: str


class Piece(NamedTuple):
    path: str
    start: int
    end: int


Ranker = Callable[[str], Sequence[Piece]]


class Tree:
    """One package without its docstrings, on disk, in our index and in FTS5."""

    def __init__(self, package: str, folder: Path) -> None:
        source = package_dir(PACKAGES[package])
        assert source is not None
        self.root = folder / package
        self.questions: dict[tuple[str, str], str] = {}  # (path, name) -> question
        for file in sorted(source.rglob("*.py")):
            try:
                text = file.read_text(encoding="utf-8")
                stripped = without_docstrings(text)
            except (SyntaxError, UnicodeDecodeError):
                continue
            path = file.relative_to(source).as_posix()
            self.questions.update(((path, item.name), item.question) for item in docstrings(text))
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(stripped, encoding="utf-8")
        self._index(folder / "cache")

    def _index(self, cache: Path) -> None:
        store = IndexStore(self.root, cache)
        extracted = []
        self.pieces: list[tuple[Piece, str]] = []
        self.names: dict[str, dict[str, tuple[int, int]]] = {}
        for file in sorted(self.root.rglob("*.py")):
            data = file.read_bytes()
            path = file.relative_to(self.root).as_posix()
            extracted.append(extract(path, len(data), 0, data))
            self.names[path] = {symbol.qualified: (symbol.start, symbol.end) for symbol in definitions("python", data).symbols}
        stored = store.put(extracted)
        self.ranked = RankedIndex(store)
        self.ranked.add(stored)
        self.ranked.embed(shared_embedder())
        self._store = store
        for item in stored:
            lines = (self.root / item.path).read_text(encoding="utf-8").split("\n")
            for start, end, _, _ in item.chunks.tolist():
                self.pieces.append((Piece(item.path, start, end), "\n".join(lines[start - 1 : end])))
        self.fts = sqlite3.connect(":memory:")
        self.fts.execute("CREATE VIRTUAL TABLE pieces USING fts5(text)")
        self.fts.executemany(
            "INSERT INTO pieces(rowid, text) VALUES (?, ?)", ((i, text) for i, (_, text) in enumerate(self.pieces))
        )

    def about(self, version: str) -> dict[str, Any]:
        return {"version": version, "files": len(self.names), "pieces": len(self.pieces)}

    def close(self) -> None:
        self._store.close()
        self.fts.close()

    def ours(self, weights: RankingWeights) -> Ranker:
        def rank(question: str) -> Sequence[Piece]:
            self.ranked.weights = weights
            hits = self.ranked.search(question, limit=50)
            return [Piece(self.ranked.files[hit.file_id].path, hit.start, hit.end) for hit in hits]

        return rank

    def plain_bm25(self, question: str) -> Sequence[Piece]:
        words = dict.fromkeys(re.findall(r"\w+", question.lower()))
        match = " OR ".join(f'"{word}"' for word in words)
        rows = self.fts.execute("SELECT rowid FROM pieces WHERE pieces MATCH ? ORDER BY rank LIMIT 50", (match,)).fetchall()
        return [self.pieces[number][0] for (number,) in rows]

    def by_ripgrep(self, question: str) -> Sequence[Piece]:
        words = dict.fromkeys(word for word in re.findall(r"\w+", question.lower()) if len(word) > 2)
        if not words:
            return []
        at = self._by_path
        matched: dict[Piece, Counter[str]] = defaultdict(Counter)
        options = [option for word in words for option in ("-e", re.escape(word))]
        out = subprocess.run(
            [ripgrep_program(), "--no-config", "-i", "-o", "-n", "--null", *options, "."],
            cwd=self.root,
            capture_output=True,
            check=False,
        ).stdout
        for line in out.split(b"\n"):
            path, _, rest = line.partition(b"\0")
            number, _, word = rest.partition(b":")
            if word:
                name = path.decode().removeprefix("./")
                piece = next((p for p in at[name] if p.start <= int(number) <= p.end), None)
                if piece is not None:
                    matched[piece][word.decode("utf-8", "replace").lower()] += 1
        return sorted(matched, key=lambda piece: (-len(matched[piece]), -matched[piece].total(), piece))[:50]

    @functools.cached_property
    def _by_path(self) -> dict[str, list[Piece]]:
        by_path: dict[str, list[Piece]] = defaultdict(list)
        for piece, _ in self.pieces:
            by_path[piece.path].append(piece)
        return by_path


def gain(question: Question, ranked: Sequence[Piece]) -> float:
    """NDCG@10 with binary relevance. A docstring asks for one definition, a commit for one to three files (ranked by their
    best piece)."""
    if question.kind == "docstring":
        first, last = question.lines
        seen: set[str] = set()
        for place, piece in enumerate(ranked[:K]):
            if piece.path == question.path and piece.start <= last and piece.end >= first:
                return 1 / math.log2(place + 2)
            seen.add(piece.path)
        return 0.0
    files = list(dict.fromkeys(piece.path for piece in ranked))[:K]
    found = sum(1 / math.log2(place + 2) for place, path in enumerate(files) if path in question.wanted)
    return found / sum(1 / math.log2(place + 2) for place in range(min(len(question.wanted), K)))


def load(trees: dict[str, Tree], histories: dict[str, str]) -> tuple[list[Question], Counter[str]]:
    questions: list[Question] = []
    missing: Counter[str] = Counter()
    subjects = {package: _subjects(Path(directory)) for package, directory in histories.items()}
    for line in LABELS.read_text().splitlines():
        label = json.loads(line)
        package, half = label["package"], "dev" if label["question"][0] < "8" else "test"
        tree = trees.get(package)
        if tree is None:
            missing["package not installed"] += 1
        elif label["kind"] == "docstring":
            text = tree.questions.get((label["path"], label["name"]), "")
            lines = tree.names.get(label["path"], {}).get(label["name"])
            if digest(text) != label["question"] or lines is None:
                missing["other version of the package"] += 1
            else:
                questions.append(Question("docstring", package, text, frozenset(), label["path"], lines, half))
        elif package not in subjects:
            missing["no --history"] += 1
        else:
            text = subjects[package].get(label["commit"], "")
            wanted = frozenset(path for path in label["paths"] if path in tree.names)
            if digest(text) != label["question"] or not wanted:
                missing["commit not in the history"] += 1
            else:
                questions.append(Question("commit", package, text, wanted, "", (0, 0), half))
    return questions, missing


def _subjects(history: Path) -> dict[str, str]:
    out = subprocess.run(
        ["git", "-C", str(history), "log", "--format=%H%x1f%s"], capture_output=True, text=True, check=True
    ).stdout
    return dict(line.split("\x1f", 1) for line in out.splitlines())


def evaluate(questions: Iterable[Question], rankers: dict[str, Ranker]) -> dict[str, float]:
    scores: dict[str, list[float]] = defaultdict(list)
    for question in questions:
        value = gain(question, rankers[question.package](question.text))
        scores["all"].append(value)
        scores[question.kind].append(value)
    return {name: round(sum(values) / len(values), 4) for name, values in scores.items()}


def off(weights: RankingWeights) -> RankingWeights:
    return replace(weights, **{field.name: 0.0 for field in fields(RankingWeights)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--history", action="append", default=[], metavar="NAME=GIT_DIR")
    parser.add_argument("--half", choices=["dev", "test", "all"], default="test")
    parser.add_argument("--no-ablation", action="store_true")
    args = parser.parse_args()
    histories = dict(item.split("=", 1) for item in args.history)
    with tempfile.TemporaryDirectory() as folder:
        trees = {
            package: Tree(package, Path(folder))
            for package in track(PACKAGES, description="indexing")
            if package_dir(PACKAGES[package]) is not None
        }
        questions, missing = load(trees, histories)
        chosen = [question for question in questions if args.half in ("all", question.half)]
        report(args, trees, chosen, missing)
        for tree in trees.values():
            tree.close()


def report(args: argparse.Namespace, trees: dict[str, Tree], questions: list[Question], missing: Counter[str]) -> None:
    weights = RankingWeights()
    systems: dict[str, dict[str, Ranker]] = {
        "ripgrep": {name: tree.by_ripgrep for name, tree in trees.items()},
        "plain BM25 (FTS5)": {name: tree.plain_bm25 for name, tree in trees.items()},
        "BM25 over code-aware terms": {name: tree.ours(off(weights)) for name, tree in trees.items()},
        "all parts": {name: tree.ours(weights) for name, tree in trees.items()},
    }
    if not args.no_ablation:
        for field in fields(RankingWeights):
            without = replace(weights, **{field.name: 0.0})
            systems[f"  without {field.name}"] = {name: tree.ours(without) for name, tree in trees.items()}
    rows: dict[str, dict[str, float]] = {}
    for name, rankers in systems.items():
        began = time.perf_counter()
        rows[name] = evaluate(questions, rankers)
        rows[name]["ms"] = round(1e3 * (time.perf_counter() - began) / max(len(questions), 1), 2)
    base = rows["plain BM25 (FTS5)"]["all"]
    kinds = sorted({question.kind for question in questions})
    print(
        f"\nNDCG@{K}, {args.half} half, {len(questions)} questions on {len(trees)} trees; left out: {dict(missing) or 'none'}"
    )
    table(
        ["ranking", "all", "x plain BM25", *kinds, "ms a question"],
        [
            [name, f"{r['all']:.3f}", f"{r['all'] / base:.2f}", *(f"{r[k]:.3f}" for k in kinds), r["ms"]]
            for name, r in rows.items()
        ],
    )
    if args.half != "dev":
        write("code_search", summary(args, trees, questions, missing, rows, weights))


def summary(
    args: argparse.Namespace,
    trees: dict[str, Tree],
    questions: list[Question],
    missing: Counter[str],
    rows: dict[str, Any],
    weights: RankingWeights,
) -> dict[str, Any]:
    """What the dated result holds, latencies of the full ranking among it."""
    rankers = {name: tree.ours(weights) for name, tree in trees.items()}
    times = []
    for question in questions:
        began = time.perf_counter()
        rankers[question.package](question.text)
        times.append(1e3 * (time.perf_counter() - began))
    return {
        "command": " ".join(
            ["python benchmarks/code_search.py", *(f"--history {h.split('=')[0]}=CLONE" for h in args.history)]
        ),
        "labels_sha256": hashlib.sha256(LABELS.read_bytes()).hexdigest(),
        "half": args.half,
        "questions": dict(Counter(question.kind for question in questions)),
        "left_out": dict(missing),
        "trees": {name: tree.about(importlib.metadata.version(name)) for name, tree in trees.items()},
        "weights": {field.name: getattr(weights, field.name) for field in fields(RankingWeights)},
        "ndcg_at_10": rows,
        "ranking_ms": {"p50": round(percentile(times, 0.5), 2), "p99": round(percentile(times, 0.99), 2)},
    }


if __name__ == "__main__":
    main()
