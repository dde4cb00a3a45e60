"""Are guided calls the same as another checkout's, and what do reading and compiling one cost of the processor?

usage: python benchmarks/guided_calls.py [--before TREE] [--rounds 4] [--no-write]

The load's tools with its questions, and, where the package bfcl-eval is installed, sixty of BFCL's from each of six sections:
by themselves, with an earlier result and as an adapter's, tools of several servers together among them. Of each question what
guidance says of the call (tools narrowed, prior, values left free) and the text of the compiled grammar go into a digest by
section. Times are the thread's own, the tenth of a hundred questions, so that a busy machine counts less; checkouts take turns,
each in a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import thread_time
from typing import Any

import tool_call_load
from report import table, write

SECTIONS = ("simple_python", "multiple", "live_simple", "live_multiple", "parallel", "irrelevance")
QUESTIONS = 60  # of each
TIMED = 100
MODES: tuple[dict[str, Any], ...] = ({}, {"tuned": True}, {"earlier": "Found: 17 of Monday in Boston, 'urgent', see a/b.py"})
_HERE = Path(__file__).resolve()


def tools_of(functions: Sequence[dict[str, Any]]) -> tuple[Any, ...]:
    from portico_engine import Tool

    made = [each["function"] for each in functions]
    return tuple({each["name"]: Tool(each["name"], each.get("description", ""), each["parameters"]) for each in made}.values())


def load_questions() -> list[tuple[Any, str]]:
    tools = tools_of(tool_call_load.TOOLS)
    return [(tools, f"({i}) {tool_call_load.QUESTIONS[i % len(tool_call_load.QUESTIONS)]}") for i in range(TIMED)]


def questions() -> Iterator[tuple[str, Any, str]]:
    """Section, tools and question."""
    for tools, asked in load_questions():
        yield "load", tools, asked
    if importlib.util.find_spec("bfcl_eval") is None:
        return
    from bfcl_cases import cases
    from portico_engine import Tool

    found = [(section, case) for section in SECTIONS for case in cases(section, 0, QUESTIONS)]
    for section, case in found:
        yield section, tools_of(case.tools), case.messages[-1]["content"]
    together: dict[str, Any] = {}
    for _, case in found[::9]:
        for tool in tools_of(case.tools):
            name = f"s{len(together) % 3}__{tool.name}"[:60]
            together.setdefault(name, Tool(name, tool.description, tool.parameters))
    for _, case in found[::12]:
        yield "several servers", tuple(together.values())[:24], case.messages[-1]["content"]


def said(guided: Any, grammar: Any) -> bytes:
    """What guidance says of a call, and its grammar, in order."""
    prior = guided.prior
    calls = None if prior is None else [[*prior.names.items()], [(name, _prior(of)) for name, of in prior.calls.items()]]
    tools = [[tool.name, tool.description, tool.parameters] for tool in guided.tools]
    free = [(name, [*paths]) for name, paths in guided.free.items()]
    return json.dumps([tools, calls, free, None if grammar is None else grammar.text], default=str).encode()


def _prior(of: Any) -> list[Any]:
    weights = [[(path, [*each.items()]) for path, each in part.items()] for part in (of.keys, of.values, of.bare)]
    items = [(path, [*map(_prior, each)]) for path, each in of.items.items()]
    return [weights, items, [(path, [(name, _prior(below)) for name, below in each.items()]) for path, each in of.then.items()]]


def measure(rounds: int) -> dict[str, Any]:
    """Digests by section, and milliseconds of the processor by part."""
    from portico_engine.errors import EngineError
    from portico_engine.grammar import compile_tool_calls
    from portico_gateway.agent.upstream_tool_host import embedder
    from portico_gateway.guidance.call_guide import CallGuide

    guide = CallGuide(embedder().embed)
    digests: dict[str, Any] = {}
    for number, (section, tools, asked) in enumerate(questions()):
        for mode in MODES if number % 3 == 0 else MODES[:1]:
            guided = guide.guide(tools, asked, **mode)
            try:
                grammar = compile_tool_calls(guided.tools)
            except EngineError:
                grammar = None
            digests.setdefault(section, hashlib.sha256()).update(said(guided, grammar))
    times: dict[str, list[float]] = {"guide": [], "compile": []}
    for each in range(rounds):
        spent: list[tuple[float, float]] = []
        for tools, asked in load_questions():
            began = thread_time()
            guided = guide.guide(tools, f"{each}{asked}")
            read = thread_time()
            compile_tool_calls(guided.tools)
            spent.append((read - began, thread_time() - read))
        for part, values in zip(times, zip(*spent, strict=True), strict=True):
            times[part].append(sorted(values)[TIMED // 10] * 1000)
    return {
        "digests": {section: digest.hexdigest()[:16] for section, digest in digests.items()},
        "ms": {part: round(min(values), 2) for part, values in times.items()},
    }


def measured_in(tree: Path, rounds: int) -> dict[str, Any]:
    """The same of a checkout, in a process of its own."""
    paths = os.pathsep.join(str(tree.resolve() / each) for each in ("engine", "gateway", "servers"))
    command = [sys.executable, str(_HERE), "--measure", str(rounds)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, metavar="TREE", help="another checkout, to compare with")
    parser.add_argument("--rounds", type=int, default=4, help="over the load's questions; the least counts")
    parser.add_argument("--measure", type=int, metavar="ROUNDS", help=argparse.SUPPRESS)
    parser.add_argument("--no-write", action="store_true", help="write no results")
    args = parser.parse_args()
    if args.measure is not None:
        print(json.dumps(measure(args.measure)))
        return 0
    found = {"now": measured_in(_HERE.parents[1], args.rounds)}
    if args.before is not None:
        found["before"] = measured_in(args.before, args.rounds)
    table(["ms a call", *found["now"]["ms"]], [[name, *each["ms"].values()] for name, each in found.items()])
    table(
        ["section", *found],
        [[section, *(each["digests"][section] for each in found.values())] for section in found["now"]["digests"]],
    )
    same = all(each["digests"] == found["now"]["digests"] for each in found.values())
    print("the same" if same else "other calls")
    if not args.no_write:
        write("guided_calls", {"trees": found, "same": same})
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
