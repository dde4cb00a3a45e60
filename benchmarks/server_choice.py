"""Which of our three servers does guidance choose by a question's words, before any model? On the questions of answers.py.

usage: python benchmarks/server_choice.py [--part tuning|voices] [--count N] [--verbose] [--no-write]

All tools of the three servers are offered, the database server over the question's own database or, for a question about code
or documentation, over any of them. Right is a tool that looks into code for code, the search for documentation, rows or a
query for data. `by definition` is how near the tools' definitions are and nothing else. Weights were fitted on `tuning`; which
of them there are was chosen with an eye on `voices`.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import anyio

from answers_material.workspaces import DATABASES
from model_quality import interval
from report import table, write

DATA = Path(__file__).parent / "data" / "answers"
RIGHT = {
    "code": {"code__search", "code__find_symbol", "code__find_references", "code__outline", "code__read"},
    "docs": {"docs__search"},
    "db": {"db__rows", "db__query"},
}
WAYS = ("by definition", "guided")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("tuning", "voices"), default="voices")
    parser.add_argument("--count", type=int, help="so many, chosen at random; default: all")
    parser.add_argument("--verbose", action="store_true", help="print what is chosen wrongly")
    parser.add_argument("--no-write", action="store_true")
    args = parser.parse_args()
    asked = questions(args.part)
    asked = random.Random(1).sample(asked, args.count or len(asked))
    with tempfile.TemporaryDirectory() as folder:
        catalogs = anyio.run(tool_lists, Path(folder), sorted({database for _, database, _ in asked}))
    right, took = choose(asked, catalogs, verbose=args.verbose)
    lines, figures = [], {}
    for area in ("all", *RIGHT):
        counts = {way: Counter(found for a in RIGHT if area in (a, "all") for found in right[way][a]) for way in WAYS}
        total = counts[WAYS[0]].total()
        shares = {
            way: {"share": round(100 * of[True] / total, 1), "interval": interval(of[True], total)}
            for way, of in counts.items()
        }
        figures[area] = {"questions": total, **shares}
        lines.append([area, total, *(f"{share['share']}% ({share['interval']})" for share in shares.values())])
    table([f"{args.part}: right server", "questions", *WAYS], lines)
    print(f"{took:.0f} ms a question")
    if not args.no_write:
        write("server_choice", {"part": args.part, "right": figures, "ms": round(took)})


def questions(part: str) -> list[tuple[str, str, str]]:
    """Area, database and question of each."""
    rng = random.Random(5)
    folder = DATA if part == "tuning" else DATA / part
    names = sorted(set(DATABASES) - {"bikes"})
    found = []
    for area in RIGHT:
        for line in (folder / f"{area}.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found.append((area, row["workspace"] if row["workspace"] in names else rng.choice(names), row["question"]))
    return found


async def tool_lists(folder: Path, names: list[str]) -> dict[str, list]:
    """By database, the tools of our servers over it."""
    from portico_gateway.config.portico_config import load_config
    from portico_gateway.config.workspace import workspace_specs
    from portico_gateway.tuning.own_tools import live_tools

    code, docs = folder / "code", folder / "docs"
    for place, name, text in ((code, "start.py", "def start():\n    pass\n"), (docs, "start.md", "# Start\n\nSay start.\n")):
        place.mkdir()
        (place / name).write_text(text, encoding="utf-8")
    found = {}
    for name in names:
        with sqlite3.connect(folder / f"{name}.db") as database:
            DATABASES[name][0](database)
        database.close()
        config = load_config(None, flags={"audit.enabled": False}, environ={}, folder=code)
        found[name], missing = await live_tools(config, workspace_specs(config, code, [docs], [str(folder / f"{name}.db")]))
        if missing:
            raise SystemExit(f"servers that did not start: {missing}")
    return found


def choose(asked: list[tuple[str, str, str]], catalogs: dict[str, list], *, verbose: bool) -> tuple[dict, float]:
    """By way and area, whether each choice is right; and milliseconds a guided question."""
    from portico_gateway.agent.upstream_tool_host import embedder
    from portico_gateway.guidance.call_guide import CallGuide
    from portico_gateway.guidance.tool_nearness import ToolNearness
    from portico_gateway.guidance.weights import DEFAULT_WEIGHTS

    embed = embedder().embed
    guide, nearness = CallGuide(embed), ToolNearness(embed, DEFAULT_WEIGHTS)
    right: dict = {way: defaultdict(list) for way in WAYS}
    took = 0.0
    for area, database, question in asked:
        tools = catalogs[database]
        began = time.process_time()
        prior = guide.guide(tools, question, tuned=True).prior
        took += time.process_time() - began
        assert prior is not None
        for way, names in zip(WAYS, (nearness.definitions(tools, question, 1.0), prior.names), strict=True):
            best = max(names, key=lambda name: names[name])
            right[way][area].append(best in RIGHT[area])
            if verbose and way == "guided" and best not in RIGHT[area]:
                print(f"{area} -> {best}: {question}")
    return right, 1000 * took / len(asked)


if __name__ == "__main__":
    main()
