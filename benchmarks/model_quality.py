"""A model's tool calls with and without an adapter, on BFCL's sections, many questions at a time.

usage: python benchmarks/model_quality.py [--adapter NAME=PATH]... [--guidance auto|off]... [--section SECTION]... [--count 400]
                                          [--first 0] [--at-once 64] [--model NAME] [--answers FILE] [--name NAME] [--no-write]

Greedy, through `POST /v1/chat/completions` as `portico serve` answers it. Single calls and several (`parallel`) with
tool_choice "required". With "auto": `irrelevance`, where no tool fits and right is no call, and `answerable`, where one does.
`--answers` keeps every call, so that it can be judged where BFCL's checker is installed (`--judge FILE` does that alone). 95%
intervals are Wilson's. Adapters whose names differ in `-seedN` alone are one recipe, whose mean and interval over the seeds are
told besides (model_quality_seeds.py, which draws them).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import httpx2

from bfcl import client
from bfcl_cases import CATEGORIES, NONE, SEVERAL, Case, cases, judge
from model_quality_seeds import over_seeds
from report import table, write

ANSWERABLE = "answerable"  # simple_python's questions, where not calling is a choice as well
SECTIONS = (*CATEGORIES, SEVERAL, NONE, ANSWERABLE)
BASE = "base"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", action="append", default=[], metavar="NAME=PATH", help="repeatable")
    parser.add_argument("--without-base", action="store_true", help="the adapters alone")
    parser.add_argument("--guidance", action="append", default=[], choices=("auto", "off"), help="with --answers, one only")
    parser.add_argument("--section", action="append", default=[], choices=SECTIONS, help="default: all")
    parser.add_argument("--first", type=int, default=0, help="questions of each section that are passed over")
    parser.add_argument("--count", type=int, default=400, help="questions of each section that are asked")
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--kv-tokens", type=int, default=None)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--answers", type=Path, help="where every call is kept")
    parser.add_argument("--judge", type=Path, action="append", default=[], help="judge kept calls; ask nothing")
    parser.add_argument("--name", default="model-quality", help="of the result")
    parser.add_argument("--no-write", action="store_true", help="print the figures alone")
    args = parser.parse_args()
    if args.answers and len(args.guidance) != 1:
        parser.error("--answers keeps the calls under one --guidance; name it")
    asked = {section: questions_of(section, args.first, args.count) for section in args.section or SECTIONS}
    kept: dict[str, dict[str, dict[str, Any]]] = {}
    for path in args.judge:
        for name, of in json.loads(path.read_text(encoding="utf-8")).items():
            kept.setdefault(name, {}).update(of)
    if not args.judge:
        adapters = {name: Path(path) for name, _, path in (one.partition("=") for one in args.adapter)}
        for guidance in args.guidance or ("auto", "off"):
            kept |= anyio.run(answers, guidance, asked, adapters, args)
    figures = {name: dict(judged(asked, of)) for name, of in kept.items()}
    for name, found in figures.items():
        table(
            [name, "questions", "name", "call", "95%"],
            [[s, f["questions"], f["name"], f["call"], f["interval"]] for s, f in found.items()],
        )
    groups = over_seeds(figures)
    for name, by_section in groups.items():
        rows = [[s, f["mean"], f["interval"], " ".join(map(str, f["percent"]))] for s, f in by_section.items()]
        table([f"{name}, {len(next(iter(by_section.values()))['seeds'])} seeds", "mean", "95%", "each"], rows)
    if not args.no_write:
        command = " ".join(["python", "benchmarks/model_quality.py", *sys.argv[1:]])
        about = {"command": command, "model": args.model, "first": args.first, "figures": figures}
        write(args.name, about | ({"over_seeds": groups} if groups else {}))


def questions_of(section: str, first: int, count: int) -> list[Case]:
    """So many of a section's."""
    if section != ANSWERABLE:
        return cases(section, first, count)
    return [case._replace(id=f"{ANSWERABLE} {case.id}") for case in cases("simple_python", first, min(count, 200))]


async def answers(
    guidance: str, asked: Mapping[str, Sequence[Case]], adapters: Mapping[str, Path], args: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """By "model guidance", by question: its calls as [name, arguments], or what went wrong."""
    found: dict[str, dict[str, Any]] = {}
    async with client(guidance, args.model, adapters=adapters, rows=args.at_once, kv_tokens=args.kv_tokens) as http:
        for adapter in [*([] if args.without_base else [None]), *adapters]:
            name = f"{adapter or BASE} {guidance}"
            model = args.model if adapter is None else f"{args.model}:{adapter}"
            of = found[name] = {}
            began = time.perf_counter()
            for section, questions in asked.items():
                limit = anyio.CapacityLimiter(args.at_once)
                async with anyio.create_task_group() as group:
                    for case in questions:
                        group.start_soon(ask, http, case, model, limit, of)
                if args.answers:
                    args.answers.write_text(json.dumps(found, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
                print(f"{name} {section}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return found


async def ask(http: httpx2.AsyncClient, case: Case, model: str, limit: anyio.CapacityLimiter, out: dict[str, Any]) -> None:
    body = {
        "model": model, "messages": case.messages, "tools": case.tools, "temperature": 0, "max_tokens": 512,
        "tool_choice": "auto" if may_refuse(case) else "required", "parallel_tool_calls": case.category == SEVERAL,
    }  # fmt: skip
    if may_refuse(case):  # how sure of it the model is
        body |= {"logprobs": True, "top_logprobs": 5}
    async with limit:
        answer = (await http.post("/v1/chat/completions", json=body, timeout=600)).json()
    if "choices" not in answer:
        out[case.id] = {"error": answer}
        return
    message = answer["choices"][0]["message"]
    first = (answer["choices"][0].get("logprobs") or {}).get("content") or [None]
    calls = [[c["function"]["name"], c["function"]["arguments"]] for c in message.get("tool_calls") or ()]
    out[case.id] = {"calls": calls} if calls else {"calls": [], "text": message.get("content")}
    if first[0] is not None:
        out[case.id]["first"] = [[one["token"], round(one["logprob"], 3)] for one in first[0]["top_logprobs"]]


def may_refuse(case: Case) -> bool:
    """Is not calling a choice?"""
    return case.category == NONE or case.id.startswith(ANSWERABLE)


def judged(asked: Mapping[str, Sequence[Case]], answered: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Percent by section."""
    for section, questions in asked.items():
        named, right, count = 0, [], 0
        for case in questions:
            answer = answered.get(case.id)
            if answer is None:
                continue
            count += 1
            calls = [(name, _parsed(arguments)) for name, arguments in answer.get("calls", ())]
            if section == NONE:
                named, right = (
                    named + (not calls and "error" not in answer),
                    right + [case.id] * (not calls and "error" not in answer),
                )
            else:
                verdict = judge(case, calls)
                named, right = named + verdict.name, right + [case.id] * verdict.call
        if count:
            yield section, {
                "questions": count, "name": round(100 * named / count, 1), "call": round(100 * len(right) / count, 1),
                "interval": interval(len(right), count), "right": right,
            }  # fmt: skip


def _parsed(arguments: str) -> dict[str, Any]:
    try:
        return dict(json.loads(arguments))
    except ValueError:
        return {}


def interval(right: int, count: int) -> str:
    """Wilson's 95% interval of a share, in percent."""
    z, p = 1.96, right / count
    middle, half = p + z * z / (2 * count), z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    whole = 1 + z * z / count
    return f"{100 * (middle - half) / whole:.1f}-{100 * (middle + half) / whole:.1f}"


if __name__ == "__main__":
    main()
