"""A catalog's own adapter on questions that a person asks of its tools: what `portico tune catalog` is worth to one user.

usage: python benchmarks/own_tools.py --tools DIR --out DIR [--server git]... [--rows 4000] [--minutes M] [--device cuda]
                                      [--model FILE] [--start DIR] [--small] [--trained DIR] [--other-words S] [--guided]
                                      [--no-write]
       python benchmarks/own_tools.py --report DIR...

Two MCP servers: git's (12 tools) and Slack's (8). For each, 60 questions were written by hand and committed by digest before a
model was asked and before the generator of training questions was changed; six of them no tool answers. The base, the default
adapter and one trained by `portico tune catalog` are asked, greedily and under the grammar, with all of the server's tools
offered and the choice not to call. Right is the very call: the tool and each value; a value that is the parameter's default
counts as not given. Beside it the tenth of the generated questions that was not trained on; with `--guided` the questions by
hand as well through `serve` with its guidance, as a user has them. 95% intervals are Wilson's, that of the gain is the paired
one.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from portico_engine import Tool, default_adapter, find_model
from portico_engine.tune.calling.figures import wilson
from portico_engine.tune.data.example import Call, Example
from portico_engine.tune.data.rows import Row, call_text
from portico_engine.tune.data.said_calls import SaidCall, same_calls
from portico_gateway.tuning.own_tools import listed_tools
from portico_gateway.tuning.prompts import TRAINED_ON, serve_system
from report import paired, table, write

DATA = Path(__file__).parent / "data"
QUESTIONS = DATA / "own_tools_questions.jsonl"
SERVERS = ("git", "slack")
BASE, DEFAULT, OWN = "none", "default", "own"
MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
NO_TOOL = "None of these tools can do that."
LONGEST = 1536  # tokens of a prompt
SHOWN = 200  # generated questions that are asked
SERVED, AT_ONCE = "smollm2", 16  # the model that is asked through serve, and how many questions at once


class Asked(NamedTuple):
    """One question with the call that is right, or None."""

    server: str
    question: str
    tool: str | None
    arguments: dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", type=Path, help="a folder with an answer to tools/list a server: git.json, slack.json")
    parser.add_argument("--out", type=Path, help="where runs and figures lie")
    parser.add_argument("--server", action="append", default=[], choices=SERVERS, help="default: both")
    parser.add_argument("--rows", type=int, default=4000, help="as portico tune catalog has them")
    parser.add_argument("--minutes", type=float, default=math.inf, help="of training, a server")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--start", type=Path, default=None, help="what training goes on from; default: the package's adapter")
    parser.add_argument(
        "--other-words", type=float, default=None, help="share of the spoken questions with other words; default: none"
    )
    parser.add_argument("--trained", type=Path, help="adapters of a run before: DIR/SERVER/adapter; train nothing")
    parser.add_argument("--guided", action="store_true", help="ask through serve with guidance as well, the default model")
    parser.add_argument("--only-before", action="store_true", help="the base and the default adapter alone")
    parser.add_argument("--small", action="store_true", help="six questions and 600 rows for a few seconds")
    parser.add_argument("--report", type=Path, nargs="+", metavar="DIR", help="what --out was: write the result")
    parser.add_argument("--no-write", action="store_true", help="print the figures alone")
    args = parser.parse_args()
    if args.report is None:
        if args.tools is None or args.out is None:
            parser.error("give --tools and --out, or --report")
        for server in args.server or SERVERS:
            measure(server, args)
        args.report = [args.out]
    report(args.report, no_write=args.no_write or args.small)


def questions(server: str) -> list[Asked]:
    """Raises SystemExit where the file isn't the one that was committed."""
    text = QUESTIONS.read_bytes()
    committed = QUESTIONS.with_suffix(".sha256").read_text(encoding="utf-8").split()[0]
    if hashlib.sha256(text).hexdigest() != committed:
        raise SystemExit(f"{QUESTIONS.name} is not what was committed: its sha256 is not {committed[:12]}...")
    rows = [json.loads(line) for line in text.decode().splitlines()]
    return [Asked(r["server"], r["question"], r["tool"], r.get("arguments", {})) for r in rows if r["server"] == server]


def as_row(asked: Asked, tools: Sequence[Tool]) -> Row:
    """With all of the tools offered, as `serve` asks."""
    by_name = {tool.name: tool for tool in tools}
    completion = NO_TOOL if asked.tool is None else call_text(Call(by_name[asked.tool], asked.arguments))
    example = Example(asked.question, (), "benchmark", "Apache-2.0", offered=tuple(tools))
    prompt = [{"role": "system", "content": serve_system(tools)}, {"role": "user", "content": example.question}]
    return Row(prompt, completion, example.origin, example.licence, tools=tuple(tools))


