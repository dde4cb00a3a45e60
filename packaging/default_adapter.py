"""The default adapter from its data sets to its files: `make adapter`, on one GPU.

usage: python packaging/default_adapter.py data  --sources DIR --work DIR [--workers N] [--scale 1.0] [--without FILE]
                                            [--workspaces FILE]
       python packaging/default_adapter.py train --work DIR --out DIR [--device cuda] [--minutes 8] [--epochs 3] [--rate 1e-3]
                                            [--tokens N] [--compile] [--seed 1]

`data` renders rows over several processes and writes token ids; `train` goes on from its last checkpoint where it was killed,
and writes the adapter as PEFT and llama.cpp read it, with a report of the run. Neither fetches anything.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import random
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from portico_engine import find_model
from portico_engine.tune.data.kept import kept_rows
from portico_engine.tune.data.mixture import Sources, default_rows
from portico_engine.tune.data.overlap import Overlap
from portico_engine.tune.data.row_checks import RowChecks
from portico_engine.tune.data.sources.own import own_examples
from portico_engine.tune.rendering import ChatRenderer, TokenRow, load_rows, save_rows
from portico_gateway.agent.prompts import PROMPT_VERSION
from portico_gateway.tuning.prompts import TRAINED_ON, ask_system, serve_system

LONGEST = 1280  # tokens of a row
HELD_OUT, KEPT_OUT = 600, 300  # rows that are not trained on
SEED = 20261129
ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    data = steps.add_parser("data")
    data.add_argument("--sources", type=Path, required=True, help="a folder with training/, seal-tools/ and mcp-tools/")
    data.add_argument("--work", type=Path, required=True)
    data.add_argument("--workers", type=int, default=1)
    data.add_argument("--scale", type=float, default=1.0)
    data.add_argument("--without", type=Path, help="questions of evaluations, a line each: rows like them are left out")
    data.add_argument("--workspaces", type=Path, help="what packaging/server_workspaces.py wrote: rows over our own servers")
    train = steps.add_parser("train")
    train.add_argument("--work", type=Path, required=True)
    train.add_argument("--out", type=Path, required=True)
    train.add_argument("--device", default="cuda")
    train.add_argument("--minutes", type=float, default=math.inf)
    train.add_argument("--epochs", type=float, default=3.0)
    train.add_argument("--rate", type=float, default=1e-3)
    train.add_argument("--batch-tokens", type=int, default=32_768)
    train.add_argument("--rows", type=int, default=None, help="the first so many, for a trial")
    train.add_argument("--tokens", type=int, default=None, help="end about there, whatever epochs that are")
    train.add_argument("--compile", action="store_true", help="fuse each layer's kernels (torch.compile, a GPU)")
    train.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.step == "data" and args.workspaces is not None and not args.workspaces.is_file():
        parser.error(f"{args.workspaces} is not there: packaging/server_workspaces.py --out {args.workspaces} writes it")
    args.work.mkdir(parents=True, exist_ok=True)
    build_data(args) if args.step == "data" else run(args)


def build_data(args: argparse.Namespace) -> None:
    began = time.monotonic()
    folder = args.sources
    sources = Sources(folder / "training", folder / "seal-tools", folder / "mcp-tools", args.workspaces)
    jobs = [(sources, args.work, args.scale / args.workers, SEED + at, at, args.without) for at in range(args.workers)]
    if args.workers == 1:
        found = [part(*jobs[0])]
    else:
        with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
            found = pool.starmap(part, jobs)
    counts: Counter[str] = sum(found, Counter())
    about = {"seconds": round(time.monotonic() - began), "rows": counts.total(), "by_origin": dict(counts.most_common())}
    (args.work / "data.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(about), flush=True)


def part(sources: Sources, work: Path, scale: float, seed: int, at: int, without: Path | None) -> Counter[str]:
    """One worker's share, with a seed of its own, as token ids; what it holds by origin and kind of answer."""
    renderer = ChatRenderer(find_model())
    counts: Counter[str] = Counter()
    lines = []
    checks = RowChecks()
    known = Overlap(without.read_text(encoding="utf-8").splitlines() if without else ())
    for row in checks.sound(default_rows(sources, [serve_system, ask_system], [0.9, 0.1], seed=seed, scale=scale)):
        if known.found(row.prompt[-1]["content"]) is not None:
            continue
        kind = "several" if row.completion.startswith("[{") else "one" if row.completion.startswith("{") else "none"
        counts[f"{row.origin}: {kind}"] += 1
        lines.append(row.as_json())
    print(f"faulty rows, left out: {dict(checks.faults)}", flush=True)
    checks.refuse_unfit(small=scale < 0.01)
    rng = random.Random(seed)
    texts = [path.read_text(encoding="utf-8") for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])]
    tools = [call.tool for example in own_examples(rng, 1, 0) for call in example.calls]
    questions = [example.question for example in own_examples(rng, 3, 0)]
    kept = list(kept_rows(texts, questions, ask_system(rng.sample(tools, 4)), rng, int(len(lines) * 0.03)))
    counts["portico: kept"] = len(kept)
    save_rows(work / f"rows-{at:02d}.npz", renderer.rows([*lines, *kept], LONGEST))
    return counts


