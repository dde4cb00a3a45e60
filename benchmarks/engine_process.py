"""What does it cost that the engine of `portico serve` is a process of its own? The same requests through both, in turns.

    python benchmarks/engine_process.py [--calls 12] [--repeats 5] [--streams 8] [--executor auto]

One engine is in a thread, as `portico ask` has it, the other in a child process. Both answer the same seeded questions at
temperature 0, one after the other, so that a busy machine slows both; the ratio is the figure to look at. A tool call goes from
the question to the finished call (catalog, prompt, grammar, prior, answer) on the tools of our three servers; a guided one has
`portico ask`'s priors. Starting is measured in fresh processes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import routing_workspace
from portico_engine import EngineClient, EngineProcess, FinishReason, Request, SamplingParams, engine_loader, find_model
from portico_engine.grammar import compile_tool_calls
from portico_gateway.agent.guided.loop import Agent
from portico_gateway.agent.prompts import with_system
from portico_gateway.assembly.ask_session import open_ask_session
from portico_gateway.config.server_spec import default_specs
from report import table, write
from tool_calls import question

GREEDY = SamplingParams(temperature=0.0)
STORY = 48  # tokens of a free answer
FIRSTS = 25  # measures of the time to the first token alone
START = """
import asyncio, sys, time
from portico_engine import AsyncEngine, EngineProcess, engine_loader, find_model
async def main():
    start = time.perf_counter()
    kind = {"thread": AsyncEngine, "process": EngineProcess}[sys.argv[1]]
    engine = await kind.open(engine_loader(find_model(), executor=sys.argv[2]))
    print(time.perf_counter() - start)
    await engine.aclose()
asyncio.run(main())
"""


class Told(NamedTuple):
    """One answer: its text, tokens, and seconds to the first one and to the end."""

    text: str
    tokens: int
    first: float
    seconds: float


class Side(NamedTuple):
    """An engine and an agent over it."""

    engine: EngineClient
    agent: Agent


Measure = Callable[[Side], Awaitable[dict[str, float]]]


async def told(engine: EngineClient, request: Request, begun: float) -> Told:
    text, tokens, first = "", 0, 0.0
    async for delta in engine.generate(request):
        if delta.tokens and not tokens:
            first = time.perf_counter() - begun
        text, tokens = text + delta.text, tokens + len(delta.tokens)
        assert delta.finish_reason is not FinishReason.ERROR, delta.error
    return Told(text, tokens, first, time.perf_counter() - begun)


def tool_call(asked: str, session: Any, *, guided: bool, texts: dict[str, dict[int, str]]) -> Measure:
    async def measure(side: Side) -> dict[str, float]:
        begun = time.perf_counter()
        ranked = session.retriever.rank(asked)
        catalog = await side.agent.requests.catalog(ranked)
        request = Request(
            uuid.uuid4().hex,
            await side.engine.render_chat(with_system(catalog, [{"role": "user", "content": asked}])),
            GREEDY,
            max_tokens=384,
            grammar=compile_tool_calls(catalog.covered, choice="required"),
            prior=side.agent.tool_calls.prior(asked, catalog.covered, ranked) if guided else None,
        )
        answer = await told(side.engine, request, begun)
        json.loads(answer.text)
        texts.setdefault(asked, {})[id(side)] = answer.text
        return {"first": answer.first, "seconds": answer.seconds}

    return measure


def story(streams: int, max_tokens: int = STORY) -> Measure:
    async def measure(side: Side) -> dict[str, float]:
        turns = [[{"role": "user", "content": f"Tell me a long story about {i} kettles."}] for i in range(streams)]
        prompts = [await side.engine.render_chat(turn) for turn in turns]
        begun = time.perf_counter()
        requests = [Request(uuid.uuid4().hex, prompt, GREEDY, max_tokens=max_tokens) for prompt in prompts]
        answers = await asyncio.gather(*(told(side.engine, request, begun) for request in requests))
        seconds = max(answer.seconds for answer in answers)
        if max_tokens == 1:
            return {"seconds": seconds}
        return {"per_token": seconds / sum(answer.tokens for answer in answers)}

    return measure


async def in_turns(sides: dict[str, Side], measures: list[Measure]) -> dict[str, dict[str, float]]:
    """Medians of each figure on each side, and the median of their ratios, after one measure that doesn't count."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for i, measure in enumerate([measures[0], *measures]):
        for name in sorted(sides, reverse=bool(i % 2)):
            figures = await measure(sides[name])
            if i:
                found[name].append(figures)
    out: dict[str, dict[str, float]] = {}
    for key in found["thread"][0]:
        ratios = [b[key] / a[key] for a, b in zip(found["thread"], found["process"], strict=True)]
        medians = {name: statistics.median(each[key] for each in figures) for name, figures in found.items()}
        out[key] = {**medians, "ratio": statistics.median(ratios)}
    return out


def starting(executor: str, repeats: int) -> dict[str, dict[str, float]]:
    seconds: dict[str, list[float]] = {"thread": [], "process": []}
    for _ in range(repeats):
        for name, kept in seconds.items():
            command = [sys.executable, "-c", START, name, executor]
            kept.append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    medians = {name: statistics.median(kept) for name, kept in seconds.items()}
    return {"seconds": {**medians, "ratio": medians["process"] / medians["thread"]}}


async def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    places = routing_workspace.build(folder)
    options = {"executor": args.executor}
    specs = default_specs(places["root"], places["docs"], places["db"])
    async with open_ask_session(routing_workspace.config(args.executor), specs, lambda *_: None) as session:
        child = await EngineProcess.open(engine_loader(find_model(), **options))
        try:
            sides = {
                "thread": Side(session.engine, session.agent),
                "process": Side(child, Agent(child, session.host, session.retriever)),
            }
            texts: dict[str, dict[int, str]] = {}
            asked = [question(random.Random(seed)) for seed in range(args.calls)]
            return {
                "executor": session.engine.info.numerics_id,
                "tool call": await in_turns(sides, [tool_call(q, session, guided=False, texts=texts) for q in asked]),
                "guided tool call": await in_turns(sides, [tool_call(q, session, guided=True, texts={}) for q in asked]),
                "same calls": sum(len(set(each.values())) == 1 for each in texts.values()) / len(texts),
                "first token": await in_turns(sides, [story(1, 1)] * FIRSTS),
                "1 stream": await in_turns(sides, [story(1)] * args.repeats),
                f"{args.streams} streams": await in_turns(sides, [story(args.streams)] * args.repeats),
            }
        finally:
            await child.aclose()


def main() -> None:
    """Measure, print a table, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--executor", default="auto")
    args = parser.parse_args()
    figures = {"start": starting(args.executor, 2)}
    with tempfile.TemporaryDirectory() as folder:
        figures |= asyncio.run(measure(args, Path(folder)))
    rows = [
        [name, key, *(f"{1e3 * found[key][side]:.1f}" for side in ("thread", "process")), f"{found[key]['ratio']:.3f}"]
        for name, found in figures.items()
        if isinstance(found, dict)
        for key in found
    ]
    table(["what", "figure", "thread, ms", "process, ms", "ratio"], rows)
    print(f"{figures['same calls']:.0%} of the calls are the same on both sides")
    write("engine_process", {**vars(args), **figures})


if __name__ == "__main__":
    main()
