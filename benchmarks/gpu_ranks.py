"""One model over several GPUs of one host beside one GPU: latency, throughput, prefill, and whether they say the same.

    python benchmarks/gpu_ranks.py [--ranks 2] [--layers 32] [--ways one,tp,ep,ep-all-to-all] [--minutes 6.5] [--out FOLDER]
    python benchmarks/gpu_ranks.py --small --device cpu         # the same program on a tiny shape, by gloo

The shape is Mixtral-8x7B's (or so many of its layers) in Q4_K with random weights, written to a temporary folder (26 GB for 32
layers). "tp": each expert's matrices are split, as attention always is; "ep": experts are dealt out whole; "ep-all-to-all": and
tokens of a prefill travel to them. Each way's logits are held against one GPU's over the same tokens, in a prefill and in
decodes by captured graphs: mean KL, and the share of positions with the same likeliest token. One GPU that reads the prompt in
other pieces is what rounding alone makes of that. A way for which the time is short is left out, and said to be. Figures are
written as they come.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gpu_steps import GREEDY, decode, prefill
from portico_engine.executors.protocol import Executor, Sizes
from portico_engine.executors.ranks.rank_executor import RankExecutor
from portico_engine.executors.ranks.rank_model import RankModel
from portico_engine.fallbacks import Fallbacks
from portico_engine.models.config import ExpertsConfig, RopeConfig
from portico_engine.parallel.expert_parallel import Exchange
from portico_engine.plan import Row, StepPlan, blocks_for
from portico_engine.weights.gguf_file import GGUFFile
from random_model import LLAMA_8B, Q, write_random
from report import write

MIXTRAL = replace(
    LLAMA_8B, vocab_size=32_000, rope=RopeConfig(1_000_000.0), experts=ExpertsConfig(8, 2, 14336, normalized=True)
)
SMALL = replace(
    MIXTRAL, n_layers=2, hidden=256, feed_forward=512, n_heads=4, n_kv_heads=2, head_dim=128, vocab_size=512,
    experts=ExpertsConfig(4, 2, 512, normalized=True),
)  # fmt: skip


class Work(NamedTuple):
    """How much is measured."""

    context: int
    steps: int
    batches: tuple[int, ...]
    prefill: int
    prefills: tuple[int, ...]
    checked: int  # tokens of the prompt whose logits are compared
    decoded: int  # and steps

    @property
    def sizes(self) -> Sizes:
        """Room for it."""
        tokens = max(max(self.batches) * (self.context + self.steps + 32), max(self.prefills) * self.prefill)
        return Sizes(max(self.prefill, self.context + self.steps) + 64, tokens + 1024, max(self.batches))


FULL = Work(256, 48, (1, 8, 64), 2048, (1, 8), 640, 24)  # more tokens than a graph has: they go all to all
TINY = Work(32, 4, (1, 4), 64, (1, 2), 48, 4)
ROWS = 4  # of the decodes that are compared
LEAST = {"one": 0.0, "tp": 45.0, "ep": 45.0, "ep-all-to-all": 40.0}  # seconds that a way is not begun without


def load(path: Path, way: str, work: Work, args: argparse.Namespace, fallbacks: Fallbacks) -> Executor:
    """The model in one of the ways."""
    cuda = args.device == "cuda"
    if way == "one":
        if cuda:
            from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor

            return TorchCUDAExecutor.load(GGUFFile(path), work.sizes, fallbacks=fallbacks)
        from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor

        return TorchCPUExecutor.load(GGUFFile(path), work.sizes)
    exchange = Exchange("all_to_all" if way == "ep-all-to-all" else "sum")
    model = RankModel(path, args.ranks, cuda, expert_parallel=way != "tp", exchange=exchange)
    return RankExecutor.load(model, work.sizes, fallbacks=fallbacks)


class Said(NamedTuple):
    """Log-probabilities on the CPU, float32 [positions, vocab]."""

    prompt: Tensor
    decoded: Tensor


def said(executor: Executor, work: Work, *, pieces: int = 1) -> Said:
    """After the tokens of one prompt, read in so many pieces, and of several rows' decodes, each given the same tokens."""
    rng = np.random.default_rng(5)
    most = executor.caps.vocab_size
    prompt = tuple(rng.integers(3, most, work.checked).tolist())
    table = tuple(range(blocks_for(work.checked)))
    read = []
    step = -(-work.checked // pieces)
    for at in range(0, work.checked, step):
        part = prompt[at : at + step]
        read.append(_logits(executor, [Row(0, part, at, table, tuple(range(len(part))), targets=part)]))
    tokens = rng.integers(3, most, (ROWS, work.decoded))
    width = blocks_for(work.decoded)
    tables = [tuple(range(i * width, (i + 1) * width)) for i in range(ROWS)]
    decoded = [
        _logits(executor, [Row(i, (int(tokens[i, at]),), at, tables[i], (0,), GREEDY) for i in range(ROWS)])
        for at in range(work.decoded)
    ]
    return Said(torch.cat(read), torch.cat(decoded))


def _logits(executor: Executor, rows: list[Row]) -> Tensor:
    pending: Any = executor.submit(StepPlan(tuple(rows)))
    logits = torch.as_tensor(pending.logits).float().cpu().clone()
    pending.finish()
    return logits.log_softmax(-1)


def compared(reference: Tensor, other: Tensor) -> dict[str, float]:
    """Mean KL(reference || other) in nats, and how often both have the same likeliest token."""
    divergence = (reference.exp() * (reference - other)).sum(-1)
    same = (reference.argmax(-1) == other.argmax(-1)).float()
    return {"kl": float(divergence.mean()), "most_kl": float(divergence.max()), "same_top_token": float(same.mean())}


def measure(executor: Executor, work: Work, *, prefill_alone: bool) -> dict[str, Any]:
    """Of one way."""
    found: dict[str, Any] = {}
    for batch in () if prefill_alone else work.batches:
        took = decode(executor, batch, work.context, work.steps)
        found[f"decode_{batch}"] = {"ms": 1e3 * took, "tok_s": batch / took}
        print(f"  decode, batch {batch}: {1e3 * took:.2f} ms a step, {batch / took:.0f} tok/s", flush=True)
    for prompts in work.prefills:
        found[f"prefill_{prompts}x{work.prefill}"] = rate = prefill(executor, prompts, work.prefill)
        print(f"  prefill, {prompts} x {work.prefill}: {rate:.0f} tok/s", flush=True)
    return found


def one_way(
    path: Path, way: str, work: Work, args: argparse.Namespace, found: dict[str, Any], reference: Said | None
) -> Said | None:
    """Fills in `found`. What the one GPU says; None of the other ways."""
    start, fallbacks = time.monotonic(), Fallbacks()
    executor = load(path, way, work, args, fallbacks)
    found |= {"load_s": time.monotonic() - start, "fallbacks": fallbacks.described()}
    print(f"  loaded in {found['load_s']:.0f} s", flush=True)
    try:
        if args.device == "cuda":
            found["memory_gib_of_rank_0"] = torch.cuda.memory_allocated() / 2**30
        now = said(executor, work)
        others = {"prompt in 3 pieces": said(executor, work, pieces=3)} if way == "one" else {"": now}
        reference = now if way == "one" else reference
        if reference is not None:
            found["against_one"] = {
                name or kind: compared(getattr(reference, kind), getattr(other, kind))
                for name, other in others.items()
                for kind in (Said._fields if not name else Said._fields[:1])
            }
            print(f"  against one: {found['against_one']}", flush=True)
        found |= measure(executor, work, prefill_alone=way == "ep-all-to-all")
    finally:
        executor.close()
    return now if way == "one" else None


def run(args: argparse.Namespace, folder: Path, figures: dict[str, Any]) -> None:
    """All ways, as far as the time goes."""
    begun = time.monotonic()
    work = TINY if args.small else FULL
    config = SMALL if args.small else replace(MIXTRAL, n_layers=args.layers)
    tokenizer: Any = SimpleNamespace(metadata={})
    path = write_random(folder / "model.gguf", config, tokenizer, lambda _name, _layer: Q.Q4_K)
    figures["file"] = {"gib": path.stat().st_size / 2**30, "write_s": time.monotonic() - begun}
    print(
        f"{config.n_layers} layers, {figures['file']['gib']:.1f} GiB written in {figures['file']['write_s']:.0f} s", flush=True
    )
    reference: Said | None = None
    for way in args.ways.split(","):
        left = 60 * args.minutes - (time.monotonic() - begun)
        if left < LEAST[way] and not args.small:
            figures[way] = {"left_out": f"{left:.0f} s were left of {args.minutes} minutes"}
            print(f"{way}: left out, {figures[way]['left_out']}", flush=True)
            continue
        print(way, flush=True)
        start = time.monotonic()
        found: dict[str, Any] = {}
        figures[way] = found
        try:
            reference = one_way(path, way, work, args, found, reference) or reference
        except Exception as error:  # noqa: BLE001 - the figure of this way; others are still to be measured
            traceback.print_exc()
            found["error"] = f"{type(error).__name__}: {error}"
        gc.collect()
        if args.device == "cuda":
            torch.cuda.empty_cache()
        found["seconds"] = time.monotonic() - start
        write("gpu_ranks", figures, args.out)
    print(f"{time.monotonic() - begun:.0f} s in all", flush=True)


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--layers", type=int, default=MIXTRAL.n_layers)
    parser.add_argument("--ways", default=",".join(LEAST))
    parser.add_argument("--minutes", type=float, default=6.5)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", Path(__file__).parent / "results")))
    args = parser.parse_args()
    if unknown := set(args.ways.split(",")) - LEAST.keys():
        parser.error(f"no way is called {', '.join(sorted(unknown))}; there are {', '.join(LEAST)}")
    card = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
    figures: dict[str, Any] = {"card": card, "ranks": args.ranks, "layers": SMALL.n_layers if args.small else args.layers}
    with tempfile.TemporaryDirectory() as folder:
        run(args, Path(folder), figures)


if __name__ == "__main__":
    main()
