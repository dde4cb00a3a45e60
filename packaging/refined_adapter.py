"""What the default adapter learns from its own answers: the second half of `make adapter`, on one GPU in some ten minutes.

usage: python packaging/refined_adapter.py --tools DIR --trained DIR --out DIR [--device cuda] [--questions 5200] [--small]

The adapter in `--trained`/adapter answers questions over the tool lists in `--tools`, three times each at temperature 1, under
the grammar. SFT goes on with what was right or is put right; from there DPO and KTO, each by itself, make its own mistakes less
likely than what is right. What comes out is the mean of the three adapters' matrices ("model soup", Wortsman et al. 2022,
arXiv:2203.05482), which lie close together since the last two begin at the first.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from portico_engine import find_model, load_engine
from portico_engine.models.config import read_config
from portico_engine.tune.calling.caller import ToolCaller
from portico_engine.tune.calling.own_answers import own_answers
from portico_engine.tune.calling.task import tasks_of
from portico_engine.tune.data.row_checks import RowChecks
from portico_engine.tune.data.row_file import PairRow
from portico_engine.tune.data.sources.tool_lists import listed_tools
from portico_engine.tune.data.tool_questions import Origin, questions_over
from portico_engine.tune.export.gguf_file import save_gguf
from portico_engine.tune.export.peft_folder import save_peft
from portico_engine.tune.preference.answers import TokenPair
from portico_engine.tune.preference.train import PreferenceTrainer
from portico_engine.tune.rendering import ChatRenderer
from portico_engine.tune.sft import Trainer
from portico_engine.tune.training.base_model import load_base
from portico_engine.tune.training.loop import Settings
from portico_engine.tune.training.low_rank import LowRankLinear
from portico_engine.tune.training.start import begin_at, read_start
from portico_engine.weights.gguf_file import GGUFFile
from portico_gateway.tuning.prompts import TRAINED_ON, serve_system

SEED = 20261130
LONGEST = 900  # tokens of a prompt: what a larger catalog adds is length
EACH = 3  # answers to a question
BETA = 0.3  # the best of three on held-out pairs, for both losses (docs/tuning.md)
BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"
Matrices = dict[str, tuple[Tensor, Tensor]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", type=Path, required=True, help="a folder with a tools/list answer a server")
    parser.add_argument("--trained", type=Path, required=True, help="what packaging/default_adapter.py train left")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--questions", type=int, default=5200)
    parser.add_argument("--small", action="store_true", help="a few questions, to see that it works")
    refine(parser.parse_args())


def refine(args: argparse.Namespace) -> None:
    model_path = find_model()
    cuda = args.device == "cuda"
    dtype = torch.bfloat16 if cuda else torch.float32
    torch.set_float32_matmul_precision("high")
    config = read_config(GGUFFile(model_path))
    start = args.trained / "adapter"
    made = questions_over(
        list(listed_tools(args.tools)),
        serve_system,
        24 if args.small else args.questions,
        seed=SEED,
        origin=Origin("tools/list of MCP servers", "MIT"),
    )
    rows = list(RowChecks().sound(made))
    engine = load_engine(
        model_path, executor="torch-cuda" if cuda else "torch-cpu", context=2 * LONGEST + 248, max_rows=128 if cuda else 16,
        kv_tokens=262_144 if cuda else 16_384, adapters=1, adapter_rank=64,
    )  # fmt: skip
    caller = ToolCaller(engine, config, max_tokens=200)
    caller.use_file(start)
    log = list(own_answers(caller, list(tasks_of(rows, engine, longest=LONGEST)), rows, each=EACH, seed=SEED))
    pairs = [row for row in log if isinstance(row, PairRow)]
    print(f"{len(log) - len(pairs)} answers kept, {len(pairs)} put right", flush=True)
    renderer = ChatRenderer(model_path)
    tokens = [TokenPair(renderer.row(p.prompt, p.chosen), renderer.row(p.prompt, p.rejected)) for p in pairs]
    good = list(
        dict.fromkeys(
            [renderer.row(r.prompt, r.completion) for r in log if not isinstance(r, PairRow)] + [p.chosen for p in tokens]
        )
    )
    settings = Settings(rank=32, alpha=64.0, epochs=2, batch_tokens=16_384 if cuda else 4096, learning_rate=2e-4, seed=1)

    sft = Trainer(load_base(model_path, args.device, dtype), good, settings)
    begin_at(sft.adapter, read_start(start, config))
    told: dict[str, Any] = {"sft": asdict(sft.run())}
    found = [matrices_of(sft.adapter)]
    save(args.out / "sft", found[0], settings)
    preferences = replace(settings, epochs=1.0, learning_rate=5e-5)
    for method in ("dpo", "kto"):
        trainer = PreferenceTrainer(
            load_base(model_path, args.device, dtype), tokens, preferences, start=read_start(args.out / "sft", config)
        )
        told[method] = asdict(trainer.run(method, BETA))
        found.append(matrices_of(trainer.adapter))
    mean = mean_of(found)
    save(args.out / "adapter", mean, settings)
    save_gguf(args.out / "adapter.gguf", mean, alpha=settings.alpha, config=config, base=BASE, prompts=TRAINED_ON)
    about = {
        "rows": len(good), "pairs": len(pairs), "settings": asdict(settings) | {"most_seconds": None}, "beta": BETA,
        "history": {method: {"steps": of["steps"], "seconds": of["seconds"]} for method, of in told.items()},
        "command": " ".join(["python", *sys.argv]),
    }  # fmt: skip
    (args.out / "refining.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def matrices_of(adapter: Mapping[str, LowRankLinear]) -> Matrices:
    """A and B by module, in float32 on the CPU."""
    return {name: (module.a.detach().float().cpu(), module.b.detach().float().cpu()) for name, module in adapter.items()}


def mean_of(adapters: Sequence[Matrices]) -> Matrices:
    """Matrix by matrix. The product of two means is not the mean of the products; between adapters of one beginning the
    difference is of second order.
    """
    return {
        name: (
            torch.stack([one[name][0] for one in adapters]).mean(dim=0),
            torch.stack([one[name][1] for one in adapters]).mean(dim=0),
        )
        for name in adapters[0]
    }


def save(folder: Path, matrices: Matrices, settings: Settings) -> None:
    save_peft(folder, matrices, rank=settings.rank, alpha=settings.alpha, base=BASE, prompts=TRAINED_ON)


if __name__ == "__main__":
    main()
