"""How fast the engine is on one NVIDIA GPU: decode, prefill, and tool calls under a grammar over a shared prompt.

    python benchmarks/engine_gpu.py [--models smollm2,8b-q4_1,...] [--context 256] [--steps 64] [--calls 128]

"8b" is the shape of Llama-3.1-8B with random weights, written to a temporary folder (6 GB). A decode step is one token of every
sequence, picked greedily on the device, tokens back on the host; its share is that of the read bandwidth measured in the same
run, counting each weight once in the form that a step reads, and the keys and values. Tool calls run in this process, without
HTTP: N clients always have a call each in flight, 1,500 tokens of tools are the same for all. A model in "small:8b-q4_k_m"
finds memory for its codes and 9 GiB more, as on a smaller card, where no copies in bfloat16 stand beside the codes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from gpu_steps import PREFILL, decode, prefill, read_bandwidth, step_bytes
from portico_engine import Engine, Request, SamplingParams, Tool, find_model, load_engine
from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor
from portico_engine.grammar import compile_tool_calls
from portico_engine.weights.gguf_file import GGUFFile
from random_model import LLAMA_8B, Q, mixture, q4_1, write_random
from report import percentile, table, write

BATCHES = (1, 8, 64)
CLIENTS = (1, 16, 64)
RECIPES = {"8b-q4_1": q4_1, "8b-q4_k_m": mixture(Q.Q4_K, LLAMA_8B.n_layers, embedding=Q.Q4_K)}
SUBJECTS = ("order", "patient", "invoice", "ticket", "branch", "shipment", "meeting", "sensor", "contract", "playlist")


def tools() -> list[Tool]:
    """Some tools whose text is about 1,500 tokens."""
    out = []
    for subject in SUBJECTS:
        text = {"type": "string", "description": f"What the {subject} is called, or a part of it.", "maxLength": 40}
        out.append(
            Tool(
                f"find_{subject}",
                f"Search for a {subject} by its name and status; the newest come first, at most `limit` of them.",
                {
                    "type": "object",
                    "properties": {
                        "name": text,
                        "status": {
                            "enum": ["open", "closed", "waiting", "cancelled"],
                            "description": f"State of the {subject}",
                        },
                        "limit": {"type": "integer", "minimum": 1, "maximum": 100},
                    },
                    "required": ["name", "status", "limit"],
                    "additionalProperties": False,
                },
            )
        )
    return out


def calls(engine: Engine, clients: int, total: int) -> dict[str, float]:
    """Latency and throughput of calls, each checked to be JSON."""
    offered = tools()
    grammar = compile_tool_calls(offered)
    listing = json.dumps([{"name": t.name, "description": t.description, "parameters": t.parameters} for t in offered])
    system = {"role": "system", "content": "Answer with a call of one of these tools.\n" + listing}

    def request(n: int) -> Request:
        prompt = engine.render_chat([system, {"role": "user", "content": f"Find number {n}, whose state is open, please."}])
        return Request(str(n), prompt, SamplingParams(temperature=0.7, seed=n), max_tokens=96, grammar=grammar)

    list(engine.generate(request(10**6)))  # the prefix is cached from here on
    began: dict[str, float] = {}
    texts: dict[str, str] = {}
    latencies: list[float] = []
    tokens = prompt_tokens = 0
    submitted = 0
    start = time.perf_counter()
    while len(latencies) < total:
        while submitted < total and len(began) < clients:
            made = request(submitted)
            prompt_tokens = len(made.prompt)
            began[made.id] = time.perf_counter()
            engine.submit(made)
            submitted += 1
        for delta in engine.step():
            texts[delta.request_id] = texts.get(delta.request_id, "") + delta.text
            if delta.finish_reason is not None and delta.request_id in began:
                assert delta.usage is not None
                json.loads(texts[delta.request_id])
                tokens += delta.usage.completion_tokens
                latencies.append(time.perf_counter() - began.pop(delta.request_id))
    elapsed = time.perf_counter() - start
    return {
        "p50_ms": 1e3 * statistics.median(latencies), "p95_ms": 1e3 * percentile(latencies, 0.95),
        "calls_per_s": total / elapsed, "tokens_per_call": tokens / total, "prompt_tokens": prompt_tokens,
    }  # fmt: skip


def measure(path: Path, args: argparse.Namespace, bandwidth: float, *, small: bool) -> dict[str, Any]:
    """All figures of one model."""
    figures: dict[str, Any] = {}
    ballast = None
    if small:
        taken = torch.cuda.mem_get_info()[0] - path.stat().st_size * 9 // 8 - (9 << 30)
        ballast = torch.empty(taken, dtype=torch.uint8, device="cuda")
    start = time.perf_counter()
    engine = load_engine(path, executor="torch-cuda", context=4096, max_rows=64, kv_tokens=64 * 640)
    executor = engine._executor
    assert isinstance(executor, TorchCUDAExecutor)
    figures |= {"load_s": time.perf_counter() - start, "numerics": executor.caps.numerics_id}
    weights = executor._decoder.weights
    kept = sum(linear.n_bytes for linear in {*weights.linears(), weights.embedding})
    figures |= {"file_gib": path.stat().st_size / 2**30, "weights_gib": kept / 2**30}
    figures["memory_gib"] = (torch.cuda.memory_allocated() - (0 if ballast is None else ballast.nbytes)) / 2**30
    rows: list[list[Any]] = [["load", f"{figures['load_s']:.1f} s", f"{figures['weights_gib']:.1f} GiB of weights"]]
    for batch in BATCHES:
        took = decode(executor, batch, args.context, args.steps)
        share = step_bytes(executor, batch, args.context) / took / bandwidth
        figures[f"decode_{batch}"] = {"tok_s": batch / took, "ms": 1e3 * took, "share_of_read_bandwidth": share}
        rows.append([f"decode, batch {batch}", f"{batch / took:.0f} tok/s", f"{100 * share:.0f}% of bandwidth"])
    for prompts in (1, 16):
        figures[f"prefill_{prompts}x{PREFILL}"] = rate = prefill(executor, prompts)
        rows.append([f"prefill, {prompts} x {PREFILL}", f"{rate:.0f} tok/s", ""])
    engine._kv.pool.clear()  # its blocks were written behind its back
    for clients in CLIENTS:
        figures[f"calls_{clients}"] = found = calls(engine, clients, max(16, args.calls if clients > 1 else args.calls // 4))
        rows.append([f"tool calls, {clients} clients", f"{found['calls_per_s']:.1f} calls/s", f"p50 {found['p50_ms']:.0f} ms"])
    engine.close()
    del ballast
    table(["figure", path.stem[:24], ""], rows)
    return figures


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(["smollm2", *RECIPES, "small:8b-q4_k_m"]))
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--calls", type=int, default=128)
    args = parser.parse_args()
    default = find_model()
    bandwidth = read_bandwidth()
    card = torch.cuda.get_device_name()
    print(f"{card}: reads {bandwidth / 1e12:.2f} TB/s")
    figures: dict[str, Any] = {"card": card, "read_tb_s": bandwidth / 1e12, "context": args.context}
    torch.cuda.empty_cache()
    for name in args.models.split(","):
        with tempfile.TemporaryDirectory() as folder:
            path = default
            shape = name.removeprefix("small:")
            if shape != "smollm2":
                path = write_random(Path(folder) / f"random-{shape}.gguf", LLAMA_8B, GGUFFile(default), RECIPES[shape])
            figures[name] = measure(path, args, bandwidth, small=name != shape)
        torch.cuda.empty_cache()
        write("engine_gpu", figures)


if __name__ == "__main__":
    main()
