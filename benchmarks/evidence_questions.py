"""What a look at the servers decides: 121 questions, by hand, over three packages' code, three manuals and three databases.

usage: python benchmarks/evidence_questions.py [--part open|closed|all] [--setting NAME]... [--journal FILE] [--no-write]
       python benchmarks/evidence_questions.py --choice [--part open]
       python benchmarks/evidence_questions.py --check

Asked and judged as server_questions.py does: all tools of the three servers, `serve`'s API, greedy, tool_choice "required", and
then the call is made. Weights were tried on the open half; the closed one was asked after that. `--choice` asks no model: which
tool the guidance puts first, whether that call finds it where a server has proposed one, and what the looks take of the
processor. `--check` proves the questions.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import psutil

from evidence_questions_material import CACHE, WORKSPACES, Question, as_committed, bring, place, problems, questions
from report import table, write
from server_questions import SETTINGS, Journal, call, result_of
from server_questions_judging import call_rows
from server_questions_model import ROWS, open_model, open_servers
from server_questions_scoring import finds, right_tool

DEFAULT = ("shipped auto", "shipped auto without looks", "none auto", "none auto without looks", "shipped off", "none off")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("open", "closed", "all"), default="all")
    parser.add_argument("--setting", action="append", default=[], choices=SETTINGS, help="repeatable; default: six")
    parser.add_argument("--journal", type=Path, default=CACHE / "journal.jsonl", help="what was asked already")
    parser.add_argument("--choice", action="store_true", help="what guidance puts first; ask no model")
    parser.add_argument("--check", action="store_true", help="prove the questions")
    parser.add_argument("--no-write", action="store_true", help="print the figures alone")
    args = parser.parse_args()
    bring()
    chosen = questions(args.part)
    if args.check:
        wrong = [] if as_committed() else ["the questions are not those whose digest was committed"]
        wrong += [f"{question['question']}: {problem}" for question in chosen for problem in problems(question)]
        print(*wrong, f"{len(chosen)} questions, {len(wrong)} problems", sep="\n")
        raise SystemExit(bool(wrong))
    if args.choice:
        anyio.run(choose, chosen, args.part == "open")
        return
    journal, names = Journal(args.journal), args.setting or list(DEFAULT)
    anyio.run(measure, chosen, names, journal)
    found = {name: [journal[question["id"], name] for question in chosen] for name in names}
    figures: dict[str, Any] = {"command": " ".join(["python", "benchmarks/evidence_questions.py", *sys.argv[1:]]), "shares": {}}
    for area, headings, lines, shares in call_rows(chosen, found):
        table([area, *headings], lines)
        figures["shares"][area] = shares
    figures["rows"] = [row for rows in found.values() for row in rows]
    if not args.no_write:
        write(f"evidence_questions_{args.part}", figures)


async def measure(chosen: Sequence[Question], names: Sequence[str], journal: Journal) -> None:
    """Ask what the journal hasn't, each question under all settings before the next."""
    todo = [question for question in chosen if any((question["id"], name) not in journal for name in names)]
    if not todo:
        return
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(open_model())
        hosts = {name: await stack.enter_async_context(open_servers(place(name))) for name in WORKSPACES}

        async def one(question: Question, name: str) -> None:
            journal.add(await call(model, hosts[question["workspace"]], question, name))

        for first in range(0, len(todo), ROWS):
            for name in names:
                with model.under(SETTINGS[name]):
                    async with anyio.create_task_group() as group:
                        for question in todo[first : first + ROWS]:
                            if (question["id"], name) not in journal:
                                group.start_soon(one, question, name)
            print(f"{min(first + ROWS, len(todo))} of {len(todo)}", file=sys.stderr, flush=True)


def _childrens_seconds() -> float:
    """Processor time of all processes that this one has started, and those have."""
    return sum(sum(child.cpu_times()[:2]) for child in psutil.Process().children(recursive=True))


async def choose(chosen: Sequence[Question], verbose: bool) -> None:
    """What guidance puts first, what the proposed call of that finds, and what the looks take."""
    from portico_gateway.agent.question_looks import QuestionLooks
    from portico_gateway.agent.upstream_tool_host import embedder
    from portico_gateway.caller import Caller
    from portico_gateway.guidance.call_guide import CallGuide

    guide = CallGuide(embedder().embed, information=embedder().information)
    right: dict[str, list[tuple[bool, bool]]] = {}
    took = {"servers": 0.0, "guidance with it": 0.0, "guidance without": 0.0}
    for name in WORKSPACES:
        async with open_servers(place(name)) as host:
            looks, tools = QuestionLooks(host.tool_calls, seconds=30.0), host.tools()
            some = [one for one in chosen if one["workspace"] == name]
            await looks.of(tools, "what is first read of all this?", Caller())
            began = _childrens_seconds()
            read = [await looks.of(tools, question["question"], Caller()) for question in some]
            took["servers"] += _childrens_seconds() - began
            for question, readings in zip(some, read, strict=True):
                asked, began = question["question"], time.process_time()
                guide.guide(tools, asked, tuned=True)
                between = time.process_time()
                prior = guide.guide(tools, asked, tuned=True, readings=readings).prior
                took["guidance with it"] += time.process_time() - between
                took["guidance without"] += between - began
                assert prior is not None
                tool = max(prior.names, key=lambda each: prior.names[each])
                arguments = getattr(readings.get(tool), "arguments", {"query": asked} if tool.endswith("__search") else None)
                found = arguments is not None and finds(question, *await result_of(host, tool, dict(arguments)))
                right.setdefault(question["area"], []).append((right_tool(question, tool), found))
                if verbose and (not right_tool(question, tool) or not found):
                    print(f"{question['area']} -> {tool}{'' if found else ', finds nothing'}: {asked} {arguments}")
    print("processor time of a question, ms:", {part: round(1000 * seconds / len(chosen), 1) for part, seconds in took.items()})
    for area, of in right.items():
        print(f"{area}: right tool {sum(a for a, _ in of)}, finds {sum(b for _, b in of)} of {len(of)}")


if __name__ == "__main__":
    main()
