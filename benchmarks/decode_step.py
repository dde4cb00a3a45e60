"""How long a decode step takes on one NVIDIA GPU, by how its layers are launched; and how the likeliest tokens are found.

    python benchmarks/decode_step.py [--models smollm2,8b-q4_k_m] [--tokenizer MODEL.gguf] [--kernels] [--more]

Models are shapes with random weights. "layers" is what a captured graph of all layers takes for 1, 8 and 16 tokens, each with
256 cached ones: one operation a kernel, five kernels a layer one after another, then overlapping, then reading weights ahead;
in turns, the median of five. "step" is a whole decode of an executor, greedy, tokens back on the host.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpu_steps import decode, read_bandwidth, step_bytes
from portico_engine import find_model
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cuda_attention import CUDAPagedKV, PagedAttention
from portico_engine.executors.torch.cuda_batch import ADDRESSES, RaggedBatch
from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor
from portico_engine.kernels import reference, sampling
from portico_engine.kernels.decode_step import DecodeTuning, Places
from portico_engine.models.decode_layers import DecodeLayers, unfit
from portico_engine.models.decoder import Decoder
from portico_engine.plan import BLOCK_TOKENS, blocks_for
from portico_engine.weights.gguf_file import GGUFFile
from random_model import LLAMA_8B, SMOLLM2_135M, Q, mixture, q4_1, write_random
from report import table, write

CONTEXT = 256
TOKENS = (1, 8, 16)
SHAPES = {
    "smollm2": (SMOLLM2_135M, q4_1, True),
    "8b-q4_k_m": (LLAMA_8B, mixture(Q.Q4_K, LLAMA_8B.n_layers, embedding=Q.Q4_K), False),
}
MAIN: Mapping[str, DecodeTuning | None] = {
    "operations": None,
    "five": DecodeTuning(overlap=False, prefetch=False, attention_prefetch=False),
    "overlap": DecodeTuning(prefetch=False, attention_prefetch=False),
    "prefetch": DecodeTuning(),
}
MORE: Mapping[str, DecodeTuning | None] = {
    "ring 28": DecodeTuning(ring_bytes=28 << 10),
    "ring 44": DecodeTuning(ring_bytes=44 << 10),
    "ring 60": DecodeTuning(ring_bytes=60 << 10),
    "ring 104": DecodeTuning(ring_bytes=104 << 10),
    "warps 4": DecodeTuning(warps=4),
    "warps 16": DecodeTuning(warps=16),
    "wide": DecodeTuning(most_warps=4),
    "units 2": DecodeTuning(units=2),
    "norm before": DecodeTuning(normed_tokens=0),
    "norm within": DecodeTuning(normed_tokens=16),
    "attention warps 16": DecodeTuning(attention_warps=16),
    "attention span 16": DecodeTuning(attention_span=16),
    "attention span 64": DecodeTuning(attention_span=64),
    "attention waits": DecodeTuning(attention_prefetch=False),
}


class Batch:
    """Tokens of so many sequences, each with CONTEXT cached ones of noise."""

    def __init__(self, decoder: Decoder, n: int) -> None:
        width = blocks_for(CONTEXT + 1)
        tables = torch.arange(n * width, dtype=torch.int32, device="cuda").view(n, width)
        addresses = torch.zeros(ADDRESSES, n, dtype=torch.int32, device="cuda")
        addresses[0] = torch.arange(100, 100 + n)
        addresses[1] = CONTEXT
        addresses[2] = torch.arange(n)
        self.ragged = RaggedBatch(addresses, tables)
        self.kv = CUDAPagedKV(decoder.config, n * width, "cuda").tensor
        self.kv.normal_()
        self.out = torch.zeros(n, decoder.config.hidden, device="cuda")

    def launch(self, decoder: Decoder, layers: DecodeLayers | None) -> None:
        """All layers."""
        batch = self.ragged
        if layers is None:
            self.out.copy_(decoder.hidden(batch.tokens, batch.positions, PagedAttention(self.kv, batch)))
        else:
            self.out.copy_(decoder.embedded(batch.tokens))
            layers.run(self.out, Places(batch.positions, batch.slots, batch.tables), self.kv)


def captured(run: Callable[[], object]) -> torch.cuda.CUDAGraph:
    """As a graph."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        run()
    return graph


def microseconds(graph: torch.cuda.CUDAGraph, repeats: int = 30) -> float:
    """Of one replay among several, on the device."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    graph.replay()
    begin.record()
    for _ in range(repeats):
        graph.replay()
    end.record()
    torch.cuda.synchronize()
    return 1e3 * begin.elapsed_time(end) / repeats


def kernel_times(graph: torch.cuda.CUDAGraph) -> list[tuple[str, int, float]]:
    """Name, launches and microseconds of a replay's kernels."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        graph.replay()
        torch.cuda.synchronize()
    times: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for event in profile.events():
        times[event.name[:60]] += event.device_time
        counts[event.name[:60]] += 1
    return [(name, counts[name], took) for name, took in times.most_common(16)]


