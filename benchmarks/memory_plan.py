"""What `portico models show` says a model takes, beside what it takes: weights, keys and values, and the largest step.

    python benchmarks/memory_plan.py [--device cpu|cuda] [--models NAME ...] [--dry] [--no-write]

Six models of different families and forms, random but for the first, written to a temporary folder (up to 2 GB; for a GPU, of
larger shapes, up to 30 GB). Each is loaded in a process of its own. On a CPU memory is what the process holds that no file
backs, less what it held before the model was opened; the step is the most that came on top while every row read a prompt and
drew tokens. On a GPU it is what the driver says is taken, less what was taken when torch had begun. Keys and values are all
written once: a CPU's memory is taken no sooner. `--dry` prints what is predicted and loads nothing.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from portico_engine import find_model
from portico_engine.executors.protocol import Executor, Sizes
from portico_engine.loading.device import Device
from portico_engine.loading.memory_plan import step_memory, weight_bytes
from portico_engine.models.config import DecoderConfig, ExpertsConfig, RopeConfig, read_config
from portico_engine.plan import BLOCK_TOKENS, Row, StepPlan, blocks_for
from portico_engine.request import SamplingParams
from portico_engine.sampling import SamplingState
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.hugging_face import HuggingFaceFolder
from portico_engine.weights.model_file import ModelFile
from random_folder import write_random_folder
from random_model import LLAMA_8B, Q, mixture, write_random
from report import table, write

CONTEXT, ROWS = 1024, 8
CPU_SIZES, GPU_SIZES = Sizes(CONTEXT, 8 * CONTEXT, ROWS), Sizes(8192, 64 * 1024, 64)
NO_TOKENIZER: Any = SimpleNamespace(metadata={})
SMALL = DecoderConfig(
    architecture="llama", n_layers=14, hidden=1024, feed_forward=3072, n_heads=16, n_kv_heads=4, head_dim=64,
    vocab_size=32_000, context_length=4096, norm_eps=1e-5, rope=RopeConfig(10_000.0), permuted_rotary=True,
)  # fmt: skip


Write = Callable[[Path, DecoderConfig], Path]


def _gguf(recipe: Callable[[DecoderConfig], Any], *, tied: bool = False) -> Write:
    return lambda folder, config: write_random(folder / "model.gguf", config, NO_TOKENIZER, recipe(config), tied=tied)


def _folder(method: str) -> Write:
    return lambda folder, config: write_random_folder(folder / "model", config, method)


def _shapes(base: DecoderConfig) -> dict[str, tuple[DecoderConfig, Write]]:
    """By name: family and form of six models, the first the default one on a CPU."""
    qwen = replace(base, architecture="qwen3", permuted_rotary=False)
    few = replace(qwen, architecture="qwen3moe", n_layers=base.n_layers // 2)
    experts = replace(few, experts=ExpertsConfig(8, 2, base.feed_forward // 2, normalized=True))
    return {
        "Llama, Q4_K with Q6_K (GGUF)": (base, _gguf(lambda config: mixture(Q.Q4_K, config.n_layers))),
        "Qwen 3, Q8_0, tied (GGUF)": (qwen, _gguf(lambda _: lambda _name, _layer: Q.Q8_0, tied=True)),
        "Qwen 3 of 8 experts, Q4_K (GGUF)": (experts, _gguf(lambda _: lambda _name, _layer: Q.Q4_K)),
        "Llama, bfloat16 (folder)": (base, _folder("bf16")),
        "Llama, GPTQ (folder)": (base, _folder("gptq")),
    }


def shapes(device: str) -> dict[str, tuple[DecoderConfig, Write] | None]:
    """None: the default model, which is there."""
    if device == "cpu":
        return {"SmolLM2-135M, Q4_1 (GGUF)": None, **_shapes(SMALL)}
    return {**_shapes(LLAMA_8B), "Llama, AWQ (folder)": (LLAMA_8B, _folder("awq"))}


def predicted(file: ModelFile, device: str) -> dict[str, int]:
    """Bytes, as the plan has them."""
    config, sizes = read_config(file), _sizes(device)
    weights = weight_bytes(file, config, Device("", 0, device == "cuda"))
    return {
        "weights": weights[0] + (weights[1] if device == "cpu" else 0),
        "kv": sizes.blocks * BLOCK_TOKENS * config.kv_bytes_per_token,
        "step": step_memory(config, cuda=device == "cuda").needed(sizes.context_length, sizes.max_rows),
    }


def _sizes(device: str) -> Sizes:
    return CPU_SIZES if device == "cpu" else GPU_SIZES


def open_file(path: Path) -> ModelFile:
    """A GGUF file, or a folder."""
    return HuggingFaceFolder(path) if path.is_dir() else GGUFFile(path)


class Memory:
    """Bytes that this process holds, on a CPU or a GPU."""

    def __init__(self, device: str) -> None:
        self._device = device

    def held(self) -> int:
        """Now."""
        if self._device == "cpu":
            gc.collect()
            return _status("RssAnon")
        import torch

        torch.cuda.synchronize()
        free, total = torch.cuda.mem_get_info()
        return int(total - free)

    def begin_peak(self) -> None:
        """The most is counted from here."""
        if self._device == "cpu":
            Path("/proc/self/clear_refs").write_text("5")

    def peak(self) -> int:
        """The most since then. A GPU's allocator gives nothing back meanwhile."""
        return _status("VmHWM") - _status("RssFile") - _status("RssShmem") if self._device == "cpu" else self.held()


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


