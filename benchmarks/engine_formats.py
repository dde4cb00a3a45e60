"""How fast each block format decodes on this CPU, beside llama.cpp in the same run: random weights in the shape of Qwen3-0.6B,
and of a mixture of experts ("experts").

    python benchmarks/engine_formats.py [--threads 1] [--repeats 9] [--clock wall|cpu] [--formats Q4_K_M ...]

A step is one token (or four) after 256. Mixtures are laid out as llama.cpp's quantizer does: the `_M` ones have the embedding,
and `attn_v` and `ffn_down` of half of the layers, in Q6_K. The two engines take turns; load is the engine's alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import gguf
import torch

from engine_cpu import Ours, alternate
from llama_reference import LlamaCpp
from portico_engine import find_model
from portico_engine.weights.gguf_file import GGUFFile
from random_model import QWEN3_0_6B, QWEN3_MOE, Q, Recipe, mixture, write_random
from report import table, write

CONTEXT = 256
STEPS = (1, 4)
EXPERTS = "experts"


def pure(kind: gguf.GGMLQuantizationType, head: gguf.GGMLQuantizationType) -> Recipe:
    """All layers in one format."""
    return lambda _name, layer: head if layer < 0 else kind


RECIPES: dict[str, Recipe] = {
    "Q4_0": pure(Q.Q4_0, Q.Q6_K),
    "Q4_1": pure(Q.Q4_1, Q.Q6_K),
    "Q4_K_M": mixture(Q.Q4_K, QWEN3_0_6B.n_layers),
    "Q5_0": pure(Q.Q5_0, Q.Q6_K),
    "Q5_K_M": mixture(Q.Q5_K, QWEN3_0_6B.n_layers),
    "Q6_K": pure(Q.Q6_K, Q.Q6_K),
    "Q8_0": pure(Q.Q8_0, Q.Q8_0),
    EXPERTS: pure(Q.Q4_0, Q.Q6_K),
}


def measure(path: Path, args: argparse.Namespace) -> dict[str, float]:
    """One format's figures."""
    clock = time.perf_counter if args.clock == "wall" else time.process_time
    start = clock()
    ours = Ours(path, CONTEXT, None)
    row = {"load_s": clock() - start}
    llama = LlamaCpp(path, context=CONTEXT + 64, threads=args.threads)
    tokens = [1000 + i % 3000 for i in range(CONTEXT)]

    def llama_prefill() -> None:
        llama.clear()
        llama.eval(tokens, 0)

    mine, theirs = alternate(clock, 2, lambda: ours.prefill(tokens), llama_prefill)
    row |= {"prefill": CONTEXT / mine, "prefill_llama_cpp": CONTEXT / theirs}
    for m in STEPS:

        def llama_step(m: int = m) -> None:
            llama.forget_from(CONTEXT)
            llama.eval(tokens[:m], CONTEXT)

        def our_step(m: int = m) -> None:
            ours.step(ours.row(tokens[:m], CONTEXT))

        mine, theirs = alternate(clock, args.repeats, our_step, llama_step)
        row |= {f"step_{m}": m / mine, f"step_{m}_llama_cpp": m / theirs}
    llama.close()
    return row


def main() -> None:
    """Measure, print a table, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="cpu")
    parser.add_argument("--formats", nargs="+", choices=RECIPES, default=list(RECIPES))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    tokenizer = GGUFFile(find_model())
    rows: dict[str, dict[str, float]] = {}
    for name in args.formats:
        with tempfile.TemporaryDirectory() as folder:
            shape = QWEN3_MOE if name == EXPERTS else QWEN3_0_6B
            path = write_random(Path(folder) / "random.gguf", shape, tokenizer, RECIPES[name], tied=True, padded=True)
            rows[name] = {"file_mb": path.stat().st_size / 1e6, **measure(path, args)}
        print(name, {key: round(value, 1) for key, value in rows[name].items()}, flush=True)
    headings = ("tokens/s", "decode", "llama.cpp", "ratio", "four", "llama.cpp", "ratio", "prefill", "llama.cpp", "load s")
    table(
        headings,
        [
            (
                name,
                *(
                    f"{value:.1f}"
                    for key in ("step_1", "step_4")
                    for value in (row[key], row[f"{key}_llama_cpp"], row[key] / row[f"{key}_llama_cpp"])
                ),
                *(f"{row[key]:.0f}" for key in ("prefill", "prefill_llama_cpp")),
                f"{row['load_s']:.1f}",
            )
            for name, row in rows.items()
        ],
    )
    some = "" if args.formats == list(RECIPES) else f"_{'_'.join(args.formats)}"
    write(f"engine_formats{some}", {"threads": args.threads, "clock": args.clock, "context": CONTEXT, "rows": rows})


if __name__ == "__main__":
    main()
