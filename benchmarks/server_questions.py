"""Our three servers, 300 questions: is the right tool called, does the call find what was asked, is the answer right?

usage: python benchmarks/server_questions.py [--setting NAME]... [--answer NAME]... [--count 300] [--hours H H] [--journal FILE]
                                             [--report] [--no-write]
       python benchmarks/server_questions.py --check

The calls are asked of `serve`'s API, greedy, tool_choice "required", all tools of the three servers offered; then each call is
made. A setting is an adapter (`shipped`, the package's, or `none`), guidance (`auto` or `off`) and, with `unforced`, an engine
that samples what the grammar forces. Then the answers: `ask`'s agent is given the call that is right with its result, and its
answer is drawn from that. server_questions_scoring.py says what is right, server_questions_material.py what is asked about.

Questions are taken in the order of their ids, each under all settings before the next: what is there after any time is a fair
sample, compared on the same questions. Whatever was asked is in the journal, and is not asked again: a run goes on where the
last one ended. `--check` proves the questions over the running servers, and asks no model.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio

from report import table, write
from server_questions_judging import answer_rows, call_rows, comparison
from server_questions_material import CACHE, WORKSPACES, Question, bring, evidence_problems, place, questions
from server_questions_model import ROWS, UNFORCED, Model, Setting, open_model, open_servers
from server_questions_scoring import finds, names_source, right_tool, shown, tells

SETTINGS = {
    setting.name: setting
    for setting in (
        Setting(True, guided=True), Setting(False, guided=True), Setting(True, guided=False), Setting(False, guided=False),
        Setting(True, guided=False, forced=False), Setting(True, guided=True, forced=False),
        Setting(True, guided=True, looks=False), Setting(False, guided=True, looks=False),
    )
}  # fmt: skip
ANSWERS = {"answer shipped": True, "answer none": False}  # name -> with the adapter
MOST_TOKENS = 256  # of a call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setting", action="append", default=[], choices=SETTINGS, help="of calls; repeatable; default: all")
    parser.add_argument("--answer", action="append", default=[], choices=ANSWERS, help="repeatable; default: both")
    parser.add_argument("--count", type=int, default=300, help="the first so many questions, by id")
    parser.add_argument("--hours", type=float, nargs=2, default=(math.inf, math.inf), help="at most, for calls and for answers")
    parser.add_argument("--journal", type=Path, default=CACHE / "journal.jsonl", help="what was asked already")
    parser.add_argument("--check", action="store_true", help="prove the questions; ask no model")
    parser.add_argument("--report", action="store_true", help="the journal's figures; ask nothing")
    parser.add_argument("--no-write", action="store_true", help="print the figures alone")
    args = parser.parse_args()
    bring()
    chosen = questions()[: args.count]
    if args.check:
        raise SystemExit(anyio.run(check, chosen))
    journal = Journal(args.journal)
    parts = (args.setting or list(SETTINGS), args.answer or list(ANSWERS))
    if not args.report:
        anyio.run(measure, chosen, parts, args.hours, journal)
    figures: dict[str, Any] = {"command": " ".join(["python", "benchmarks/server_questions.py", *sys.argv[1:]])}
    for part, names, rows in zip(("calls", "answers"), parts, (call_rows, answer_rows), strict=True):
        given = {name: {q["id"]: journal[q["id"], name] for q in chosen if (q["id"], name) in journal} for name in names}
        shown_names = [name for name in names if not name.endswith(UNFORCED)] or names
        asked = [question for question in chosen if all(question["id"] in given[name] for name in shown_names)]
        found = {name: [given[name][question["id"]] for question in asked] for name in shown_names}
        print(f"{part}: {len(asked)} of {len(chosen)} questions were asked in all ways")
        figures[part] = {"questions": len(asked), "of": len(chosen), "shares": {}, "compared": comparison(given)}
        for area, headings, lines, shares in rows(asked, found):
            table([area, *headings], lines)
            figures[part]["shares"][area] = shares
        for line in figures[part]["compared"]:
            print(line)
        figures[part]["rows"] = [row for of in given.values() for row in of.values()]
    if not args.no_write:
        write("server_questions", figures)


class Journal:
    """What was asked, a JSON line each: by question and setting. A line that was cut when a run was killed is asked again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[tuple[str, str], dict[str, Any]] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            self._rows[row["id"], row["setting"]] = row

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._rows

    def __getitem__(self, key: tuple[str, str]) -> dict[str, Any]:
        return self._rows[key]

    def add(self, row: dict[str, Any]) -> None:
        self._rows[row["id"], row["setting"]] = row
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" * self._ends_within_a_line() + json.dumps(row, ensure_ascii=False) + "\n")

    def _ends_within_a_line(self) -> bool:
        text = self._path.read_bytes()[-1:]
        return text not in (b"", b"\n")