def without_defaults(call: SaidCall, tools: Mapping[str, Tool]) -> SaidCall:
    """What a call says beyond what is so anyway."""
    tool = tools.get(call.name)
    if tool is None or not isinstance(call.arguments, dict):
        return call
    properties = tool.parameters.get("properties") or {}
    told = {k: v for k, v in call.arguments.items() if k not in properties or v != properties[k].get("default", ...)}
    return SaidCall(call.name, {k: v for k, v in told.items() if v is not None})


def right(said: Sequence[SaidCall] | None, wanted: Sequence[SaidCall], tools: Sequence[Tool]) -> bool:
    """The very calls, but for what is so anyway."""
    by_name = {tool.name: tool for tool in tools}
    return said is not None and same_calls(
        [without_defaults(call, by_name) for call in said], [without_defaults(call, by_name) for call in wanted]
    )


def measure(server: str, args: argparse.Namespace) -> None:
    """Train, ask, and leave the figures in `--out`/server.json."""
    tools = listed_tools(args.tools / f"{server}.json")
    start, model = args.start or default_adapter(), args.model or find_model()
    folder = args.out / server
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"server": server, "tools": len(tools), "command": " ".join(["python", *sys.argv])}
    own, generated = None, []
    if args.trained is not None:
        own = args.trained / server / "adapter"
    elif not args.only_before:
        own, generated, found["training"] = train(tools, folder, start, model, args)
    by_hand = [as_row(asked, tools) for asked in questions(server)]
    if args.small:
        by_hand, generated = by_hand[::10], generated[:4]
    adapters = {BASE: None, DEFAULT: start} | ({OWN: own} if own is not None else {})
    found["answers"] = ask({"by hand": by_hand, "generated": generated[:SHOWN]}, tools, adapters, model, args.device)
    write_found(args.out / f"{server}.json", found)
    if args.guided:
        found["answers"]["by hand, guided"] = anyio.run(ask_served, by_hand, tools, adapters)
        write_found(args.out / f"{server}.json", found)


