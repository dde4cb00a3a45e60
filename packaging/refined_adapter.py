"""What the default adapter learns from its own answers: the second half of `make adapter`, on one GPU in some six minutes.

usage: python packaging/refined_adapter.py --tools DIR --trained DIR --out DIR [--workspaces FILE] [--device cuda]
                                           [--questions 5200] [--minutes M] [--seed 1] [--talk N]
                                           [--small]

The adapter in `--trained`/adapter answers questions over the tool lists in `--tools`, and over those workspaces of our own
servers that it was not trained on, three times each at temperature 1, under the grammar; supervised training goes on from it
with what was right, and with what is right where its answer was not. `--minutes` ends the answers when two thirds are up.
`--talk` has the base answer so many ordinary turns; there the distance from what it says is made small.
Preferences after that were measured and left out (docs/tuning.md): they cost calls where a tool fits.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from portico_engine import find_model, load_engine
from portico_engine.models.config import read_config
from portico_engine.tune.calling.caller import ToolCaller
from portico_engine.tune.calling.own_answers import own_answers
from portico_engine.tune.calling.task import Task, tasks_of
from portico_engine.tune.data.mixture import over_servers
from portico_engine.tune.data.row_checks import RowChecks
from portico_engine.tune.data.row_file import PairRow
from portico_engine.tune.data.rows import Neighbours, Row, RowMaker
from portico_engine.tune.data.sources.own_servers.workspace import HELD_OUT, read_workspaces
from portico_engine.tune.data.sources.tool_lists import listed_tools
from portico_engine.tune.data.talk import talk
from portico_engine.tune.data.tool_questions import Origin, questions_over
from portico_engine.tune.export.gguf_file import save_gguf
from portico_engine.tune.export.peft_folder import save_peft
from portico_engine.tune.rendering import ChatRenderer, TokenRow
from portico_engine.tune.sft import Trainer
from portico_engine.tune.training.base_model import load_base
from portico_engine.tune.training.loop import Settings
from portico_engine.tune.training.start import begin_at, read_start
from portico_engine.weights.gguf_file import GGUFFile
from portico_gateway.tuning.prompts import TRAINED_ON, serve_system

SEED = 20261130
LONGEST = 1150  # tokens of a prompt: what a larger catalog adds is length
END = 10.0  # seconds that loading the base and writing files may take
AT_ONCE = 256  # questions between two looks at the clock
OVER_SERVERS = 0.3  # of the questions
EACH = 3  # answers to a question
TALKED = 48  # tokens of an answer to an ordinary turn
BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", type=Path, required=True, help="a folder with a tools/list answer a server")
    parser.add_argument("--trained", type=Path, required=True, help="what packaging/default_adapter.py train left")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--questions", type=int, default=5200)
    parser.add_argument(
        "--workspaces", type=Path, help="what packaging/server_workspaces.py wrote: questions over our servers, too"
    )
    parser.add_argument("--minutes", type=float, default=math.inf, help="at most, in all")
    parser.add_argument("--seed", type=int, default=1, help="of the answers and the training; the questions are the same")
    parser.add_argument(
        "--talk", type=int, default=0, help="ordinary turns without tools, at which it is to say what its base says"
    )
    parser.add_argument("--small", action="store_true", help="a few questions, to see that it works")
    refine(parser.parse_args())


def questions(args: argparse.Namespace) -> list[Row]:
    """In random order: over tool lists, and a share over our own servers."""
    count = min(24, args.questions) if args.small else args.questions
    rng = random.Random(SEED)
    tools = list(listed_tools(args.tools))
    ours: list[Row] = []
    if args.workspaces is not None:
        held_out = read_workspaces(args.workspaces)[-HELD_OUT:]
        maker = RowMaker(Neighbours(tools), [serve_system], [1.0], SEED)
        each = max(1, round(count * OVER_SERVERS / len(held_out) / 3))
        ours = [maker.as_listed(example) for example in over_servers(held_out, (), rng, each)]
    made = questions_over(
        tools, serve_system, max(1, count - len(ours)), seed=SEED, origin=Origin("tools/list of MCP servers", "MIT")
    )
    rows = list(RowChecks().sound([*made, *ours]))
    rng.shuffle(rows)
    return rows


def answered(caller: ToolCaller, rows: Sequence[Row], until: float, seed: int) -> Iterator[Row | PairRow]:
    """Rows and pairs, a part of the questions at a time until the clock says `until`."""
    tasks = tasks_of(rows, caller.engine, longest=LONGEST)
    asked = 0
    while time.monotonic() < until and (part := list(itertools.islice(tasks, AT_ONCE))):
        asked += len(part)
        yield from own_answers(caller, part, rows, each=EACH, seed=SEED + asked + SEED * (seed - 1))
    print(f"{asked} of {len(rows)} questions were answered", flush=True)


def talked(caller: ToolCaller, renderer: ChatRenderer, count: int) -> list[TokenRow]:
    """Ordinary turns with the base's answers, as rows that are to be kept."""
    caller.drop()
    prompts = [[{"role": "user", "content": turn}] for turn in talk(random.Random(SEED), count)]
    engine = caller.engine
    tasks = [Task(prompt[0]["content"], engine.render_chat(prompt), (), (), None) for prompt in prompts]
    answers = [one[0].text for one in caller.ask(tasks)]
    return [renderer.row(prompt, said)._replace(kept=True) for prompt, said in zip(prompts, answers, strict=True)]