def layer_times(decoder: Decoder, variants: Mapping[str, DecodeTuning | None], *, kernels: bool) -> dict[str, Any]:
    """Microseconds of all layers, by variant and number of tokens. A variant that fails is named, and left out."""
    figures: dict[str, Any] = {}
    for n in TOKENS:
        batch = Batch(decoder, n)
        graphs: dict[str, torch.cuda.CUDAGraph] = {}
        kept: list[DecodeLayers | None] = []
        expected: Tensor | None = None
        for name, tuning in variants.items():
            try:
                layers = None if tuning is None else DecodeLayers(decoder, tuning)
                kept.append(layers)  # a graph uses memory that is theirs
                graph = captured(partial(batch.launch, decoder, layers))
                graph.replay()
                torch.cuda.synchronize()
            except RuntimeError:
                print(f"{name}, {n} tokens, failed:")
                traceback.print_exc()
                torch.cuda.synchronize()
                continue
            expected = batch.out.clone() if expected is None else expected
            off = float((batch.out - expected).norm() / expected.norm())
            graphs[name] = graph
            print(f"{name}, {n} tokens: off by {off:.4f} of the norm, {microseconds(graph):.0f} us", flush=True)
        times: dict[str, list[float]] = {name: [] for name in graphs}
        for _ in range(5):
            for name, graph in graphs.items():
                times[name].append(microseconds(graph))
        figures[str(n)] = {name: statistics.median(each) for name, each in times.items()}
        table(["layers", f"us, {n} tokens"], [[name, f"{took:.0f}"] for name, took in figures[str(n)].items()])
        if kernels and n in (1, 8):
            for name in ("operations", "five", "prefetch"):
                if name in graphs:
                    rows = [[kernel, count, f"{took:.1f}"] for kernel, count, took in kernel_times(graphs[name])]
                    table(["kernel", "launches", f"us, {name}, {n}"], rows)
    return figures


def step_times(decoder: Decoder, bandwidth: float, batches: tuple[int, ...]) -> dict[str, Any]:
    """A whole decode, with and without these kernels."""
    figures: dict[str, Any] = {}
    for name, tuning in (("operations", None), ("five kernels", DecodeTuning())):
        sizes = Sizes(1024, 64 * 640, max_rows=64)
        executor = TorchCUDAExecutor(decoder, sizes, tuning=tuning)
        for batch in batches:
            took = decode(executor, batch, CONTEXT, 64)
            share = step_bytes(executor, batch, CONTEXT) / took / bandwidth
            figures[f"{name}, {batch}"] = {"us": 1e6 * took, "tok_s": batch / took, "share_of_read_bandwidth": share}
        executor.close()
        del executor
        torch.cuda.empty_cache()
    rows = [[name, *(f"{value:.4g}" for value in each.values())] for name, each in figures.items()]
    table(["step", "us", "tok/s", "share of bandwidth"], rows)
    return figures


def argmax_times(vocab: int) -> dict[str, float]:
    """Microseconds from logits and masks on the device to tokens on the host."""
    figures = {}
    for n in (1, 64, 256):
        logits = torch.randn(n, vocab, device="cuda")
        masks = torch.from_numpy(np.full((n, 1 + -(-vocab // 32)), 0x55555555, np.int32)).cuda()
        for name, find in (("twin", reference.masked_argmax), ("kernel", sampling.masked_argmax)):
            times = []
            for _ in range(30):
                begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                begin.record()
                find(logits, masks, write=False).tolist()
                end.record()
                torch.cuda.synchronize()
                times.append(1e3 * begin.elapsed_time(end))
            figures[f"{name}, {n}"] = statistics.median(times)
    table(["argmax", f"us, of {vocab}"], [[name, f"{took:.0f}"] for name, took in figures.items()])
    return figures


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(SHAPES))
    parser.add_argument("--tokenizer", type=Path, help="a GGUF file whose tokenizer is taken (the default model)")
    parser.add_argument("--kernels", action="store_true", help="print the time of each kernel")
    parser.add_argument("--more", action="store_true", help="try other ways to cut the work")
    args = parser.parse_args()
    tokenizer = GGUFFile(args.tokenizer or find_model())
    bandwidth = read_bandwidth()
    torch.cuda.empty_cache()
    card = torch.cuda.get_device_name()
    print(f"{card}: reads {bandwidth / 1e12:.2f} TB/s", flush=True)
    figures: dict[str, Any] = {"card": card, "read_tb_s": bandwidth / 1e12, "context": CONTEXT}
    for name in args.models.split(","):
        config, recipe, tied = SHAPES[name]
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            path = write_random(Path(folder) / f"random-{name}.gguf", config, tokenizer, recipe, tied=tied)
            sizes = Sizes(1024, BLOCK_TOKENS, max_rows=1)
            decoder = TorchCUDAExecutor.load(GGUFFile(path), sizes, graphs=False)._decoder
            print(name, unfit(decoder) or "fits", flush=True)
            found: dict[str, Any] = {"layers": layer_times(decoder, MAIN, kernels=args.kernels)}
            found["argmax"] = argmax_times(config.vocab_size)
            found["step"] = step_times(decoder, bandwidth, (1, 8, 64))
            if args.more:
                found["more"] = layer_times(decoder, MORE, kernels=False)
            figures[name] = found
            del decoder
            torch.cuda.empty_cache()
    write("decode_step", figures)


if __name__ == "__main__":
    main()
