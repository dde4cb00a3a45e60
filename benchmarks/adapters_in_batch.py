"""Calls a second with several adapters mixed in a batch, against none: does a batch keep its speed?

usage: python benchmarks/adapters_in_batch.py --adapter PATH [--adapters 0,1,4,16] [--count 256] [--at-once 64] [--model NAME]
                                              [--kv-tokens N] [--no-write]

One server holds as many copies of the adapter as the largest number, each in a place of its own; requests take them in turn.
Copies answer alike, so that every number of them has the same work; the base alone answers otherwise, which is why tokens a
second stand beside calls a second. The adapter must not name prompts of its own, or the base has shorter ones.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import httpx2

from bfcl import client
from bfcl_cases import Case, cases
from report import table, write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", type=Path, required=True)
    parser.add_argument("--adapters", default="0,1,4,16", help="how many at once, separated by commas")
    parser.add_argument("--count", type=int, default=256, help="calls that are timed")
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--kv-tokens", type=int, default=None)
    parser.add_argument("--no-write", action="store_true", help="print the figures alone")
    args = parser.parse_args()
    counts = [int(count) for count in args.adapters.split(",")]
    found = anyio.run(measure, args, counts)
    table(
        ["adapters", "calls/s", "tokens/s", "of none"],
        [[n, f["calls_s"], f["tokens_s"], f["of_none"]] for n, f in found.items()],
    )
    if not args.no_write:
        command = " ".join(["python", "benchmarks/adapters_in_batch.py", *sys.argv[1:]])
        write("adapters-in-batch", {"command": command, "model": args.model, "at_once": args.at_once, "adapters": found})


async def measure(args: argparse.Namespace, counts: Sequence[int]) -> dict[int, dict[str, float]]:
    """By how many adapters: two rounds each in turn, the faster one counts."""
    names = [f"copy-{at}" for at in range(max(counts))]
    asked = cases("live_simple", 0, args.count)
    best: dict[int, tuple[float, float]] = {}
    async with client(
        "off", args.model, adapters=dict.fromkeys(names, args.adapter), rows=args.at_once, kv_tokens=args.kv_tokens
    ) as http:
        await round_of(http, asked[: args.at_once], [f"{args.model}:{name}" for name in names] or [args.model], args)
        for count in (*counts, *counts):
            models = [f"{args.model}:{name}" for name in names[:count]] or [args.model]
            best[count] = max(best.get(count, (0.0, 0.0)), await round_of(http, asked, models, args))
    none = best.get(0, (0.0, 0.0))[1]
    return {
        count: {"calls_s": round(calls, 1), "tokens_s": round(tokens), "of_none": round(tokens / none, 3) if none else 0.0}
        for count, (calls, tokens) in best.items()
    }


async def round_of(
    http: httpx2.AsyncClient, asked: Sequence[Case], models: Sequence[str], args: argparse.Namespace
) -> tuple[float, float]:
    """Calls and completion tokens a second."""
    tokens: list[int] = []
    limit = anyio.CapacityLimiter(args.at_once)
    began = time.perf_counter()
    async with anyio.create_task_group() as group:
        for case, model in zip(asked, itertools.cycle(models), strict=False):
            group.start_soon(ask, http, case, model, limit, tokens)
    seconds = time.perf_counter() - began
    return len(tokens) / seconds, sum(tokens) / seconds


async def ask(http: httpx2.AsyncClient, case: Case, model: str, limit: anyio.CapacityLimiter, tokens: list[int]) -> None:
    body: dict[str, Any] = {"model": model, "messages": case.messages, "tools": case.tools, "temperature": 0}
    async with limit:
        answer = await http.post(
            "/v1/chat/completions", json=body | {"tool_choice": "required", "max_tokens": 128}, timeout=600
        )
    if answer.status_code == 200:  # a few of BFCL's tools are refused: with any adapter alike
        tokens.append(answer.json()["usage"]["completion_tokens"])


if __name__ == "__main__":
    main()