def refine(args: argparse.Namespace) -> None:
    began = time.monotonic()
    model_path = find_model()
    cuda = args.device == "cuda"
    dtype = torch.bfloat16 if cuda else torch.float32
    torch.set_float32_matmul_precision("high")
    config = read_config(GGUFFile(model_path))
    start = args.trained / "adapter"
    rows = questions(args)
    engine = load_engine(
        model_path, executor="torch-cuda" if cuda else "torch-cpu", context=2 * LONGEST + 248, max_rows=128 if cuda else 16,
        kv_tokens=262_144 if cuda else 16_384, adapters=1, adapter_rank=64,
    )  # fmt: skip
    caller = ToolCaller(engine, config, max_tokens=200)
    caller.use_file(start)
    log = list(answered(caller, rows, began + 40 * args.minutes, args.seed))
    pairs = [row for row in log if isinstance(row, PairRow)]
    print(f"{len(log) - len(pairs)} answers kept, {len(pairs)} put right", flush=True)
    renderer = ChatRenderer(model_path)
    good = [renderer.row(row.prompt, row.chosen if isinstance(row, PairRow) else row.completion) for row in log]
    left = 60 * args.minutes - (time.monotonic() - began) - END
    settings = Settings(
        rank=32,
        alpha=64.0,
        epochs=2,
        batch_tokens=16_384 if cuda else 4096,
        learning_rate=2e-4,
        seed=args.seed,
        most_seconds=max(left, 20),
    )
    good = list(dict.fromkeys(good))
    kept = talked(ToolCaller(engine, config, max_tokens=TALKED), renderer, 12 if args.small and args.talk else args.talk)
    if kept:
        print(f"{len(kept)} ordinary turns are kept", flush=True)
    trainer = Trainer(load_base(model_path, args.device, dtype), [*good, *kept], settings)
    begin_at(trainer.adapter, read_start(start, config))
    history = trainer.run()
    matrices = {name: (module.a, module.b) for name, module in trainer.adapter.items()}
    save_peft(args.out / "adapter", matrices, rank=settings.rank, alpha=settings.alpha, base=BASE, prompts=TRAINED_ON)
    save_gguf(args.out / "adapter.gguf", matrices, alpha=settings.alpha, config=config, base=BASE, prompts=TRAINED_ON)
    about = {
        "kept": len(log) - len(pairs), "put_right": len(pairs), "rows": len(good), "talk": len(kept),
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "steps": history.steps, "seconds": round(history.seconds), "command": " ".join(["python", *sys.argv]),
        "settings": asdict(settings) | {"most_seconds": None}, "torch": torch.__version__,
    }  # fmt: skip
    (args.out / "refining.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
