"""Calls a second with several adapters mixed in a batch, against none: does a batch keep its speed?

usage: python benchmarks/adapters_in_batch.py --adapter PATH [--adapters 0,1,4,16] [--count 256] [--at-once 64] [--model NAME]
                                              [--chat] [--kv-tokens N] [--no-write]

One server holds as many copies of the adapter as the largest number, each in a place of its own; requests take them in turn.
Copies answer alike, so that every number of them has the same work; the base alone answers otherwise, which is why tokens a
second stand beside calls a second. The adapter must not name prompts of its own, or the base has shorter ones; `--chat` asks
the questions without tools, in prompts that are the same with any adapter, for at most 32 tokens each.

Beside the clock stands the processor time of this process and the engine's: where others work on the machine, that counts.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import httpx2
import psutil

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
    parser.add_argument("--chat", action="store_true", help="plain answers of at most 32 tokens, without tools")
    parser.add_argument("--kv-tokens", type=int, default=None)
    parser.add_argument("--no-write", action="store_true", help="print the figures alone")
    args = parser.parse_args()
    counts = [int(count) for count in args.adapters.split(",")]
    found = anyio.run(measure, args, counts)
    table(
        ["adapters", *next(iter(found.values()))],
        [[n, *f.values()] for n, f in found.items()],
    )
    if not args.no_write:
        command = " ".join(["python", "benchmarks/adapters_in_batch.py", *sys.argv[1:]])
        about = {"command": command, "model": args.model, "at_once": args.at_once, "count": args.count}
        write("adapters-in-batch", {**about, "adapters": found})


async def measure(args: argparse.Namespace, counts: Sequence[int]) -> dict[int, dict[str, float]]:
    """By how many adapters: two rounds each in turn, the faster one counts, by the clock and by processor time apart."""
    names = [f"copy-{at}" for at in range(max(counts))]
    asked = cases("live_simple", 0, args.count)
    rounds: dict[int, list[Round]] = {count: [] for count in counts}
    async with client(
        "off", args.model, adapters=dict.fromkeys(names, args.adapter), rows=args.at_once, kv_tokens=args.kv_tokens
    ) as http:
        await round_of(http, asked[: args.at_once], [f"{args.model}:{name}" for name in names] or [args.model], args)
        for count in (*counts, *counts):
            models = [f"{args.model}:{name}" for name in names[:count]] or [args.model]
            rounds[count].append(await round_of(http, asked, models, args))
            print(f"{count} adapters: {rounds[count][-1]}", file=sys.stderr, flush=True)
    best = {count: Round(*map(max, zip(*of, strict=True))) for count, of in rounds.items()}
    none = best.get(0, Round(0.0, 0.0, 0.0))
    return {
        count: {
            "calls_s": round(found.calls_s, 1), "tokens_s": round(found.tokens_s, 1),
            "of_none": share(found.tokens_s, none.tokens_s), "tokens_processor_s": round(found.tokens_processor_s, 2),
            "of_none_processor": share(found.tokens_processor_s, none.tokens_processor_s),
        }
        for count, found in best.items()
    }  # fmt: skip


class Round(NamedTuple):
    """What was done in a second by the clock, and of this process and its children."""

    calls_s: float
    tokens_s: float
    tokens_processor_s: float


def share(value: float, of: float) -> float:
    return round(value / of, 3) if of else 0.0


def processor_seconds() -> float:
    """Of this process and its children so far."""
    this, seconds = psutil.Process(), 0.0
    for process in (this, *this.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds


async def round_of(http: httpx2.AsyncClient, asked: Sequence[Case], models: Sequence[str], args: argparse.Namespace) -> Round:
    tokens: list[int] = []
    refused: list[str] = []
    limit = anyio.CapacityLimiter(args.at_once)
    began, used = time.perf_counter(), processor_seconds()
    async with anyio.create_task_group() as group:
        for case, model in zip(asked, itertools.cycle(models), strict=False):
            group.start_soon(ask, http, case, model, limit, tokens, refused, args.chat)
    if refused:
        raise SystemExit(refused[0])
    seconds, used = time.perf_counter() - began, processor_seconds() - used
    return Round(len(tokens) / seconds, sum(tokens) / seconds, sum(tokens) / used)


async def ask(
    http: httpx2.AsyncClient,
    case: Case,
    model: str,
    limit: anyio.CapacityLimiter,
    tokens: list[int],
    refused: list[str],
    chat: bool,
) -> None:
    """Adds to `tokens`, or to `refused`."""
    body: dict[str, Any] = {"model": model, "messages": case.messages, "temperature": 0}
    body |= {"max_tokens": 32} if chat else {"tools": case.tools, "tool_choice": "required", "max_tokens": 128}
    async with limit:
        answer = await http.post("/v1/chat/completions", json=body, timeout=600)
    if answer.status_code == 200:  # a few of BFCL's tools are refused: with any adapter alike
        tokens.append(answer.json()["usage"]["completion_tokens"])
    elif answer.status_code >= 500 or chat:  # nothing of such a request is its tools' fault
        refused.append(f"{model} answered {answer.status_code}: {answer.text[:300]}")


if __name__ == "__main__":
    main()
