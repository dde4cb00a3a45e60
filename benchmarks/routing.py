"""Does the default model ask the right server, and does the answer hold what was asked? 60 questions, against the raw model.

usage: python benchmarks/routing.py [--raw-only|--guided-only] [--dev] [--verbose]

The workspace is other people's code and docs and a generated database (routing_workspace.py). The order of the tools is
shuffled anew for each question. "raw" is the same model under the same grammar with all help switched off. `--dev` uses the
tuning questions on the demo's workspace instead: those figures are never reported.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sqlite3
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
from rich.progress import track

from report import table, write

HERE = Path(__file__).parent
ROOT = HERE.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw-only", action="store_true")
    parser.add_argument("--guided-only", action="store_true")
    parser.add_argument("--dev", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    modes = ["guided"] if args.guided_only else ["raw"] if args.raw_only else ["raw", "guided"]
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(measure, args, modes, Path(folder))


async def measure(args: argparse.Namespace, modes: list[str], folder: Path) -> None:
    import routing_workspace
    from portico_gateway.assembly.ask_session import open_ask_session
    from portico_gateway.config.server_spec import default_specs

    if args.dev:
        sys.path.insert(0, str(ROOT / "demo"))
        import shop

        shop.write(folder / "shop.db")
        places = {"root": ROOT, "docs": ROOT, "db": folder / "shop.db"}
    else:
        places = routing_workspace.build(folder)
    questions = json.loads((HERE / "data" / ("routing_dev.json" if args.dev else "routing.json")).read_text())["questions"]
    specs = default_specs(places["root"], places["docs"], places["db"])
    async with open_ask_session(routing_workspace.config(), specs, lambda *_: None) as session:
        await until_indexed(session)
        figures: dict[str, Any] = {}
        for mode in modes:
            rows = []
            for i, question in enumerate(track(questions, mode, disable=not sys.stderr.isatty())):
                rows.append(await one(session, question, mode, i, places["db"], args.verbose))
            figures[mode] = summary(rows)
    report(figures)
    if not args.dev and len(modes) == 2:
        write("routing", {"questions": len(questions), **figures})


async def until_indexed(session: Any) -> None:
    """Wait until the servers say that their answers are complete: what is measured is choosing, not indexing."""
    for tool in session.host.tools():
        if tool.name.endswith("__search"):
            with anyio.fail_after(120):
                while True:
                    result = await session.host.call_tool(tool.name, {"query": "start"})
                    if (result.structured_content or {}).get("complete", True):
                        break
                    await anyio.sleep(0.2)


async def one(session: Any, question: dict[str, str], mode: str, seed: int, db: Path, verbose: bool) -> dict[str, Any]:
    from portico_gateway.agent.events import ToolCallFinished
    from portico_gateway.agent.guided.loop import Agent
    from portico_gateway.agent.upstream_tool_host import UpstreamToolHost

    order = [tool.name for tool in session.host.tools()]
    random.Random(seed).shuffle(order)
    host = UpstreamToolHost(session.upstreams, order)
    agent = Agent(session.engine, host, session.retriever, raw=mode == "raw")
    started = time.perf_counter()
    async with aclosing(agent.ask(question["question"], max_steps=1)) as events:
        async for event in events:
            if isinstance(event, ToolCallFinished):
                first = event
                break
    server = host.server_of(first.tool)
    right = server == question["server"]
    held = right and first.error is None and holds(question, first, db)
    if verbose:
        mark = "ok " if held else "== " if right else "NO "
        said = f"{first.tool} {json.dumps(first.arguments, ensure_ascii=False)} {first.error or ''}"
        print(f"{mark} {question['question']}\n      {said}")
    return {
        "server": question["server"], "right": right, "holds": held,
        "valid": first.error is None or "not made" not in first.error, "position": order.index(first.tool),
        "seconds": time.perf_counter() - started,
    }  # fmt: skip


def holds(question: dict[str, str], call: Any, db: Path) -> bool:
    """Is what was asked in the text that the user is shown?"""
    if "sql" not in question:
        return "holds" not in question or re.search(question["holds"], call.result.text) is not None
    connection = sqlite3.connect(db)
    values = [row[0] for row in connection.execute(question["sql"])]
    connection.close()
    text = call.result.text.replace(",", "")
    return all(any(form in text for form in forms(value)) for value in values)


def forms(value: Any) -> set[str]:
    """How a value may be printed."""
    return {str(value), f"{value:g}", str(int(value))} if isinstance(value, float) else {str(value)}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    by = {server: [r for r in rows if r["server"] == server] for server in ("code", "docs", "db")}
    right = [r for r in rows if r["right"]]
    return {
        "right_server": sum(r["right"] for r in rows) / len(rows),
        "right_by_server": {s: sum(r["right"] for r in rs) for s, rs in by.items()},
        "holds_of_right": sum(r["holds"] for r in right) / max(1, len(right)),
        "holds_by_server": {s: sum(r["holds"] for r in rs) for s, rs in by.items()},
        "valid": sum(r["valid"] for r in rows),
        "first_tool_of_the_list": sum(r["position"] == 0 for r in rows),
        "median_seconds": sorted(r["seconds"] for r in rows)[len(rows) // 2],
    }


def report(figures: dict[str, Any]) -> None:
    rows = []
    for mode, f in figures.items():
        by, held = f["right_by_server"], f["holds_by_server"]
        rows.append([
            mode, f"{f['right_server']:.0%}", *(by[s] for s in by), f"{f['holds_of_right']:.0%}", *(held[s] for s in held),
            f["valid"], f"{f['median_seconds']:.2f}",
        ])  # fmt: skip
    heads = ["mode", "right server", "code", "docs", "db", "holds, of right", "code", "docs", "db", "valid calls", "median s"]
    table(heads, rows)


if __name__ == "__main__":
    main()