async def measure(chosen: Sequence[Question], parts: Sequence[Sequence[str]], hours: Sequence[float], journal: Journal) -> None:
    """Ask what the journal hasn't: the calls, then the answers, each part for at most so long."""
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(open_model())
        hosts = {name: await stack.enter_async_context(open_servers(place(name))) for name in WORKSPACES}
        for names, most in zip(parts, hours, strict=True):
            began = time.monotonic()
            for first in range(0, len(chosen), ROWS):
                some = chosen[first : first + ROWS]
                for name in names:
                    if time.monotonic() - began > 3600 * most:
                        break
                    await ask(
                        model, hosts, [question for question in some if (question["id"], name) not in journal], name, journal
                    )
                done = min(first + ROWS, len(chosen))
                print(f"{done} of {len(chosen)}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
                if time.monotonic() - began > 3600 * most:
                    break


async def ask(model: Model, hosts: Mapping[str, Any], some: Sequence[Question], name: str, journal: Journal) -> None:
    """Questions under one setting: their calls side by side, their answers one after the other."""
    if name in ANSWERS:
        for question in some:
            journal.add(await answer(model, hosts[question["workspace"]], question, name))
        return

    async def one(question: Question) -> None:
        journal.add(await call(model, hosts[question["workspace"]], question, name))

    with model.under(SETTINGS[name]):
        async with anyio.create_task_group() as group:
            for question in some:
                group.start_soon(one, question)


async def call(model: Model, host: Any, question: Question, name: str) -> dict[str, Any]:
    """A question's call under a setting, made and judged."""
    tools = [
        {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.parameters}}
        for t in host.tools()
    ]
    body = {
        "model": SETTINGS[name].model, "messages": [{"role": "user", "content": question["question"]}], "tools": tools,
        "temperature": 0, "max_tokens": MOST_TOKENS, "tool_choice": "required", "parallel_tool_calls": False,
    }  # fmt: skip
    row: dict[str, Any] = {
        "id": question["id"],
        "setting": name,
        "tool": "",
        "right_tool": False,
        "finds": False,
        "shown": False,
    }
    with model.over(host):
        said = (await model.http.post("/v1/chat/completions", json=body, timeout=None)).json()
    calls = said["choices"][0]["message"].get("tool_calls") if "choices" in said else None
    if not calls:
        return row | {"error": said.get("error", said)}
    function = calls[0]["function"]
    row |= {"tool": function["name"], "arguments": function["arguments"], "tokens": said["usage"]["completion_tokens"]}
    row["right_tool"] = right_tool(question, function["name"])
    try:
        arguments = json.loads(function["arguments"])
    except ValueError:  # the call was cut
        return row | {"error": "the arguments are no JSON"}
    text, data = await result_of(host, function["name"], arguments)
    return row | {"finds": finds(question, text, data), "shown": shown(question, text)}


async def result_of(host: Any, tool: str, arguments: dict[str, Any]) -> tuple[str, Any]:
    """A call's text and structured content; of one that failed, why, and nothing."""
    from portico_gateway.errors import GatewayError

    try:
        result = await host.call_tool(tool, arguments)
    except GatewayError as error:
        return f"failed: {error}", None
    text = "\n".join(getattr(block, "text", "") for block in result.content)
    return ("", None) if result.is_error else (text, result.structured_content)


async def answer(model: Model, host: Any, question: Question, name: str) -> dict[str, Any]:
    """What `ask` answers from the result of the call that is right, and from where it says it has it."""
    from portico_gateway.agent.events import ToolCallStarted
    from portico_gateway.agent.host_calls import HostCalls
    from portico_gateway.agent.prompts import finished_call
    from portico_gateway.agent.question_run import QuestionRun

    agent = model.agent(host, adapter=ANSWERS[name])
    asked, run = question["question"], QuestionRun(question["question"])
    done = await HostCalls(host).call(run, ToolCallStarted(question["call"]["name"], question["call"]["arguments"]))
    quoted = agent.answers.together(asked, [done])
    if quoted is None:
        turns = [{"role": "user", "content": asked}, *finished_call(done, asked)]
        quoted = await agent.answers.quote(run, turns, agent.tool_calls.rank(asked), [done])
    text = quoted.text if quoted is not None else ""
    cited = quoted.calls[-1].result.citations[:1] if quoted is not None and quoted.calls else ()
    sources = [citation.label for citation in cited]
    return {
        "id": question["id"], "setting": name, "answer": text, "sources": sources,
        "candidates": quoted.candidates if quoted is not None else 0, "fact": tells(question, text),
        "source": names_source(question, "\n".join((text, *sources))),
    }  # fmt: skip


async def check(chosen: Sequence[Question]) -> int:
    """Prove that the findings are there, and that the call that is right finds each; the exit code."""
    found = [f"{question['id']}: {problem}" for question in chosen for problem in evidence_problems(question)]
    for name in WORKSPACES:
        async with open_servers(place(name)) as host:
            for question in (one for one in chosen if one["workspace"] == name):
                text, data = await result_of(host, question["call"]["name"], question["call"]["arguments"])
                if not right_tool(question, question["call"]["name"]) or not finds(question, text, data):
                    found.append(f"{question['id']}: {question['call']} does not find {question['answers']}")
    print(*found, sep="\n")
    print(f"{len(chosen)} questions, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    main()