def write_found(path: Path, found: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def train(
    tools: Sequence[Tool], folder: Path, start: Path, model: Path, args: argparse.Namespace
) -> tuple[Path, list[Row], dict[str, Any]]:
    """As `portico tune catalog` does, and what it took."""
    import torch

    from portico_gateway.tuning.catalog import train_catalog

    began, used = time.monotonic(), time.process_time()
    voices = {} if args.other_words is None else {"other_words": args.other_words}
    adapter, rows = train_catalog(
        tools, folder, rows=600 if args.small else args.rows, start=start, model=model, base=MODEL, device=args.device,
        minutes=0.1 if args.small else args.minutes, batch_tokens=2048 if args.small else 16_384, longest=1280, seed=1,
        say=lambda line: print(line, file=sys.stderr, flush=True), **voices,
    )  # fmt: skip
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    about = {
        "seconds": round(time.monotonic() - began, 1), "processor_seconds": round(time.process_time() - used, 1),
        "steps": run["history"]["steps"], "rows": args.rows, "prompts": TRAINED_ON,
        "device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu", "torch": torch.__version__,
    }  # fmt: skip
    return adapter, rows, about


def ask(
    sets: Mapping[str, Sequence[Row]], tools: Sequence[Tool], adapters: Mapping[str, Path | None], model: Path, device: str
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """By set and adapter: what was said to each question, and whether it is right."""
    from portico_engine import load_engine
    from portico_engine.tune.calling.caller import ToolCaller
    from portico_engine.tune.calling.task import tasks_of
    from portico_engine.tune.training.base_model import decoder_config

    cuda = device == "cuda"
    engine = load_engine(
        model, executor="torch-cuda" if cuda else "torch-cpu", context=LONGEST + 256, max_rows=64 if cuda else 16,
        kv_tokens=131_072 if cuda else None, adapters=1, adapter_rank=512,
    )  # fmt: skip
    caller = ToolCaller(engine, decoder_config(model), max_tokens=256)
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name, rows in sets.items():
        tasks = list(tasks_of(rows, engine, longest=LONGEST))
        if len(tasks) < len(rows):
            print(f"{len(rows) - len(tasks)} of the {len(rows)} questions {name} can't be asked", file=sys.stderr)
        if not tasks:
            continue
        found[name] = {}
        for adapter, place in adapters.items():
            caller.drop() if place is None else caller.use_file(place)
            answers = [one[0] for one in caller.ask(tasks)]
            found[name][adapter] = [
                {"question": task.question, "said": answer.text, "right": right(answer.calls, task.calls, task.tools),
                 "tool": answer.calls is not None and [c.name for c in answer.calls] == [c.name for c in task.calls],
                 "fits": bool(task.calls)}
                for task, answer in zip(tasks, answers, strict=True)
            ]  # fmt: skip
    engine.close()
    return found


async def ask_served(
    rows: Sequence[Row], tools: Sequence[Tool], adapters: Mapping[str, Path | None]
) -> dict[str, list[dict[str, Any]]]:
    """By adapter what `serve` calls under guidance where it may call nothing, and whether it is right."""
    from bfcl import client
    from portico_engine.tune.data.said_calls import read_calls

    offered = [
        {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.parameters}}
        for t in tools
    ]
    places = {f"{name}-{SERVED}": place for name, place in adapters.items() if place is not None}
    found: dict[str, list[dict[str, Any]]] = {}
    async with client("auto", SERVED, adapters=places, rows=AT_ONCE, kv_tokens=65_536) as http:

        async def one(adapter: str, row: Row) -> dict[str, Any]:
            body = {
                "model": SERVED if adapters[adapter] is None else f"{SERVED}:{adapter}-{SERVED}", "max_tokens": 256,
                "messages": [row.prompt[-1]], "tools": offered, "tool_choice": "auto", "parallel_tool_calls": False,
                "temperature": 0,
            }  # fmt: skip
            async with limit:
                answer = (await http.post("/v1/chat/completions", json=body, timeout=600)).json()
            if "choices" not in answer:
                raise SystemExit(f"{body['model']} answered {answer}")
            calls = [call["function"] for call in answer["choices"][0]["message"].get("tool_calls") or ()]
            said = [SaidCall(call["name"], json.loads(call["arguments"])) for call in calls]
            wanted = read_calls(row.completion) if row.completion.startswith("{") else []
            assert not isinstance(wanted, str)
            return {
                "question": row.question, "said": [list(call) for call in said], "right": right(said, wanted, tools),
                "tool": [call.name for call in said] == [call.name for call in wanted], "fits": bool(wanted),
            }  # fmt: skip

        limit = anyio.CapacityLimiter(AT_ONCE)
        for adapter in adapters:
            found[adapter] = await asyncio.gather(*(one(adapter, row) for row in rows))
    return found


def report(folders: Sequence[Path], *, no_write: bool) -> None:
    """Shares with intervals, and what the own adapter gains over the default one."""
    servers: dict[str, Any] = {}
    for file in [file for folder in folders for file in sorted(folder.glob("*.json"))]:
        found = json.loads(file.read_text(encoding="utf-8"))
        if "answers" not in found:
            continue
        sets = {name: {who: share(of) for who, of in by.items()} for name, by in found["answers"].items()}
        gains = {name: paired(rights(by[DEFAULT]), rights(by[OWN])) for name, by in found["answers"].items() if OWN in by}
        servers[found["server"]] = {"sets": sets, "gain_over_default": gains} | {
            key: found[key] for key in ("tools", "training", "command", "answers") if key in found
        }
        for name, by in sets.items():
            headings = [f"{found['server']}, {name}", "questions", "right", "95%", "tool", "no tool fits"]
            table(
                headings, [[who, f["questions"], f["right"], f["interval"], f["tool"], f["no_tool"]] for who, f in by.items()]
            )
            if name in gains:
                print(f"own over default: {gains[name]['points']:+.1f} points ({gains[name]['interval']})")
    if not no_write:
        command = next((found["command"] for found in servers.values()), "")
        write("own_tools", {"command": command, "servers": servers})


def rights(answers: Sequence[Mapping[str, Any]]) -> list[bool]:
    return [bool(one["right"]) for one in answers]


def share(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Percent of the answers that are right, of the right tool, and of the questions that no tool fits."""
    count, none = len(answers), [one["right"] for one in answers if not one["fits"]]
    found = sum(rights(answers))
    low, high = wilson(found, count)
    return {
        "questions": count, "right": round(100 * found / count, 1), "interval": f"{100 * low:.1f}-{100 * high:.1f}",
        "tool": round(100 * sum(one["tool"] for one in answers) / count, 1), "no_tool": f"{sum(none)} of {len(none)}",
    }  # fmt: skip


if __name__ == "__main__":
    main()
