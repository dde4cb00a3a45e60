"""Products with quantized matrices on one NVIDIA GPU, beside cuBLAS in bfloat16: the matrices of Llama-3.1-8B, random codes.

    python benchmarks/gpu_products.py [--tokens 1,8,16,32,64,128]

Each time is that of one product among several in a CUDA graph, over more matrices than the GPU's caches hold. The share is that
of the read bandwidth measured in the same run, of codes, scales and offsets.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from gguf import GGMLQuantizationType as Q
from torch import Tensor

from gpu_steps import read_bandwidth
from portico_engine.kernels.quantized_layout import TILE_COLUMNS, TILE_ROWS, TiledMatrix
from portico_engine.kernels.quantized_matmul import matmul
from portico_engine.quantization.block_formats import FORMATS
from report import table, write

SHAPES = {"gate_up": (28672, 4096), "down": (4096, 14336), "qkv": (6144, 4096), "out": (4096, 4096)}
KINDS = (Q.Q4_0, Q.Q4_K, Q.Q5_K, Q.Q6_K, Q.Q8_0)
BEYOND_CACHES = 150_000_000  # bytes
REPEATS = 10


def random_matrix(kind: Q, n_out: int, n_in: int) -> TiledMatrix:
    """A matrix of this format."""
    form = FORMATS[kind]
    tiles = n_out // TILE_ROWS, n_in // TILE_COLUMNS

    def words(bits: int) -> Tensor:
        return torch.randint(-(2**31), 2**31 - 1, (*tiles, 2, 8, 4, bits), dtype=torch.int32, device="cuda")

    high = words(form.bits - 4) if form.bits > 4 else None
    scales = torch.rand(*tiles, TILE_ROWS, TILE_COLUMNS // form.group_size, 1 + form.has_offsets, device="cuda").half()
    return TiledMatrix(words(4), high, scales, n_out, n_in, form.bits, form.zero_point)


def seconds(run: Callable[[], object]) -> float:
    """The best of three, in a graph."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        run()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            run()
        times = []
        for _ in range(4):  # the first warms up
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            for _ in range(REPEATS):
                graph.replay()
            end.record()
            torch.cuda.synchronize()
            times.append(begin.elapsed_time(end) / REPEATS / 1e3)
    return min(times[1:])


def cublas(shape: tuple[int, int], tokens: list[int]) -> dict[int, float]:
    """Seconds a product in bfloat16, by the number of tokens."""
    n_out, n_in = shape
    count = -(-BEYOND_CACHES // (2 * n_out * n_in))
    matrices = [torch.randn(n_out, n_in, device="cuda", dtype=torch.bfloat16) for _ in range(count)]
    found = {}
    for n in tokens:
        x = torch.randn(n, n_in, device="cuda").bfloat16()

        def run(x: Tensor = x) -> None:
            for matrix in matrices:
                F.linear(x, matrix)

        found[n] = seconds(run) / count
    return found


def ours(kind: Q, shape: tuple[int, int], tokens: list[int]) -> tuple[int, dict[int, float]]:
    """Bytes of the matrix, and seconds a product."""
    n_out, n_in = shape
    n_bytes = random_matrix(kind, n_out, n_in).n_bytes
    matrices = [random_matrix(kind, n_out, n_in) for _ in range(-(-BEYOND_CACHES // n_bytes))]
    found = {}
    for n in tokens:
        x, out = torch.randn(n, n_in, device="cuda").bfloat16(), torch.empty(n, n_out, device="cuda", dtype=torch.bfloat16)

        def run(x: Tensor = x, out: Tensor = out) -> None:
            for matrix in matrices:
                matmul(x, matrix, out)

        found[n] = seconds(run) / len(matrices)
    return n_bytes, found


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", default="1,8,16,32,64,128")
    tokens = [int(n) for n in parser.parse_args().tokens.split(",")]
    bandwidth = read_bandwidth()
    card = torch.cuda.get_device_name()
    print(f"{card}: reads {bandwidth / 1e12:.2f} TB/s; microseconds a product, share of the bandwidth")
    figures: dict[str, Any] = {}
    rows = []
    with torch.inference_mode():
        for name, shape in SHAPES.items():
            wide = cublas(shape, tokens)
            figures[name] = {"bf16": {n: 1e6 * time for n, time in wide.items()}}
            rows.append([name, "bf16", *(f"{1e6 * time:.1f}" for time in wide.values())])
            for kind in KINDS:
                n_bytes, found = ours(kind, shape, tokens)
                figures[name][kind.name] = {n: 1e6 * time for n, time in found.items()}
                shares = (f"{1e6 * time:.1f} {100 * n_bytes / time / bandwidth:.0f}%" for time in found.values())
                rows.append([name, kind.name, *shares])
    table(["matrix", "format", *(f"{n} tokens" for n in tokens)], rows)
    write("gpu_products", {"card": card, "read_tb_s": bandwidth / 1e12, "microseconds": figures})


if __name__ == "__main__":
    main()
