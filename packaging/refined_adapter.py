"""What the default adapter learns from its own answers: the second half of `make adapter`, on one GPU in some six minutes.

usage: python packaging/refined_adapter.py answer --tools DIR --trained DIR --work DIR [--workspaces FILE] [--questions 6000]
                                                  [--part 1/1] [--minutes M] [--seed 1] [--device cuda] [--small]
       python packaging/refined_adapter.py train  --trained DIR --work DIR --out DIR [--talk 10000] [--rate 5e-4] [--epochs 2]
                                                  [--minutes M] [--seed 1] [--device cuda] [--small]

`answer`: the adapter in `--trained`/adapter answers questions over the tool lists in `--tools`, an eighth of them for several
calls at once, and over those workspaces of our own servers that it was not trained on, three times each at temperature 1, under
the grammar. What was right is kept, the rest put right; it lies in `--work` then. Several processes may each take a part.

`train`: supervised training goes on from the adapter with what was kept and put right. `--talk` has the base answer so many
turns without tools, half of them ordinary ones and half those very questions; there the distance from what it says is made
small, and a few that are held out tell how far it still is. Preferences after that were measured and left out
(docs/tuning.md): they cost calls where a tool fits.
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

from portico_engine import Engine, find_model, load_engine
from portico_engine.models.config import read_config
from portico_engine.tune.calling.caller import ToolCaller
from portico_engine.tune.calling.own_answers import own_answers
from portico_engine.tune.calling.task import Task, tasks_of
from portico_engine.tune.data.mixture import over_servers
from portico_engine.tune.data.row_checks import RowChecks
from portico_engine.tune.data.row_file import AnyRow, PairRow, read_rows, write_rows
from portico_engine.tune.data.rows import Neighbours, Row, RowMaker
from portico_engine.tune.data.sources.own_servers.workspace import HELD_OUT as WORKSPACES_HELD_OUT
from portico_engine.tune.data.sources.own_servers.workspace import read_workspaces
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
SEVERAL = 0.12  # of the questions over tool lists, for several calls of one tool
EACH = 3  # answers to a question
TALKED = 24  # tokens of an answer without tools
TALK_EPOCHS = 2  # over turns without tools in one over the calls
NO_CALL_TIMES = 3  # that a row without a call is there: learning to talk makes calls where no tool fits
HELD_OUT = 200  # rows, and turns without tools, that are not trained on
BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    answering, training = steps.add_parser("answer"), steps.add_parser("train")
    answering.add_argument("--tools", type=Path, required=True, help="a folder with a tools/list answer a server")
    answering.add_argument(
        "--workspaces", type=Path, help="what packaging/server_workspaces.py wrote: questions over our servers, too"
    )
    answering.add_argument("--questions", type=int, default=6000)
    answering.add_argument("--part", default="1/1", help="of the questions, as 2/3")
    training.add_argument("--out", type=Path, required=True)
    training.add_argument(
        "--talk", type=int, default=10_000, help="turns without tools, at which it is to say what its base says"
    )
    training.add_argument("--rate", type=float, default=5e-4)
    training.add_argument("--epochs", type=float, default=2.0)
    for step in (answering, training):
        step.add_argument("--trained", type=Path, required=True, help="what packaging/default_adapter.py train left")
        step.add_argument("--work", type=Path, required=True, help="where the answers lie")
        step.add_argument("--minutes", type=float, default=math.inf, help="at most, in all")
        step.add_argument("--seed", type=int, default=1, help="of the answers and the training; the questions are the same")
        step.add_argument("--device", default="cuda")
        step.add_argument("--small", action="store_true", help="a few questions, to see that it works")
    args = parser.parse_args()
    torch.set_float32_matmul_precision("high")
    answer(args) if args.step == "answer" else train(args)


def loaded(args: argparse.Namespace) -> Engine:
    cuda = args.device == "cuda"
    return load_engine(
        find_model(), executor="torch-cuda" if cuda else "torch-cpu", context=2 * LONGEST + 248, max_rows=128 if cuda else 16,
        kv_tokens=262_144 if cuda else 16_384, adapters=1, adapter_rank=64,
    )  # fmt: skip


# -- answers


def questions(args: argparse.Namespace) -> list[Row]:
    """In random order: over tool lists, and a share over our own servers."""
    count = min(24, args.questions) if args.small else args.questions
    rng = random.Random(SEED)
    tools = list(listed_tools(args.tools))
    ours: list[Row] = []
    if args.workspaces is not None:
        held_out = read_workspaces(args.workspaces)[-WORKSPACES_HELD_OUT:]
        maker = RowMaker(Neighbours(tools), [serve_system], [1.0], SEED)
        each = max(1, round(count * OVER_SERVERS / len(held_out) / 3))
        ours = [maker.as_listed(example) for example in over_servers(held_out, (), rng, each)]
    made = questions_over(
        tools, serve_system, max(1, round((count - len(ours)) / (1 + SEVERAL))), seed=SEED,
        origin=Origin("tools/list of MCP servers", "MIT"), several=SEVERAL,
    )  # fmt: skip
    rows = list(RowChecks().sound([*made, *ours]))
    rng.shuffle(rows)
    return rows


def answer(args: argparse.Namespace) -> None:
    began = time.monotonic()
    at, _, of = args.part.partition("/")
    rows = questions(args)[int(at) - 1 :: int(of)]
    engine = loaded(args)
    caller = ToolCaller(engine, read_config(GGUFFile(find_model())), max_tokens=200)
    caller.use_file(args.trained / "adapter")
    log = list(answered(caller, rows, began + 60 * args.minutes, args.seed))
    engine.close()
    for name, put_right in (("kept", False), ("edited", True)):
        of_kind = [row for row in log if isinstance(row, PairRow) == put_right]
        if of_kind:
            write_rows(args.work / f"{name}-{at}.jsonl", of_kind)
        print(f"{len(of_kind)} answers {name} in {time.monotonic() - began:.0f} s", flush=True)


def answered(caller: ToolCaller, rows: Sequence[Row], until: float, seed: int) -> Iterator[Row | PairRow]:
    """Rows and pairs, a part of the questions at a time until the clock says `until`."""
    tasks = tasks_of(rows, caller.engine, longest=LONGEST)
    asked = 0
    while time.monotonic() < until and (part := list(itertools.islice(tasks, AT_ONCE))):
        asked += len(part)
        yield from own_answers(caller, part, rows, each=EACH, seed=SEED + asked + SEED * (seed - 1))
    print(f"{asked} of {len(rows)} questions were answered", flush=True)


# -- training


def talked(caller: ToolCaller, renderer: ChatRenderer, turns: Sequence[str]) -> list[TokenRow]:
    """Turns without tools and the base's answers, as rows that are to be kept."""
    prompts = [[{"role": "user", "content": turn}] for turn in turns]
    tasks = [Task(prompt[0]["content"], caller.engine.render_chat(prompt), (), (), None) for prompt in prompts]
    answers = [one[0].text for one in caller.ask(tasks)]
    return [renderer.row(prompt, said)._replace(kept=True) for prompt, said in zip(prompts, answers, strict=True)]


