"""How often does the default model answer a question from a database: by `rows` under the grammar, and by writing SQL?

usage: python benchmarks/db_rows.py [--dev] [--way WAY] [--questions N] [--model FILE.gguf]

Sixty questions (benchmarks/data/db_questions.jsonl) over three small databases of our own. Each way gets the same prompt: the
tool's signature, the tables with their columns, the question; it decodes under the tool's grammar at temperature 0, and its
call is run. Right: the same rows as hand-written SQL gives; further columns do no harm. "guided" is with the agent's priors,
"read" with the server's own reading of the question, as `portico ask` decodes; else the model is alone with the grammar.
First, the call that answers each question is checked to give what the SQL gives. `--dev` asks the tuning questions over other
databases instead: those figures are never reported.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.progress import track

from data.db_dev_samples import DEV_SAMPLES
from data.db_samples import SAMPLES, Sample, write_sqlite
from portico_engine import FinishReason, Request, SamplingParams, Tool, ToolCallPrior, find_model, load_engine
from portico_engine.grammar import NamedTool, compile_tool_calls
from portico_gateway.agent.prompts import CALL_FORM, SYSTEM
from portico_gateway.agent.tool_signatures import signature
from portico_gateway.agent.upstream_tool_host import embedder
from portico_gateway.guidance.argument_priors import ArgumentPriors
from portico_gateway.guidance.question import read_question
from portico_servers.db.databases.databases import Databases
from portico_servers.db.errors import DbError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.questions.proposals import QuestionProposals
from portico_servers.db.sources import parse_sources
from portico_servers.db.statements.cancellation import Cancellation
from portico_servers.db.tools.query import answer_query
from portico_servers.db.tools.registry import BUILT_IN
from portico_servers.db.tools.rows import answer_rows
from portico_servers.db.tools.tables import table_text
from report import table, write

DATA = Path(__file__).parent / "data"
WAYS = ("query, raw", "query, guided", "rows, raw", "rows, guided", "rows, read")
KINDS = ("count", "filter", "null", "aggregate", "group", "parent", "top", "list")
MAX_TOKENS = 96
Rows = Sequence[Sequence[Any]]


@dataclass(slots=True)
class Tally:
    """What came of one way's calls."""

    outcomes: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)  # by database and by kind of question
    seconds: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    forced: list[float] = field(default_factory=list)
    wrong: list[dict[str, Any]] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        return {
            "right": self.outcomes["right"],
            "of": self.outcomes.total(),
            "right_by": dict(self.right),
            "outcomes": dict(self.outcomes),
            "seconds_p50": round(statistics.median(self.seconds), 3),
            "sampled_steps_mean": round(statistics.fmean(self.steps), 1),
            "forced_share_mean": round(statistics.fmean(self.forced), 3),
            "not_right": self.wrong,
        }


class Asker:
    """The model in front of one database at a time."""

    def __init__(self, model: str | None) -> None:
        self.engine = load_engine(find_model(model))
        self._priors = ArgumentPriors(embedder().embed)
        self._strength = self._priors.weights.strength.of(self.engine.info.parameters)
        self._made = 0
        self._proposals: dict[Databases, QuestionProposals] = {}

    def ask(self, way: str, question: str, databases: Databases, tally: Tally) -> dict[str, Any] | None:
        """The arguments of the model's call; None where it was cut by length."""
        snapshot = databases.snapshot()
        spec = next(spec for spec in BUILT_IN if spec.name == way.split(",")[0])
        listed = spec.tool(snapshot, list(databases.by_name))
        tool = Tool(spec.name, listed.description or "", listed.input_schema)
        schemas = "\n".join(table_text(named) for named in snapshot.tables.values())
        system = f"{SYSTEM}{signature(tool)}\n\n{schemas}{CALL_FORM}"
        prior = None
        if way.endswith("guided"):
            arguments = self._priors.prior(tool, read_question(question))
            prior = ToolCallPrior({tool.name: 0.0}, {tool.name: arguments}, strength=self._strength)
        allowed = self._as_read(tool, question, databases) if way.endswith("read") else tool
        self._made += 1
        request = Request(
            id=str(self._made),
            prompt=self.engine.render_chat([{"role": "system", "content": system}, {"role": "user", "content": question}]),
            sampling=SamplingParams(temperature=0.0),
            max_tokens=MAX_TOKENS,
            grammar=compile_tool_calls([allowed], choice=NamedTool(tool.name)),
            prior=prior,
        )
        return self._arguments(request, tally)

    def _as_read(self, tool: Tool, question: str, databases: Databases) -> Tool:
        """The tool, narrowed to how its server reads the question; as it is where that reads nothing."""
        if databases not in self._proposals:
            self._proposals[databases] = QuestionProposals(databases, embedder().embed)
        proposal = self._proposals[databases].propose(question)
        return Tool(tool.name, tool.description, proposal["schema"]) if proposal else tool

    def _arguments(self, request: Request, tally: Tally) -> dict[str, Any] | None:
        start, text = time.perf_counter(), ""
        self.engine.submit(request)
        while True:
            for delta in self.engine.step():
                text += delta.text
                if delta.finish_reason is None:
                    continue
                tally.seconds.append(time.perf_counter() - start)
                if delta.usage is not None:
                    tally.steps.append(delta.usage.sampled_steps)
                    tally.forced.append(delta.usage.forced_tokens / max(delta.usage.completion_tokens, 1))
                if delta.finish_reason is not FinishReason.STOP:
                    return None
                found: dict[str, Any] = json.loads(text)["arguments"]
                return found


