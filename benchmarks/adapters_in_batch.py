"""Calls a second with several adapters mixed in a batch, against none: does a batch keep its speed?

usage: python benchmarks/adapters_in_batch.py --adapter PATH [--adapters 0,1,4,16] [--count 256] [--at-once 64] [--rounds 3]
                                              [--model NAME] [--trained] [--chat] [--kv-tokens N] [--no-write]

Two servers stand side by side: one without any adapter, and one that holds as many copies as the largest number, each in a
place of its own, whose requests take them in turn (0: copies are there and nobody asks for one). The copies change nothing:
their B is zero, and they name no prompts of their own, so that every number of them, and none, has the same prompts and the
same answers, and calls a second compare. With `--trained` they are the adapter as it is, whose calls are shorter or longer than
the base's: tokens a second stand beside. `--chat` asks the questions without tools, for at most 32 tokens each.

Each number is warmed up with all of the questions, so that grammars, kernels and the beginnings of prompts are there for all
alike; then come rounds of all in turn, and a share is the median over rounds of what it is of that round's calls without
adapters. Beside the clock stands the processor time of this process and the engines: where others work on the machine, that
counts.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import httpx2
import psutil

from bfcl import client
from bfcl_cases import Case, cases
from report import table, write

NONE = "none"  # a server that holds no adapter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", type=Path, required=True)
    parser.add_argument("--adapters", default="0,1,4,16", help="how many at once, separated by commas")
    parser.add_argument("--count", type=int, default=256, help="calls that are timed")
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--trained", action="store_true", help="the adapter as it is, instead of one that changes nothing")
    parser.add_argument("--chat", action="store_true", help="plain answers of at most 32 tokens, without tools")
    parser.add_argument("--kv-tokens", type=int, default=None)
    parser.add_argument("--no-write", action="store_true", help="print the figures alone")
    args = parser.parse_args()
    counts = [int(count) for count in args.adapters.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        adapter = args.adapter if args.trained else without_effect(args.adapter, Path(folder) / "adapter")
        rounds = anyio.run(measure, args, adapter, counts)
    found = figures(rounds)
    table(["adapters", *next(iter(found.values()))], [[n, *f.values()] for n, f in found.items()])
    if not args.no_write:
        command = " ".join(["python", "benchmarks/adapters_in_batch.py", *sys.argv[1:]])
        about = {"command": command, "model": args.model, "at_once": args.at_once, "count": args.count, "rounds": args.rounds}
        write("adapters-in-batch", {**about, "adapters": found})


def without_effect(adapter: Path, out: Path) -> Path:
    """A copy of a PEFT folder whose B is zero, and which names no prompts of its own."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    shutil.copytree(adapter, out)
    file = out / "adapter_model.safetensors"
    with safe_open(file, "pt") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (it is no mapping)
    file.unlink()
    save_file({n: t.zero_() if ".lora_B." in n else t for n, t in tensors.items()}, file, metadata={"format": "pt"})
    return out


async def measure(args: argparse.Namespace, adapter: Path, counts: Sequence[int]) -> dict[str, list[Round]]:
    """Rounds by how many adapters the requests take in turn, and those of a server that holds none."""
    names = [f"copy-{at}" for at in range(max(counts))]
    asked = cases("live_simple", 0, args.count)
    async with AsyncExitStack() as stack:
        bare, holding = [
            await stack.enter_async_context(
                client("off", args.model, adapters=dict.fromkeys(of, adapter), rows=args.at_once, kv_tokens=args.kv_tokens)
            )
            for of in ((), names)
        ]
        ways = {NONE: (bare, [args.model])}
        ways |= {str(n): (holding, [f"{args.model}:{name}" for name in names[:n]] or [args.model]) for n in counts}
        rounds: dict[str, list[Round]] = {count: [] for count in ways}
        for at in range(1 + args.rounds):
            for count, way in ways.items():
                made = await round_of(*way, asked, args)
                print(f"{count} adapters: {made}{'' if at else ' (warming up)'}", file=sys.stderr, flush=True)
                rounds[count] += [made] if at else []
    return rounds


def figures(rounds: Mapping[str, Sequence[Round]]) -> dict[str, dict[str, float]]:
    """Medians over the rounds, by the clock and by processor time apart; shares are of the same round without adapters."""
    none = rounds[NONE]

    def share(of: Sequence[Round], name: str) -> float:
        pairs = zip(of, none, strict=True)
        return round(statistics.median(getattr(one, name) / max(getattr(other, name), 1e-9) for one, other in pairs), 3)

    return {
        count: {
            "calls_s": round(statistics.median(one.calls_s for one in of), 1), "of_none": share(of, "calls_s"),
            "tokens_s": round(statistics.median(one.tokens_s for one in of), 1), "tokens_of_none": share(of, "tokens_s"),
            "tokens_a_call": round(statistics.median(one.tokens_a_call for one in of), 2),
            "tokens_processor_s": round(statistics.median(one.tokens_processor_s for one in of), 2),
            "of_none_processor": share(of, "tokens_processor_s"),
        }
        for count, of in rounds.items()
    }  # fmt: skip


class Round(NamedTuple):
    """What was done in a second by the clock, and of this process and its children."""

    calls_s: float
    tokens_s: float
    tokens_processor_s: float
    tokens_a_call: float


def processor_seconds() -> float:
    """Of this process and its children so far; the server that nobody asks takes none."""
    this, seconds = psutil.Process(), 0.0
    for process in (this, *this.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds


async def round_of(http: httpx2.AsyncClient, models: Sequence[str], asked: Sequence[Case], args: argparse.Namespace) -> Round:
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
    return Round(len(tokens) / seconds, sum(tokens) / seconds, sum(tokens) / used, sum(tokens) / len(tokens))


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