def run(args: argparse.Namespace) -> None:
    import torch

    from portico_engine.models.config import read_config
    from portico_engine.tune.export.gguf_file import save_gguf
    from portico_engine.tune.export.peft_folder import save_peft
    from portico_engine.tune.sft import Trainer
    from portico_engine.tune.training.base_model import compile_layers, load_base
    from portico_engine.tune.training.batches import batches, padded_tokens
    from portico_engine.tune.training.loop import Settings
    from portico_engine.weights.gguf_file import GGUFFile

    torch.set_float32_matmul_precision("high")
    rows: list[TokenRow] = [row for path in sorted(args.work.glob("rows-*.npz")) for row in load_rows(path)]
    random.Random(SEED).shuffle(rows)
    held_out, rows = rows[:HELD_OUT], rows[HELD_OUT : None if args.rows is None else HELD_OUT + args.rows]
    held_out = [row for row in held_out if not row.kept][: HELD_OUT if args.rows is None else 8]
    kept = [row for row in rows if row.kept][: KEPT_OUT if args.rows is None else 4]
    of_kept = {id(row) for row in kept}
    rows = [row for row in rows if id(row) not in of_kept]
    print(f"{len(rows)} rows, {sum(len(row.ids) for row in rows):,} tokens, {len(held_out)} held out", flush=True)
    epochs = args.epochs
    if args.tokens is not None:
        epoch = batches(rows, args.batch_tokens, args.seed)
        epochs = args.tokens / sum(map(padded_tokens, epoch))
    settings = Settings(
        epochs=epochs,
        learning_rate=args.rate,
        batch_tokens=args.batch_tokens,
        seed=args.seed,
        most_seconds=60 * args.minutes,
    )
    model_path = find_model()
    model = load_base(model_path, args.device, torch.bfloat16 if args.device == "cuda" else torch.float32)

    def say(line: str) -> None:
        print(line, flush=True)

    trainer = Trainer(model, rows, settings, held_out=held_out, folder=args.out / "run", say=say)
    if args.compile:
        compile_layers(model)
    before = trainer.held_out_loss()
    print(f"held-out loss of the base: {before:.4f}", flush=True)
    try:
        history = trainer.run()
    finally:
        matrices = {name: (module.a, module.b) for name, module in trainer.adapter.items()}
        base = "HuggingFaceTB/SmolLM2-135M-Instruct"
        told = {"base": base, "prompts": TRAINED_ON}
        save_peft(args.out / "adapter", matrices, rank=settings.rank, alpha=settings.alpha, **told)
        config = read_config(GGUFFile(model_path))
        save_gguf(args.out / "adapter.gguf", matrices, alpha=settings.alpha, config=config, **told)
    after = trainer.held_out_loss()
    agreement = trainer.kept_agreement(kept)
    print(f"held-out loss: {before:.4f} -> {after:.4f}; on {len(kept)} kept rows: {agreement}", flush=True)
    about = {
        "settings": asdict(settings) | {"most_seconds": min(settings.most_seconds, 1e9)},
        "rows": len(rows), "held_out_loss": [before, after], "kept": agreement,
        "prompt_version": PROMPT_VERSION, "history": asdict(history),
        "device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu", "torch": torch.__version__,
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if args.device == "cuda" else None,
        "command": " ".join(["python", *sys.argv]),
    }  # fmt: skip
    (args.out / "training.json").write_text(json.dumps(about) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
