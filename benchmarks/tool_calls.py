"""Is every tool call valid? 200 seeded questions at temperature 0.7 through the engine's tool-call path.

usage: python benchmarks/tool_calls.py [--calls 200] [--guided] [--max-tokens 384]

The tools are those of our three servers on a generated workspace, as `portico ask` sees them. Each call is parsed as JSON and
validated by jsonschema against the schema of the tool that it names, independently of the grammar that it was decoded under.
Prints the tally, sampled steps and forced share a call, and the calls that failed, if any.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import jsonschema
from rich.progress import track

from report import percentile, table, write

FORMS = (
    "Where is {a} defined?", "How many {b} are there?", "How do I {c}?", "Which {b} has the highest {d}?",
    "Who calls {a}?", "Find {a} in {f}.", "Explain {e}.",
    "What does the manual say about {e}?", "Show the first ten {b}.", "List the {b} by {d}.",
    "{e}?", "Count the {b} whose {d} is above {n}.", "Read lines {n} to {m} of {f}.",
    "What changed since {g}?", "Describe {b}.",
    'Say "{e}" \\ {n} \u00e9\u4e2d\U0001f600.',
)  # fmt: skip
WORDS = {
    "a": ["compile_path", "the retry loop", "Option.get_default", "class Router", "on_event()", "__init__"],
    "b": ["patients", "doctors", "appointments", "departments", "prescriptions", "cities"],
    "c": ["install it with conda", "stream a response", "configure a timeout", "print colours", "run it in a notebook"],
    "d": ["fee", "age", "number of days", "floor", "date"],
    "e": ["nested progress bars", "alternative servers", "table formats", "licence", "async usage"],
    "f": ["starlette/routing.py", "click/core.py", "the tests", "README"],
    "g": ["yesterday", "v1.0", "2024-05-01", "HEAD~3"],
}


def question(rng: random.Random) -> str:
    values = {key: rng.choice(words) for key, words in WORDS.items()}
    return rng.choice(FORMS).format(**values, n=rng.randrange(1, 500), m=rng.randrange(500, 900))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--max-tokens", type=int, default=384)
    parser.add_argument("--guided", action="store_true", help="with the agent's priors, as `portico ask` decodes")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(measure, args, Path(folder))


async def measure(args: argparse.Namespace, folder: Path) -> None:
    import routing_workspace
    from portico_gateway.assembly.ask_session import open_ask_session
    from portico_gateway.config.server_spec import default_specs

    places = routing_workspace.build(folder)
    specs = default_specs(places["root"], places["docs"], places["db"])
    async with open_ask_session(routing_workspace.config(), specs, lambda *_: None) as session:
        schemas = {tool.name: tool.parameters for tool in session.host.tools()}
        calls = []
        for seed in track(range(args.calls), "calling", disable=not sys.stderr.isatty()):
            calls.append(await one(session, schemas, seed, args))
    report(calls, len(schemas), args)


async def one(session: Any, schemas: dict[str, Any], seed: int, args: argparse.Namespace) -> dict[str, Any]:
    from portico_engine import FinishReason, Request, SamplingParams
    from portico_engine.grammar import compile_tool_calls
    from portico_gateway.agent.prompts import with_system

    asked = question(random.Random(seed))
    ranked = session.retriever.rank(asked)
    catalog = await session.agent.requests.catalog(ranked)
    request = Request(
        id=uuid.uuid4().hex,
        prompt=await session.engine.render_chat(with_system(catalog, [{"role": "user", "content": asked}])),
        sampling=SamplingParams(temperature=0.7, seed=seed),
        max_tokens=args.max_tokens,
        grammar=compile_tool_calls(catalog.covered, choice="required"),
        prior=session.agent.tool_calls.prior(asked, catalog.covered, ranked) if args.guided else None,
    )
    started, text, end = time.perf_counter(), "", None
    async for delta in session.engine.generate(request):
        text += delta.text
        end = delta if delta.finish_reason is not None else end
    assert end is not None
    assert end.usage is not None
    failure = None if end.finish_reason is FinishReason.STOP else f"finished by {end.finish_reason}"
    name = ""
    try:
        call = json.loads(text)
        name = call["name"]
        jsonschema.Draft202012Validator(schemas[name]).validate(call["arguments"])
    except (ValueError, KeyError, jsonschema.ValidationError) as error:
        failure = f"{type(error).__name__}: {error}".splitlines()[0]
    usage = end.usage
    return {
        "question": asked, "text": text, "tool": name, "failure": failure, "seconds": time.perf_counter() - started,
        "sampled_steps": usage.sampled_steps, "tokens": usage.completion_tokens, "forced": usage.forced_tokens,
    }  # fmt: skip


def report(calls: list[dict[str, Any]], tools: int, args: argparse.Namespace) -> None:
    valid = sum(c["failure"] is None for c in calls)
    steps = [c["sampled_steps"] for c in calls]
    figures = {
        "calls": len(calls), "valid": valid, "tools": tools, "temperature": 0.7,
        "max_tokens": args.max_tokens, "guided": args.guided,
        "sampled_steps_mean": statistics.mean(steps), "sampled_steps_p50": statistics.median(steps),
        "tokens_mean": statistics.mean(c["tokens"] for c in calls),
        "forced_share": sum(c["forced"] for c in calls) / sum(c["tokens"] for c in calls),
        "seconds_p50": statistics.median(c["seconds"] for c in calls),
        "seconds_p95": percentile([c["seconds"] for c in calls], 0.95),
        "by_tool": dict(Counter(c["tool"] for c in calls).most_common()),
    }  # fmt: skip
    rows = [[k, f"{v:.3g}" if isinstance(v, float) else v] for k, v in figures.items() if k != "by_tool"]
    table(["figure", "value"], rows)
    table(["tool", "calls"], list(figures["by_tool"].items()))
    for call in calls:
        if call["failure"]:
            print(f"FAILED {call['question']!r}: {call['failure']}\n  {call['text'][:300]!r}")
    write("tool_calls_guided" if args.guided else "tool_calls", figures)
    if valid < len(calls):
        sys.exit(1)


if __name__ == "__main__":
    main()
