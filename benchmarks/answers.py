"""Does `portico ask` answer rightly, or say that it doesn't know? On code, documentation, databases, third-party servers.

usage: python benchmarks/answers.py [--part PART] [--only WHAT] [--limit N] [--cli N] [--rows FILE] [--verbose]
       python benchmarks/answers.py --without PART_OF_IT [--without ...] ... | --ablation ... | --check

Without --part the tuning two thirds are asked (benchmarks/data/answers/*.jsonl); answers_questions.py says what the other parts
are (voices, breadth, absence, near, packages, and what is closed), answers_scoring.py what counts as useful, partial, honest
and wrong, answers_material/workspaces.py what the questions are about. Each workspace is opened once, with the servers and the
model that `portico ask` has; every index is waited for, so that no score depends on the machine's speed.
`--only` takes an area, a kind, a workspace or an id (repeatable).
`--rows FILE` keeps what answers_calibration.py reads.
`--cli N` runs N of the questions through the real command besides, for its wall time and its exit code. `--check` brings
everything and proves that each question's evidence holds its values.

`--without` leaves out a part of how answers are made (answers_parts.py says which there are; repeatable). `--ablation` asks the
questions with all parts and then without each in turn (or each that `--without` names), shows what is lost, and writes
results/answers_ablation-DATE.json.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio

import answers_parts
import answers_questions
from answers_evidence import problems
from answers_material.workspaces import Workspace, bring, workspace
from answers_questions import Question
from answers_scoring import OUTCOMES, example_problems, outcome, summary, table_rows
from report import percentile, table, write

HANGS = 600  # seconds; a question that takes longer is broken, not slow


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="prove the evidence of all questions, and ask none")
    parser.add_argument("--part", choices=answers_questions.PARTS, default="tuning", help="of closed ones, figures only")
    parser.add_argument(
        "--only", action="append", default=[], metavar="WHAT", help="an area, kind, workspace or id; repeatable"
    )
    parser.add_argument("--limit", type=int, default=None, help="so many of each workspace; results are not written")
    parser.add_argument("--cli", type=int, default=0, metavar="N", help="N questions through the real command, too")
    parser.add_argument("--model", default=None, help="a model for all questions, as `portico ask --model` takes it")
    parser.add_argument("--adapter", default=None, help="an adapter for all questions: default, none, or NAME=PATH")
    parser.add_argument("--rows", type=Path, default=None, help="write a JSON line a question there (readable parts only)")
    parser.add_argument("--verbose", action="store_true", help="each question with its answer (readable parts only)")
    parser.add_argument("--without", action="append", default=[], choices=answers_parts.PARTS, help="leave out; repeatable")
    parser.add_argument("--ablation", action="store_true", help="with everything, then without each part in turn")
    args = parser.parse_args()
    if args.cli and args.adapter and "=" in args.adapter:
        parser.error("--cli asks the real command, which knows adapters of portico.toml and `default`; leave out --cli")
    bring(lambda text: print(text, file=sys.stderr))
    if args.check:
        raise SystemExit(check())
    readable = args.part in answers_questions.READABLE
    chosen = choose(answers_questions.part(args.part), args.only, args.limit)
    if args.ablation:
        ablation(chosen, args)
        return
    started = time.perf_counter()
    rows = ask_all(chosen, args)
    if args.rows and readable:
        args.rows.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    figures: dict[str, Any] = {
        "part": args.part,
        "model": args.model or "default",
        "adapter": args.adapter or "none",
        "seconds": round(time.perf_counter() - started),
        "outcomes": summary(rows),
        "wall": wall([row["seconds"] for row in rows]),
    }
    table(["", "questions", *OUTCOMES], table_rows(figures["outcomes"]))
    if args.cli:
        figures["cli"] = through_cli(chosen, rows, args.cli, args.model, args.adapter)
    print(f"a question, everything started: {figures['wall']}; in all {figures['seconds']} s")
    if not args.only and args.limit is None and not args.without:
        by_question = (
            {"by_question": [{k: row[k] for k in ("id", "outcome", "if_given", "tools", "features")} for row in rows]}
            if readable
            else {}
        )
        suffix = "" if args.part == "tuning" else f"_{args.part.replace('-', '_')}"
        suffix += "" if not args.adapter else f"_adapter_{args.adapter.partition('=')[0]}"
        write(f"answers{suffix}", {**figures, **by_question})


def ablation(chosen: Sequence[Question], args: argparse.Namespace) -> None:
    """What is lost without each part: every question is asked with all of them, and once more without each. What is known is
    shown and written after each, since all of it takes hours."""
    rows: dict[str, list[dict[str, Any]]] = {}
    asked = {"part": args.part, "model": args.model or "default", "only": args.only, "limit": args.limit}
    for name in (answers_parts.EVERYTHING, *(args.without or answers_parts.PARTS)):
        print(f"without {name}" if name in answers_parts.PARTS else name, file=sys.stderr)
        args.without = [name] if name in answers_parts.PARTS else []
        rows[name] = ask_all(chosen, args)
        outcomes = {each: summary(found) for each, found in rows.items()}
        changed = answers_parts.changed(rows)
        for counted in ("useful", "wrong"):
            print(f"\n{counted}; without a part, how many more or fewer")
            table(*answers_parts.lost(outcomes, counted, changed))
        write("answers_ablation", {**asked, "questions": len(chosen), "outcomes": outcomes, "changed": changed})


def choose(questions: Sequence[Question], only: Sequence[str], limit: int | None) -> list[Question]:
    found = [q for q in questions if not only or {q["area"], q["kind"], q["workspace"], q["id"]} & set(only)]
    if limit is None:
        return found
    seen: defaultdict[str, int] = defaultdict(int)
    kept = []
    for question in found:
        seen[question["workspace"]] += 1
        if seen[question["workspace"]] <= limit:
            kept.append(question)
    return kept


def ask_all(questions: Sequence[Question], args: argparse.Namespace) -> list[dict[str, Any]]:
    by_workspace: defaultdict[str, list[Question]] = defaultdict(list)
    for question in questions:
        by_workspace[question["workspace"]].append(question)
    rows: list[dict[str, Any]] = []
    sys.stdin = Path(os.devnull).open()  # noqa: SIM115 (nobody is asked for consent)
    for number, (name, items) in enumerate(by_workspace.items(), 1):
        started = time.perf_counter()
        with answers_parts.left_out(args.without):
            rows += anyio.run(ask_workspace, workspace(name), items, args)
        right = sum(row["outcome"] in ("useful", "honest") for row in rows[-len(items) :])
        took = time.perf_counter() - started
        print(
            f"[{number}/{len(by_workspace)}] {name}: {len(items)} questions, {right} useful or honest, {took:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    return rows


async def ask_workspace(place: Workspace, questions: Sequence[Question], args: argparse.Namespace) -> list[dict[str, Any]]:
    from portico_gateway.assembly.ask_session import open_ask_session
    from portico_gateway.config.portico_config import load_config
    from portico_gateway.config.workspace import workspace_specs
    from portico_gateway.policy.terminal_consent import terminal_caller

    options = dict(zip(place.options[::2], place.options[1::2], strict=True))
    adapter, _, path = (args.adapter or "").partition("=")
    flags = {
        "model.name": args.model, "model.kv_disk_gib": 0, "audit.enabled": False, "model.adapter": adapter or None,
        "model.adapters": {adapter: path} if path else None,
    }  # fmt: skip
    config = load_config(
        Path(options["--config"]) if "--config" in options else None, flags=flags, environ={}, folder=place.root
    )
    docs, db = ([options[key]] if key in options else [] for key in ("--docs", "--db"))
    root = Path(options.get("--root", place.root))  # the folder that `portico ask` would be in
    specs = answers_parts.of_servers(workspace_specs(config, root, [Path(item) for item in docs], db), args.without)
    rows = []
    async with open_ask_session(config, specs, lambda *_: None, caller=terminal_caller("portico ask")) as session:
        await until_indexed(session)
        for question in questions:
            started = time.perf_counter()
            result = await ask(session, question["question"])
            row = {key: question[key] for key in ("id", "area", "kind", "workspace")}
            row |= {"outcome": outcome(question, result), "seconds": time.perf_counter() - started}
            row["tools"] = [call["tool"] for call in result["calls"]]
            row |= {"features": result.get("features", {}), "if_given": if_given(question, result)}
            rows.append(row)
            if args.verbose and args.part in answers_questions.READABLE:
                values = " + ".join("|".join(forms) for forms in question["answers"]["all_of"])
                print(f"{row['outcome']:8}{question['id']} {question['question']}\n        wanted: {values}")
                print(
                    f"        got: {result['answer']!r} by {[(c['tool'], c['arguments']) for c in result['calls']]}", flush=True
                )
    return rows


def if_given(question: Question, result: dict[str, Any]) -> str:
    """The outcome if the draft had been given as the answer: what answers_calibration.py fits the confidence to."""
    return outcome(question, {**result, "answer": result.get("draft", ""), "exit_code": 0})


async def ask(session: Any, question: str) -> dict[str, Any]:
    """What `portico ask --json` prints, and the exit code it ends with."""
    from portico_engine.errors import EngineError
    from portico_gateway.agent.events import RunFinished
    from portico_gateway.cli import exit_codes
    from portico_gateway.cli.commands.ask import DEFAULT_STEPS
    from portico_gateway.cli.view import as_json_object
    from portico_gateway.errors import GatewayError

    nothing: dict[str, Any] = {"answer": "", "calls": [], "sources": []}
    try:
        with anyio.fail_after(HANGS):
            async with contextlib.aclosing(session.agent.ask(question, max_steps=DEFAULT_STEPS)) as events:
                async for event in events:
                    if isinstance(event, RunFinished):
                        found: dict[str, Any] = json.loads(as_json_object(event, {}, session.model))
                        return {**found, "exit_code": exit_codes.of_answer(event)}
    except (EngineError, GatewayError, TimeoutError) as error:
        print(f"a question failed: {error!r}", file=sys.stderr)
    return {**nothing, "exit_code": exit_codes.NO_MODEL}


async def until_indexed(session: Any) -> None:
    """Wait until every search says that its answers are complete."""
    for tool in session.host.tools():
        if tool.name in ("code__search", "docs__search"):
            with anyio.fail_after(HANGS):
                while True:
                    result = await session.host.call_tool(tool.name, {"query": "start"})
                    if (result.structured_content or {}).get("complete", True):
                        break
                    await anyio.sleep(0.2)


def through_cli(
    questions: Sequence[Question], rows: Sequence[dict[str, Any]], count: int, model: str | None, adapter: str | None
) -> dict[str, Any]:
    """So many questions, chosen by their ids, through the command: wall times, and whether the outcome is the same."""
    expected = {row["id"]: row["outcome"] for row in rows}
    seconds, same = [], 0
    chosen = sorted(questions, key=lambda q: hashlib.sha256(f"cli {q['id']}".encode()).hexdigest())[:count]
    portico = str(Path(sys.executable).parent / "portico")
    for question in chosen:
        place = workspace(question["workspace"])
        command = [
            portico,
            "ask",
            question["question"],
            *place.options,
            "--json",
            *(["--model", model] if model else []),
            *(["--adapter", adapter] if adapter else []),
        ]
        started = time.perf_counter()
        done = subprocess.run(command, cwd=place.root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - started)
        result = json.loads(done.stdout) if done.stdout.startswith("{") else {"answer": "", "calls": [], "sources": []}
        same += outcome(question, {**result, "exit_code": done.returncode}) == expected[question["id"]]
    print(f"through the command: {count} questions, {wall(seconds)}; {same} with the same outcome")
    return {"questions": count, "same_outcome": same, "wall": wall(seconds)}


def wall(seconds: Sequence[float]) -> dict[str, float]:
    return {"median_s": round(statistics.median(seconds), 2), "p90_s": round(percentile(seconds, 0.9), 2)}


def check() -> int:
    """Prove the questions; the exit code."""
    parts = {name: answers_questions.part(name) for name in answers_questions.PARTS}
    every = [question for items in parts.values() for question in items]
    found = example_problems() + anyio.run(problems, every)
    if not answers_questions.digests_hold():
        found.append("a readable file is not what DIGESTS says")
    for readable, closed, split in answers_questions.SPLITS:
        there = {question["id"] for question in parts[closed]}
        if {question["id"] for question in split([*parts[readable], *parts[closed]])[1]} != there:
            found.append(f"the split of {readable} is not the one that the ids give")
    for line in found:
        print(line)
    rows = []
    for area in answers_questions.AREAS:
        items = [q for q in every if q["area"] == area]
        by_kind = [sum(q["kind"] == kind for q in items) for kind in answers_questions.KINDS]
        hidden = sum(q["area"] == area for name in answers_questions.CLOSED for q in parts[name])
        rows.append([area, len(items), *by_kind, hidden, len({q["workspace"] for q in items})])
    table(["area", "questions", *answers_questions.KINDS, "closed", "workspaces"], rows)
    print(f"{len(every)} questions, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    main()