def answer(way: str, databases: Databases, arguments: dict[str, Any]) -> Rows | str:
    """The rows that a call gives, or what kind of failure."""
    run = answer_rows if way.startswith("rows") else answer_query
    try:
        rows: Rows = run(databases, arguments, StatementLimits(rows=1000), Cancellation()).structured["rows"]
    except DbError as exc:
        return type(exc).__name__
    return rows


def same(found: Rows, expected: Rows) -> bool:
    """Every expected column is among the found ones, row for row in some order."""
    if len(found) != len(expected):
        return False
    if not expected:
        return True
    wanted = [comparable(column) for column in zip(*expected, strict=True)]
    there = [comparable(column) for column in zip(*found, strict=True)]
    return all(column in there for column in wanted)


def comparable(cells: Sequence[Any]) -> list[str]:
    return sorted(f"{cell:.9g}" if isinstance(cell, int | float) else str(cell) for cell in cells)


def kind(ask: dict[str, Any]) -> str:
    """What is the hardest part of a question, by the call that answers it."""
    filters = ask.get("filters", [])
    names = [*ask.get("columns", ()), *(item["column"] for item in filters), ask.get("group_by", ""), ask.get("order_by", "")]
    if any("." in name and name.rpartition(".")[2] not in ("year", "month") for name in names):
        return "parent"
    if "order_by" in ask or "limit" in ask:
        return "top"
    if "group_by" in ask:
        return "group"
    if any(item["value"] is None for item in filters):
        return "null"
    if ask["aggregate"] not in ("none", "count"):
        return "aggregate"
    return "list" if ask["aggregate"] == "none" else "filter" if filters else "count"


def measure(args: argparse.Namespace, items: list[dict[str, Any]], files: dict[str, Path]) -> dict[str, Any]:
    opened = {name: Databases(parse_sources([str(path)])) for name, path in files.items()}
    expected: list[Rows] = []
    for item in items:
        connection = sqlite3.connect(files[item["database"]])
        expected.append(connection.execute(item["sql"]).fetchall())
        connection.close()
    exact = 0
    for item, wanted in zip(items, expected, strict=True):
        found = answer("rows", opened[item["database"]], {"ask": item["ask"]})
        exact += not isinstance(found, str) and same(found, wanted)
    asker = Asker(args.model)
    tallies = {way: Tally() for way in args.way or WAYS}
    for way, tally in tallies.items():
        for item, wanted in track(list(zip(items, expected, strict=True)), way, disable=not sys.stderr.isatty()):
            arguments = asker.ask(way, item["question"], opened[item["database"]], tally)
            found = "cut" if arguments is None else answer(way, opened[item["database"]], arguments)
            outcome = found if isinstance(found, str) else "right" if same(found, wanted) else "other rows"
            tally.outcomes[outcome] += 1
            if outcome == "right":
                tally.right.update((item["database"], kind(item["ask"])))
            else:
                tally.wrong.append({"question": item["question"], "call": arguments, "outcome": outcome})
    for databases in opened.values():
        databases.close()
    return {
        "questions": len(items),
        "questions_by": dict(Counter(part for item in items for part in (item["database"], kind(item["ask"])))),
        "structured_calls_equal_to_sql": exact,
        "model": asker.engine.info.name,
        "ways": {way: tally.figures() for way, tally in tallies.items()},
    }


def report(figures: dict[str, Any], databases: Sequence[str]) -> None:
    of = figures["questions_by"]
    groups = [name for name in (*databases, *KINDS) if name in of]
    print(f"structured calls equal to hand-written SQL: {figures['structured_calls_equal_to_sql']} of {figures['questions']}\n")
    table(
        ["way", "right", "share", *(f"{name} ({of[name]})" for name in groups), "s a call (p50)", "sampled steps", "forced"],
        [
            [
                way, f["right"], f"{f['right'] / f['of']:.0%}", *(f["right_by"].get(name, 0) for name in groups),
                f["seconds_p50"], f["sampled_steps_mean"], f"{f['forced_share_mean']:.0%}",
            ]
            for way, f in figures["ways"].items()
        ],
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", action="store_true", help="the tuning questions, and what went wrong")
    parser.add_argument("--questions", type=int, default=None, help="only so many; results are not written")
    parser.add_argument("--model", default=None)
    parser.add_argument("--way", action="append", choices=WAYS, help="only this way (repeatable); results are not written")
    args = parser.parse_args()
    samples: dict[str, Sample] = DEV_SAMPLES if args.dev else SAMPLES
    lines = (DATA / ("db_questions_dev.jsonl" if args.dev else "db_questions.jsonl")).read_text(encoding="utf-8").splitlines()
    items = [json.loads(line) for line in lines][: args.questions]
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(args, items, {name: write_sqlite(Path(folder), name, samples) for name in samples})
    report(figures, list(samples))
    if args.dev:
        for way, figures_of in figures["ways"].items():
            for item in figures_of["not_right"]:
                print(way, item["outcome"], item["question"], json.dumps(item["call"], ensure_ascii=False))
    elif not args.way and args.questions is None:
        write(
            "db_rows", {**figures, "ways": {way: {**f, "not_right": len(f["not_right"])} for way, f in figures["ways"].items()}}
        )


if __name__ == "__main__":
    main()
