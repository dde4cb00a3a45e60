"""BFCL's single calls through POST /v1/chat/completions: is the right function named, and is all of the call right?

usage: python benchmarks/bfcl.py [--only CATEGORY] [--first 0] [--count 100] [--guidance auto|names|copies|off] [--model NAME]
                                 [--verbose] [--no-write]

Greedy, tool_choice "required", the tools as an OpenAI client sends them; the application is the one of `portico serve`, asked
without a socket. `auto` is what it does for a small model; `names` and `copies` are its two halves alone (the prior over the
tools' names; the copy grammar with its weights), `off` the model under the tools' own grammar; all four by default, one after
the other. The first 100 questions of a category are reported; what guidance weighs was fitted on those behind them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import logging
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2

from bfcl_cases import CATEGORIES, Case, cases, judge
from report import RESULTS, percentile, table, write

GUIDANCE = ("off", "names", "copies", "auto")
LOAD_SECONDS = 300.0
BASE = "http://127.0.0.1:8630"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], choices=CATEGORIES, help="a category; repeatable")
    parser.add_argument("--first", type=int, default=0, help="questions of each category that are passed over")
    parser.add_argument("--count", type=int, default=100, help="questions of each category that are asked")
    parser.add_argument("--guidance", action="append", default=[], choices=GUIDANCE, help="repeatable; default: all four")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--verbose", action="store_true", help="each call that is wrong")
    parser.add_argument("--no-write", action="store_true", help="print the figures alone")
    args = parser.parse_args()
    asked = {category: cases(category, args.first, args.count) for category in args.only or CATEGORIES}
    figures = {}
    for guidance in args.guidance or GUIDANCE:
        figures[guidance] = anyio.run(measure, guidance, asked, args)
        table(
            [guidance, "questions", "name", "call", "p50 s", "p95 s"],
            [[c, f["questions"], f["name"], f["call"], f["p50_s"], f["p95_s"]] for c, f in figures[guidance].items()],
        )
    if not args.no_write:
        command = " ".join(["python", "benchmarks/bfcl.py", *sys.argv[1:]])
        write("bfcl", {"command": command, "model": args.model, "first": args.first, "guidance": {**today(args), **figures}})


def today(args: argparse.Namespace) -> dict[str, Any]:
    """What was measured today with the other kinds of guidance, on the same questions."""
    path = RESULTS / f"bfcl-{datetime.date.today().isoformat()}.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    same = (known.get("model"), known.get("first")) == (args.model, args.first)
    return dict(known["guidance"]) if same else {}


async def measure(guidance: str, asked: dict[str, list[Case]], args: argparse.Namespace) -> dict[str, Any]:
    """Percent by category."""
    found = {}
    async with client(guidance, args.model) as http:
        for category, of_category in asked.items():
            rows = [await ask(http, case, args) for case in of_category]
            found[category] = summary(rows)
            print(f"{guidance} {category}: {found[category]}", file=sys.stderr, flush=True)
    return found


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    seconds = [row["seconds"] for row in rows]
    return {
        "questions": len(rows),
        "name": round(100 * statistics.mean(row["name"] for row in rows), 1),
        "call": round(100 * statistics.mean(row["call"] for row in rows), 1),
        "written_freely": sum(row["free"] for row in rows),
        "p50_s": round(statistics.median(seconds), 2),
        "p95_s": round(percentile(seconds, 0.95), 2),
        "right": [row["id"] for row in rows if row["call"]],
    }


async def ask(http: httpx2.AsyncClient, case: Case, args: argparse.Namespace) -> dict[str, Any]:
    began = time.perf_counter()
    body = {
        "model": args.model, "messages": case.messages, "tools": case.tools, "tool_choice": "required", "temperature": 0,
        "max_tokens": 384, "parallel_tool_calls": False,
    }  # fmt: skip
    answer = (await http.post("/v1/chat/completions", json=body, timeout=300)).json()
    seconds = time.perf_counter() - began
    message = answer["choices"][0]["message"] if "choices" in answer else {}
    calls = [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in message.get("tool_calls") or ()]
    verdict = judge(case, calls)
    if args.verbose and not verdict.call:
        question = case.messages[-1]["content"]
        print(
            f"{case.id} {question[:300]!r}\n    got {calls or answer}\n    accepted {case.accepted}\n    {verdict.error[:200]}",
            flush=True,
        )
    return {
        "id": case.id, "name": verdict.name, "call": verdict.call, "seconds": seconds, "free": bool(answer.get("warnings")),
    }  # fmt: skip


@asynccontextmanager
async def client(
    guidance: str,
    model: str,
    *,
    adapters: Mapping[str, Path] | None = None,
    rows: int | None = None,
    kv_tokens: int | None = None,
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the application over the model, with adapters by name. `rows` and `kv_tokens` as [engine] has them."""
    from portico_gateway.agent.upstream_tool_host import embedder
    from portico_gateway.config.sections import EngineConfig, ModelConfig
    from portico_gateway.guidance.call_guide import CallGuide
    from portico_gateway.http.app import create_app
    from portico_gateway.mcp.server import GatewayServer
    from portico_gateway.model.host import model_host
    from portico_gateway.upstreams.upstreams import Upstreams
    from portico_servers.common.transport import security

    logging.getLogger("httpx2").setLevel(logging.WARNING)
    upstreams = Upstreams([])
    engine = EngineConfig(max_rows=rows, kv_tokens=kv_tokens)
    served = model_host(ModelConfig(name=model, kv_disk_gib=0, adapters=dict(adapters or {})), engine, on_end=lambda _: None)
    guide = CallGuide(embedder().embed, names=guidance in ("auto", "names"), copies=guidance in ("auto", "copies"))
    app = create_app(
        upstreams, GatewayServer(upstreams), served, security=security("127.0.0.1", 8630), load_timeout=LOAD_SECONDS,
        guide=None if guidance == "off" else guide,
    )  # fmt: skip
    transport = httpx2.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url=BASE) as http:
        yield http


if __name__ == "__main__":
    main()