def turns_without_tools(args: argparse.Namespace, asked: Sequence[str]) -> list[str]:
    """Half ordinary ones, half questions that were asked with tools."""
    rng, count = random.Random(SEED + args.seed), 24 if args.small and args.talk else args.talk
    questions = rng.sample(asked, min(count // 2, len(asked)))
    turns = [*talk(random.Random(SEED), count - len(questions)), *questions]
    rng.shuffle(turns)
    return turns


def right_answer(row: AnyRow) -> str:
    return row.chosen if isinstance(row, PairRow) else row.completion


def train(args: argparse.Namespace) -> None:
    began = time.monotonic()
    model_path = find_model()
    cuda = args.device == "cuda"
    config = read_config(GGUFFile(model_path))
    log = [row for file in sorted(args.work.glob("*.jsonl")) for row in read_rows(file)]
    if not log:
        raise SystemExit(f"there are no answers in {args.work}: `answer` writes them")
    pairs = [row for row in log if isinstance(row, PairRow)]
    print(f"{len(log) - len(pairs)} answers kept, {len(pairs)} put right", flush=True)
    renderer = ChatRenderer(model_path)
    right = {(row.prompt[0]["content"], row.question, right_answer(row)): row.prompt for row in log}
    calls = {renderer.row(prompt, said): said.startswith(("{", "[")) for (*_, said), prompt in right.items()}
    few = 4 if args.small else HELD_OUT
    good = list(calls)
    random.Random(SEED).shuffle(good)
    taught = [row for row in good[few:] for _ in range(1 if calls[row] else NO_CALL_TIMES)]
    engine = loaded(args)
    turns = turns_without_tools(args, sorted({row.question for row in log}))
    kept = talked(ToolCaller(engine, config, max_tokens=TALKED), renderer, turns)
    engine.close()
    print(f"the base answered {len(kept)} turns without tools in {time.monotonic() - began:.0f} s", flush=True)
    left = 60 * args.minutes - (time.monotonic() - began) - END
    settings = Settings(
        rank=32, alpha=64.0, epochs=args.epochs, batch_tokens=16_384 if cuda else 4096, learning_rate=args.rate, seed=args.seed,
        most_seconds=max(left, 20),
    )  # fmt: skip
    base = load_base(model_path, args.device, torch.bfloat16 if cuda else torch.float32)
    trainer = Trainer(base, [*taught, *TALK_EPOCHS * kept[few:]], settings, held_out=good[:few])
    begin_at(trainer.adapter, read_start(args.trained / "adapter", config))
    before = trainer.held_out_loss(), trainer.kept_agreement(kept[:few])
    history = trainer.run()
    after = trainer.held_out_loss(), trainer.kept_agreement(kept[:few])
    matrices = {name: (module.a, module.b) for name, module in trainer.adapter.items()}
    save_peft(args.out / "adapter", matrices, rank=settings.rank, alpha=settings.alpha, base=BASE, prompts=TRAINED_ON)
    save_gguf(args.out / "adapter.gguf", matrices, alpha=settings.alpha, config=config, base=BASE, prompts=TRAINED_ON)
    about = {
        "kept": len(log) - len(pairs), "put_right": len(pairs), "rows": len(good), "taught": len(taught), "talk": len(kept),
        "held_out_loss": [before[0], after[0]], "as_the_base": [before[1], after[1]],
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "steps": history.steps, "seconds": round(history.seconds), "command": " ".join(["python", *sys.argv]),
        "settings": asdict(settings) | {"most_seconds": None}, "torch": torch.__version__,
    }  # fmt: skip
    (args.out / "refining.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(about), flush=True)


if __name__ == "__main__":
    main()
