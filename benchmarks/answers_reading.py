"""What of code, documentation and databases is answered by searching and reading alone, without a model? Minutes, where
answers.py takes hours.

usage: python benchmarks/answers_reading.py [--part PART] [--only WHAT] [--limit N] [--without PART_OF_IT] [--rows FILE]
       python benchmarks/answers_reading.py --verbose ... | --ablation [--limit N]

Of each question about code or documentation, both searches are asked the whole of it, or each of its parts, and what they find
is read, weighed, told and judged as `portico ask` does it. A question about a database is asked as its server reads it. What is
missing is the model: its choice of the first tool, and its choice among candidates that are weighed alike. So the figures are
near to those of answers.py, and not the same. Only the readable parts are asked (all by default). Outcomes are those of
answers_scoring.py; "drafts" are what would have been answered, sure or not. `--only` is answers.py's, `--limit` takes so many
of each workspace and part.

All questions together write results/answers_reading-DATE.json. `--ablation` shows what is lost without each part, and writes
results/answers_reading_ablation-DATE.json. `--rows` keeps what answers_calibration.py --of-searches reads.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio

import answers_parts
import answers_questions
from answers import until_indexed
from answers_material.workspaces import bring_databases, bring_trees, workspace
from answers_questions import Question
from answers_scoring import outcome, summary
from report import table, write

AREAS = ("code", "docs", "db")
SEARCHES = ("code__search", "docs__search")
MAX_CALLS = 4  # of `portico ask`
PARTS = ("sentence-scorer", "code-places", "plans", "companions", "other-kind", "confidence")
Rows = list[dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=answers_questions.READABLE, help="all by default; repeatable")
    parser.add_argument("--only", action="append", default=[], metavar="WHAT", help="a kind, workspace or id; repeatable")
    parser.add_argument("--limit", type=int, default=None, help="so many of each workspace and part")
    parser.add_argument("--without", action="append", default=[], choices=PARTS, help="leave out; repeatable")
    parser.add_argument("--ablation", action="store_true", help="with everything, then without each part in turn")
    parser.add_argument("--rows", type=Path, default=None, help="write a JSON line a question there")
    parser.add_argument("--verbose", action="store_true", help="each question with its draft")
    args = parser.parse_args()
    bring_trees(lambda text: print(text, file=sys.stderr))
    bring_databases(lambda text: print(text, file=sys.stderr))
    every = [(part, q) for part in args.part or answers_questions.READABLE for q in answers_questions.part(part)]
    only = set(args.only)
    asked = limited(
        [
            (part, q)
            for part, q in every
            if q["area"] in AREAS and (not only or only & {q["area"], q["kind"], q["workspace"], q["id"]})
        ],
        args.limit,
    )
    variants = {answers_parts.EVERYTHING: tuple(args.without)}
    if args.ablation:
        variants |= {f"without {name}": (*args.without, name) for name in PARTS if name not in args.without}
    started = time.perf_counter()
    rows = anyio.run(ask_all, asked, variants)
    if args.rows:
        args.rows.write_text("".join(json.dumps(row) + "\n" for row in rows[answers_parts.EVERYTHING]), encoding="utf-8")
    if args.verbose:
        told({question["id"]: question for _, question in asked}, rows[answers_parts.EVERYTHING])
    figures = {name: by_group(found) for name, found in rows.items()}
    show(figures)
    print(f"{len(asked)} questions, {time.perf_counter() - started:.0f} s")
    if not (only or args.without) and (args.ablation or not (args.limit or args.part)):
        found = {"questions": len(asked), "limit": args.limit, "without a model": True, "outcomes": figures}
        write("answers_reading_ablation" if args.ablation else "answers_reading", found)


def limited(asked: Sequence[tuple[str, Question]], limit: int | None) -> list[tuple[str, Question]]:
    """The first so many of each workspace and part."""
    seen: defaultdict[tuple[str, str], int] = defaultdict(int)
    kept = []
    for part, question in asked:
        seen[part, question["workspace"]] += 1
        if limit is None or seen[part, question["workspace"]] <= limit:
            kept.append((part, question))
    return kept


async def ask_all(asked: Sequence[tuple[str, Question]], variants: dict[str, tuple[str, ...]]) -> dict[str, Rows]:
    """By variant, a row a question."""
    by_workspace: defaultdict[str, list[tuple[str, Question]]] = defaultdict(list)
    for part, question in asked:
        by_workspace[question["workspace"]].append((part, question))
    rows: dict[str, Rows] = {name: [] for name in variants}
    for number, (name, items) in enumerate(by_workspace.items(), 1):
        started = time.perf_counter()
        await ask_workspace(name, items, variants, rows)
        took = time.perf_counter() - started
        print(f"[{number}/{len(by_workspace)}] {name}: {len(items)} questions, {took:.0f} s", file=sys.stderr, flush=True)
    return rows


async def ask_workspace(
    name: str, items: Sequence[tuple[str, Question]], variants: dict[str, tuple[str, ...]], rows: dict[str, Rows]
) -> None:
    from portico_gateway.agent.upstream_tool_host import UpstreamToolHost
    from portico_gateway.assembly.gateway import open_tool_calls
    from portico_gateway.config.portico_config import load_config
    from portico_gateway.config.workspace import workspace_specs

    place = workspace(name)
    options = dict(zip(place.options[::2], place.options[1::2], strict=True))
    config = load_config(None, flags={"audit.enabled": False}, environ={}, folder=place.root)
    docs = [Path(options["--docs"])] if "--docs" in options else []
    db = [options["--db"]] if "--db" in options else []
    specs = answers_parts.of_servers(workspace_specs(config, Path(options["--root"]), docs, db), ())
    with open_tool_calls(config, specs) as tool_calls:
        async with tool_calls.upstreams as upstreams:
            await upstreams.ready(answers_parts.START)
            host = UpstreamToolHost(upstreams, tool_calls=tool_calls)
            await until_indexed(SimpleNamespace(host=host))
            for variant, without in variants.items():
                with answers_parts.left_out(without):
                    reader = Reader(host)
                    for part, question in items:
                        row = await reader.row(question)
                        rows[variant].append({**row, "part": part})


class Reader:
    """Answers from both searches of one workspace, and from its database."""

    def __init__(self, host: Any) -> None:
        from portico_gateway.agent.guided.answers.candidates import CandidateReader
        from portico_gateway.agent.host_calls import HostCalls
        from portico_gateway.agent.upstream_tool_host import embedder
        from portico_gateway.guidance.weights import DEFAULT_WEIGHTS

        self._embed, self._information, self._weights = embedder().embed, embedder().information, DEFAULT_WEIGHTS
        self._host, self._calls = host, HostCalls(host)
        self._candidates = CandidateReader(host, self._embed, self._weights)
        self._readers = [tool.name for tool in host.tools() if tool.name == "db__rows"]

    async def row(self, question: Question) -> dict[str, Any]:
        """The outcome, and what it would be if the draft were given: as answers.py has them."""
        from portico_gateway.agent.guided.judging.verdict import combined

        text, done = await self._parts(question["question"])
        answer, judged = combined(text, done)
        shown = {"calls": [{"text": call.result.text} for part in done for call in part.run.tool_calls], "sources": []}
        return {
            **{key: question[key] for key in ("id", "area", "kind", "workspace")},
            "outcome": outcome(question, {**shown, "answer": answer, "exit_code": 0 if judged.answered else 1}),
            "if_given": outcome(question, {**shown, "answer": judged.draft, "exit_code": 0}),
            "features": dict(judged.features),
            "draft": judged.draft,
            "reasons": list(judged.reasons),
            "confidence": judged.confidence,
        }

    async def _parts(self, asked: str) -> tuple[str, list[Any]]:
        """The question as it is understood, and its parts, answered one after the other: what the loop does with them."""
        from portico_gateway.agent.guided import loop
        from portico_gateway.agent.guided.calls.things import found_thing
        from portico_gateway.agent.guided.questions.plan import head_noun, resolved
        from portico_gateway.guidance.languages.in_english import in_english

        question = in_english(asked) or asked
        planned, done = list(loop.parts(question)), list[Any]()
        while planned:
            part = planned.pop(0)
            text: str | None = part.text
            if part.refers:
                before = done[-1]
                known = before.answer is not None and before.judgement.answered
                thing = found_thing(before.answer, before.run.question) if known else None
                text = None if thing is None else resolved(part, thing, head_noun(before.run.question))
            if text is None:
                planned, done, text = [], [], question
            done.append(await self._answered(text, part.text if part.refers and text != question else text))
        return question, done

    async def _answered(self, text: str, said: str) -> Any:
        from portico_gateway.agent.guided.judging.verdict import judge
        from portico_gateway.agent.guided.part_run import PartRun

        part = PartRun(text)
        part.run.said = said

        def sure(answer: Any, others: Sequence[Any]) -> Any:
            return judge(part.run, answer, self._embed, {}, self._weights, others, self._information)

        await (self._reading if self._readers else self._searching)(part, sure)
        if part.answer is None:
            part.judgement = judge(part.run, None, self._embed, {}, self._weights)
        return part

    async def _searching(self, part: Any, judge: Any) -> None:
        from portico_gateway.agent.events import ToolCallStarted
        from portico_gateway.agent.guided.calls.other_searches import ROOMY

        for tool, more in zip(SEARCHES, ({}, {"max_tokens": ROOMY}), strict=True):
            call = await self._calls.call(part.run, ToolCallStarted(tool, {"query": part.run.question, **more}))
            part.consider(await self._best(part, call), judge)
        await self._following(part, judge)

    async def _following(self, part: Any, judge: Any) -> None:
        """The value of a constant that the answer names, from another file."""
        from portico_gateway.agent.guided.answers.constant_values import defined_value
        from portico_gateway.agent.guided.calls.constant_lookup import constant_lookup

        while part.answer is not None and len(part.run.tool_calls) < MAX_CALLS:
            call = constant_lookup(part.answer, self._host, part.run.tool_calls, self._embed)
            if call is None:
                return
            finished = await self._calls.call(part.run, call)
            if (told := defined_value(part.answer, finished)) is not None:
                part.follow(told, finished, judge)

    async def _reading(self, part: Any, judge: Any) -> None:
        """The call that a server reads in the question."""
        from portico_gateway.agent.events import ToolCallStarted
        from portico_gateway.agent.guided.answers.answer_generation import AnswerGenerator
        from portico_gateway.guidance.question_readings import QuestionReading

        for tool in self._readers:
            reading = await self._host.read_question(tool, part.run.question)
            if isinstance(reading, QuestionReading):
                part.run.readings[tool] = reading
                call = await self._calls.call(part.run, ToolCallStarted(tool, dict(reading.arguments)))
                found = call.result.found
                part.consider(await self._best(part, call) if found else AnswerGenerator.none_of(part.run, call), judge)

    async def _best(self, part: Any, call: Any) -> Any:
        from portico_gateway.agent.guided.answers.answer_generation import quoted_answer

        candidates = await self._candidates.read(part.run.question, [call])
        best = max(candidates, key=lambda each: candidates[each].weight, default=None)
        return None if best is None else quoted_answer(candidates, best, (call,))


def told(questions: Mapping[str, Question], rows: Rows) -> None:
    """Each question with what was wanted, what would be answered, and why it is not."""
    for row in rows:
        question = questions[row["id"]]
        wanted = " + ".join("|".join(forms) for forms in question["answers"]["all_of"]) or "no answer"
        print(f"{row['outcome']:8}{row['if_given']:8}{row['id']} {row['workspace']}: {question['question']}")
        print(f"        wanted: {wanted}\n        draft: {row['draft']!r}\n        {'; '.join(row['reasons']) or 'given'}")


def by_group(rows: Rows) -> dict[str, Any]:
    """By part and area: the outcomes, those of drafts, and of the questions without an answer how many were said to be so."""
    found = {}
    for part, area in sorted({(row["part"], row["area"]) for row in rows}):
        items = [row for row in rows if (row["part"], row["area"]) == (part, area)]
        given = summary(items)
        drafts = summary([{**row, "outcome": row["if_given"]} for row in items])
        found[f"{part} {area}"] = {
            "given": given.get("all"),
            "drafts": drafts.get("all"),
            "no answer there": given.get("no answer there"),
        }
    return found


def show(figures: dict[str, Any]) -> None:
    """Useful and wrong as given, and right drafts, by group; a line a variant."""
    groups = list(figures[answers_parts.EVERYTHING])
    rows = []
    for variant, found in figures.items():
        cells = [
            f"{g['given']['useful']['share']:.0%} / {g['given']['wrong']['share']:.0%} / {g['drafts']['useful']['share']:.0%}"
            if (g := found[group])["given"]
            else ""
            for group in groups
        ]
        rows.append([variant, *cells])
    table(["useful / wrong / right drafts", *groups], rows)


if __name__ == "__main__":
    main()
