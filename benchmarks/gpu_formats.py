"""Packed weight formats and a mixture of experts on one NVIDIA GPU: decode as a share of read bandwidth, and prefill.

    python benchmarks/gpu_formats.py [--models 8b-gptq,8b-awq,...] [--context 256] [--steps 48]

"8b" is the shape of Llama-3.1-8B with random weights; "8b/2" and "8b/4" have so much of its layers, for what is compared only
with the like. "30b-a3b-q4_k" is the shape of Qwen3-30B-A3B. "host:" leaves the experts of a quarter of the layers in this
machine's memory. All are written to a temporary folder (up to 20 GB). A step's bytes are its weights in the form that it reads,
keys and values, and of a mixture the experts that so many tokens would choose at random.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from gpu_steps import PREFILL, decode, prefill, read_bandwidth, step_bytes
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor
from portico_engine.fallbacks import Fallbacks
from portico_engine.models.config import DecoderConfig, ExpertsConfig, RopeConfig
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.hugging_face import HuggingFaceFolder
from portico_engine.weights.model_file import ModelFile
from random_folder import PACKS, write_random_folder
from random_model import LLAMA_8B, Q, write_random
from report import write

BATCHES = (1, 8, 64)
QWEN3_30B_A3B = DecoderConfig(
    architecture="qwen3moe",
    n_layers=48,
    hidden=2048,
    feed_forward=6144,
    n_heads=32,
    n_kv_heads=4,
    head_dim=128,
    vocab_size=151936,
    context_length=8192,
    norm_eps=1e-6,
    rope=RopeConfig(1_000_000.0),
    permuted_rotary=False,
    experts=ExpertsConfig(128, 8, 768, normalized=True),
)
Open = Callable[[Path], ModelFile]


def packed(method: str, layers: int) -> Open:
    """A folder."""
    config = replace(LLAMA_8B, n_layers=layers)
    return lambda folder: HuggingFaceFolder(write_random_folder(folder / "model", config, method))


def mixture(layers: int) -> Open:
    """All layers in Q4_K."""
    tokenizer: Any = SimpleNamespace(metadata={})
    config = replace(QWEN3_30B_A3B, n_layers=layers)
    return lambda folder: GGUFFile(write_random(folder / "model.gguf", config, tokenizer, lambda _name, _layer: Q.Q4_K))


PARTS = {"": 1, "/2": 2, "/4": 4}
MODELS: dict[str, Open] = {
    f"8b{part}-{name}": packed(name, LLAMA_8B.n_layers // n) for part, n in PARTS.items() for name in PACKS
} | {f"30b-a3b{part}-q4_k": mixture(QWEN3_30B_A3B.n_layers // n) for part, n in PARTS.items()}


def measure(file: ModelFile, bandwidth: float, args: argparse.Namespace, *, host_layers: int) -> dict[str, Any]:
    """One model's figures."""
    start = time.perf_counter()
    fallbacks = Fallbacks()
    before = torch.cuda.memory_allocated()
    executor = TorchCUDAExecutor.load(
        file, Sizes(4096, 64 * 640, 64), fallbacks=fallbacks, **({"host_layers": host_layers} if host_layers else {})
    )
    found: dict[str, Any] = {"load_s": time.perf_counter() - start, "fallbacks": fallbacks.described()}
    found["memory_gib"] = (torch.cuda.memory_allocated() - before) / 2**30
    for batch in BATCHES:
        took = decode(executor, batch, args.context, args.steps)
        share = step_bytes(executor, batch, args.context) / took / bandwidth
        found[f"decode_{batch}"] = {"tok_s": batch / took, "ms": 1e3 * took, "share_of_read_bandwidth": share}
        print(f"  decode, batch {batch}: {batch / took:.0f} tok/s, {share:.0%} of bandwidth", flush=True)
    for prompts in (1, 16):
        found[f"prefill_{prompts}x{PREFILL}"] = rate = prefill(executor, prompts)
        print(f"  prefill, {prompts} x {PREFILL}: {rate:.0f} tok/s", flush=True)
    executor.close()
    return found


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="8b-gptq,8b-awq,8b/2-bf16,8b/2-fp8,8b/2-fp8-blocks,30b-a3b-q4_k")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--steps", type=int, default=48)
    args = parser.parse_args()
    bandwidth, card = read_bandwidth(), torch.cuda.get_device_name()
    print(f"{card}: reads {bandwidth / 1e12:.2f} TB/s", flush=True)
    torch.cuda.empty_cache()
    figures: dict[str, Any] = {"card": card, "read_tb_s": bandwidth / 1e12, "context": args.context}
    for name in args.models.split(","):
        host = name.startswith("host:")
        print(name, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            file = MODELS[name.removeprefix("host:")](Path(folder))
            print(f"  written in {time.perf_counter() - start:.0f} s", flush=True)
            figures[name] = measure(
                file, bandwidth, args, host_layers=file.get("qwen3moe.block_count", int) // 4 if host else 0
            )
        torch.cuda.empty_cache()
        write("gpu_formats", figures)


if __name__ == "__main__":
    main()