def measure(path: Path, device: str) -> dict[str, int]:
    """One model in this process."""
    import torch

    from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor

    sizes, file = _sizes(device), open_file(path)
    torch.nn.functional.linear(*(torch.ones(64, 64, dtype=torch.bfloat16, device=device) for _ in range(2)))
    memory = Memory(device)
    before = memory.held()
    executor: Any
    if device == "cpu":
        executor = TorchCPUExecutor.load(file, sizes)
    else:
        from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor

        executor = TorchCUDAExecutor.load(file, sizes)
    loaded = memory.held()
    executor._kv.tensor.zero_()
    written = memory.held()
    memory.begin_peak()
    run_steps(executor, sizes)
    peak = memory.peak()
    kv = executor._kv.tensor.nbytes
    if device == "cpu":
        return {"weights": loaded - before, "kv": written - loaded, "step": peak - written}
    weights = sum(linear.n_bytes for linear in executor._decoder.weights.linears())
    return {"weights": weights, "kv": kv, "step": peak - before - weights - kv}


def run_steps(executor: Executor, sizes: Sizes) -> None:
    """A prompt as long as the context, in the largest steps; then all rows draw a token, each behind as much."""
    caps, per_row = executor.caps, blocks_for(sizes.context_length)
    table_ = tuple(range(per_row))
    for start in range(0, sizes.context_length, caps.step_tokens):
        stop = min(start + caps.step_tokens, sizes.context_length)
        tokens = tuple(i % 1000 + 3 for i in range(start, stop))
        executor.submit(StepPlan((Row(0, tokens, start, table_),))).finish()
    last, many = sizes.context_length - 1, sizes.blocks // per_row
    state = SamplingState(SamplingParams(temperature=0.7, top_p=0.9), 1, 0)
    rows = tuple(
        Row(i, (5,), last, tuple(range(per_row * (i % many), per_row * (i % many + 1))), (0,), state) for i in range(many)
    )
    executor.submit(StepPlan(rows)).finish()


def fresh(path: Path, device: str) -> dict[str, int]:
    """In a process of its own."""
    command = [sys.executable, __file__, "--measure", str(path), "--device", device]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(name: str, made: tuple[DecoderConfig, Write] | None, device: str, *, dry: bool) -> dict[str, Any]:
    """One model's figures."""
    with tempfile.TemporaryDirectory() as folder:
        path = find_model() if made is None else made[1](Path(folder), made[0])
        plan = predicted(open_file(path), device)
        found: dict[str, Any] = {"model": name, "predicted": plan}
        if not dry:
            taken = fresh(path, device)
            found |= {"measured": taken, "off": sum(plan.values()) / sum(taken.values()) - 1}
    return found


def main() -> None:
    """Predict, measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--models", nargs="+", help="parts of their names")
    parser.add_argument("--dry", action="store_true", help="predict only")
    parser.add_argument("--no-write", action="store_true", help="write no results")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure, args.device)))
        return
    chosen = {
        name: made
        for name, made in shapes(args.device).items()
        if not args.models or any(part.lower() in name.lower() for part in args.models)
    }
    found = []
    for name, made in chosen.items():
        found.append(compare(name, made, args.device, dry=args.dry))
        print(json.dumps(found[-1]), file=sys.stderr)
    table(("model", "weights, MiB", "KV", "step", "all", "off"), [_row(one) for one in found])
    if not (args.dry or args.no_write):
        write("memory_plan" if args.device == "cpu" else "memory_plan_gpu", {"device": args.device, "models": found})


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    plan, taken = one["predicted"], one.get("measured")

    def cell(predicted: int, measured: int | None) -> str:
        return f"{predicted / 2**20:.0f}" + ("" if measured is None else f" ({measured / 2**20:.0f})")

    parts = [cell(plan[part], taken and taken[part]) for part in plan]
    whole = cell(sum(plan.values()), sum(taken.values()) if taken else None)
    return (one["model"], *parts, whole, f"{one['off']:+.1%}" if taken else "")


if __name__ == "__main__":
    main()
