"""What each weight format costs and what it loses: SmolLM2-135M quantized by us, on this CPU and, where there is one, a GPU.

    python benchmarks/weight_formats.py [--formats Q8_0 gptq ...] [--tokens 768] [--clock cpu|wall]

Numbers are rounded to nearest, by gguf-py, llama.cpp's quantizer or `packers`; no calibration. They start from the default
model's weights in float32, which were Q4_1 and Q8_0 once: rounding those again to the grids that they came from (Q4_1, Q8_0)
loses nothing, and theirs are no measurements of these formats. All layers' matrices are in the format, the embedding (the head,
too) in Q8_0 for GGUF and in bfloat16 for folders. KL is the mean over positions, in nats, of float32 logits against ours
computed in bfloat16 from the format's numbers; perplexity is of the same text, README.md. Bytes a weight are of the layers'
matrices as stored. A step is one token after 256; memory is that of weights in all forms that are kept, and of bfloat16 keys
and values of 4,096 positions.

Writes docs/weight-formats.md and docs/weight-formats.svg besides the results.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

import packers
from portico_engine import SamplingParams, find_model
from portico_engine.conversion.metadata_values import write_values
from portico_engine.executors.llama_cpp.library import library
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.linear.int4 import int4_supported
from portico_engine.models.config import read_config
from portico_engine.plan import Row, StepPlan, blocks_for
from portico_engine.sampling import SamplingState
from portico_engine.text.tokenizer import Tokenizer
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.hugging_face import HuggingFaceFolder
from portico_engine.weights.model_file import ModelFile
from reference_decoder import ReferenceDecoder
from report import table, write

Q = gguf.GGMLQuantizationType
ROOT = Path(__file__).parents[1]
CONTEXT, LONG = 256, 4096
GREEDY = SamplingState(SamplingParams(temperature=0), 0, 0)
BY_GGUF = (Q.BF16, Q.Q8_0, Q.Q5_1, Q.Q5_0, Q.Q4_1, Q.Q4_0)
BY_LLAMA_CPP = ("IQ4_NL",)  # the others want rows of 256, and these have 576
GROUP = 64  # the largest that divides these rows
_GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": GROUP}
FOLDERS: dict[str, tuple[packers.Packer, dict[str, object]]] = {
    "gptq 4": (packers.gptq(GROUP), _GPTQ | {"sym": True}),
    "gptq 4, act-order": (packers.gptq(GROUP, act_order=True), _GPTQ | {"sym": True, "desc_act": True}),
    "gptq 8": (packers.gptq(GROUP, bits=8), _GPTQ | {"sym": True, "bits": 8}),
    "awq": (packers.awq(GROUP), packers.FORMATS["awq"][1] | {"group_size": GROUP}),
    "int4 (compressed-tensors)": (packers.compressed(GROUP), packers.FORMATS["int4"][1]),
    "int8 (compressed-tensors)": packers.FORMATS["int8"],
    "nf4": packers.FORMATS["nf4"],
    "nf4, double": packers.FORMATS["nf4, nested"],
    "fp8, tensor": packers.FORMATS["float8, tensor"],
    "fp8, channel": packers.FORMATS["float8, channel"],
    "fp8, blocks": packers.FORMATS["float8, blocks"],
}
_STORED = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}  # fmt: skip


def write_gguf(path: Path, source: GGUFFile, kind: Q) -> Path:
    """All layers' matrices in one of gguf-py's formats; F32 leaves everything in it."""
    writer = gguf.GGUFWriter(path, "llama")
    write_values(writer, {key: value for key, value in source.metadata.items() if key != "general.architecture"})
    for name, info in source.tensors.items():
        wide = np.array(source.dequantize(name))
        if len(info.shape) < 2 or kind == Q.F32:
            writer.add_tensor(name, wide)
        else:
            own = kind if name.startswith("blk.") else Q.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(wide, own), raw_dtype=own)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def quantize(source: Path, path: Path, name: str) -> Path:
    """By llama.cpp, embedding and head in Q8_0."""
    llama_cpp = library()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{name}")
    params.nthread, params.pure = 1, True
    params.token_embedding_type = params.output_tensor_type = int(Q.Q8_0)
    if llama_cpp.llama_model_quantize(str(source).encode(), str(path).encode(), params):
        raise RuntimeError(f"llama.cpp does not quantize to {name}")
    return path


def write_folder(folder: Path, source: GGUFFile, packer: packers.Packer, quantization: dict[str, object]) -> Path:
    """Rows of queries and keys go back to halves."""
    config = read_config(source)
    folder.mkdir()
    stored: dict[str, Tensor] = {
        "model.embed_tokens.weight": torch.from_numpy(np.array(source.dequantize("token_embd.weight"))).bfloat16(),
        "model.norm.weight": torch.from_numpy(np.array(source.dequantize("output_norm.weight"))),
    }
    for name in source.tensors:
        if not name.startswith("blk."):
            continue
        _, layer, base, _ = name.split(".")
        at, wide = f"model.layers.{layer}.{_STORED[base]}", np.array(source.dequantize(name))
        if base in ("attn_q", "attn_k"):
            heads = config.n_heads if base == "attn_q" else config.n_kv_heads
            wide = wide.reshape(heads, -1, 2, wide.shape[1]).swapaxes(1, 2).reshape(wide.shape)
        if wide.ndim == 1:
            stored[f"{at}.weight"] = torch.from_numpy(wide)
        else:
            arrays = packer(wide.astype(np.float64)).arrays
            stored |= {f"{at}.{suffix}": array.contiguous() for suffix, array in arrays.items()}
    save_file(stored, folder / "model.safetensors")
    keys = {
        "model_type": "llama", "hidden_act": "silu", "rms_norm_eps": config.norm_eps, "rope_theta": config.rope.base,
        "max_position_embeddings": config.context_length, "tie_word_embeddings": True, "num_hidden_layers": config.n_layers,
        "hidden_size": config.hidden, "intermediate_size": config.feed_forward, "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads, "head_dim": config.head_dim, "quantization_config": quantization,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(keys))
    return folder


def scores(file: ModelFile, tokens: Sequence[int], reference: Tensor) -> dict[str, float]:
    """KL against the reference, share of positions with its likeliest token, perplexity."""
    executor = TorchCPUExecutor.load(file, Sizes(1024, 1024, 1), codes=False)
    blocks = tuple(range(blocks_for(len(tokens))))
    parts = []
    for at in range(0, len(tokens), CONTEXT):
        piece = tuple(tokens[at : at + CONTEXT])
        row = Row(0, piece, at, blocks, tuple(range(len(piece))), targets=piece)
        parts.append(torch.from_numpy(executor.submit(StepPlan((row,))).logits.copy()))
    ours = torch.cat(parts).log_softmax(-1)
    return {
        "kl": float((reference.exp() * (reference - ours)).sum(-1).mean()),
        "top_1": float((reference.argmax(-1) == ours.argmax(-1)).float().mean()),
        "perplexity": perplexity(ours, tokens),
    }


def perplexity(logprobs: Tensor, tokens: Sequence[int]) -> float:
    """Of all tokens but the first."""
    return math.exp(-float(logprobs[:-1].gather(1, torch.tensor(tokens[1:]).unsqueeze(1)).mean()))


def speed(executor: Any, clock: Callable[[], float], tokens: Sequence[int], repeats: int, batch: int = 1) -> dict[str, float]:
    """Tokens a second: CONTEXT read at once, then one at a time by each of a batch."""
    width = blocks_for(CONTEXT + repeats + 2)
    tables = [tuple(range(i * width, (i + 1) * width)) for i in range(batch)]

    def timed(rows: list[Row]) -> float:
        start = clock()
        executor.submit(StepPlan(tuple(rows))).finish()
        return clock() - start

    prefills = [timed([Row(0, tuple(tokens[:CONTEXT]), 0, tables[0], (CONTEXT - 1,), GREEDY)]) for _ in range(3)]
    for i, own in enumerate(tables[1:], 1):
        timed([Row(i, tuple(tokens[:CONTEXT]), 0, own, (CONTEXT - 1,), GREEDY)])
    steps = [
        timed([Row(i, (tokens[at],), CONTEXT + at, own, (0,), GREEDY) for i, own in enumerate(tables)]) for at in range(repeats)
    ]
    return {"prefill_tok_s": CONTEXT / min(prefills), "decode_tok_s": batch / statistics.median(steps)}


def stored_bytes(file: ModelFile) -> float:
    """A weight of the layers' matrices."""
    n_bytes = weights = 0
    seen: set[tuple[int, int]] = set()
    for name, info in file.tensors.items():
        if not name.startswith("blk.") or len(info.shape) < 2:
            continue
        weights += prod(info.shape)
        places = [(a.buffer, a.offset, a.n_bytes) for a in info.packed.arrays.values()] if info.packed else []
        for buffer, offset, size in places or [(info.buffer, info.offset, info.n_bytes)]:
            n_bytes += 0 if (buffer, offset) in seen else size
            seen.add((buffer, offset))
    return n_bytes / weights


def measure(file: ModelFile, tokens: Sequence[int], reference: Tensor, args: argparse.Namespace) -> dict[str, Any]:
    """A format's row."""
    found: dict[str, Any] = {"bytes_a_weight": stored_bytes(file), **scores(file, tokens, reference)}
    clock = time.perf_counter if args.clock == "wall" else time.process_time
    executor = TorchCPUExecutor.load(file, Sizes(1024, 1024, 1))
    weights, config = executor._decoder.weights, executor._decoder.config
    found["codes"] = weights.forms != "bf16"
    kept = sum(linear.n_bytes for linear in {*weights.linears(), weights.embedding})
    found["memory_4k_mb"] = (kept + LONG * config.kv_bytes_per_token) / 2**20
    found["cpu"] = speed(executor, clock, tokens, args.repeats)
    if torch.cuda.is_available():
        from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor

        cuda = TorchCUDAExecutor.load(file, Sizes(1024, 64 * 512, 64))
        found["gpu"] = {f"batch_{n}": speed(cuda, time.perf_counter, tokens, args.repeats, n) for n in (1, 64)}
        cuda.close()
    return found


def main() -> None:
    """Measure, print, record, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formats", nargs="+")
    parser.add_argument("--tokens", type=int, default=768)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="cpu")
    args = parser.parse_args()
    default = GGUFFile(find_model())
    tokens = Tokenizer.from_gguf(default.metadata).encode((ROOT / "README.md").read_text(encoding="utf-8"))[: args.tokens]
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        base = GGUFFile(write_gguf(Path(folder) / "f32.gguf", default, Q.F32))
        reference = ReferenceDecoder(base).logits(tokens).log_softmax(-1)
        makers: dict[str, Callable[[Path], ModelFile]] = {
            kind.name: lambda path, kind=kind: GGUFFile(write_gguf(path, base, kind)) for kind in BY_GGUF
        }
        makers |= {name: lambda path, name=name: GGUFFile(quantize(base.path, path, name)) for name in BY_LLAMA_CPP}
        makers |= {
            name: lambda path, packed=packed: HuggingFaceFolder(write_folder(path, base, *packed))
            for name, packed in FOLDERS.items()
        }
        for name in args.formats or makers:
            rows[name] = measure(makers[name](Path(folder) / name.replace(" ", "_")), tokens, reference, args)
            print(name, json.dumps(rows[name]), flush=True)
    figures = {
        "tokens": len(tokens), "clock": args.clock, "threads": torch.get_num_threads(), "fast_4_bit": int4_supported(),
        "float32_perplexity": perplexity(reference, tokens), "rows": rows,
    }  # fmt: skip
    headings, cells = formatted(rows)
    table(headings, cells)
    write("weight_formats", figures)
    if not args.formats:
        (ROOT / "docs" / "weight-formats.md").write_text(page(headings, cells, figures), encoding="utf-8")
        (ROOT / "docs" / "weight-formats.svg").write_text(plot(rows), encoding="utf-8")


def formatted(rows: dict[str, dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """The table's headings and cells."""
    gpu = any("gpu" in row for row in rows.values())
    headings = ["format", "bytes a weight", "KL", "top 1", "perplexity", "CPU computes from", "prefill", "decode", "MB at 4k"]
    cells = []
    for name, row in rows.items():
        cells.append(
            [
                name, f"{row['bytes_a_weight']:.3f}", f"{row['kl']:.4f}", f"{row['top_1']:.1%}", f"{row['perplexity']:.2f}",
                "codes" if row["codes"] else "bfloat16", f"{row['cpu']['prefill_tok_s']:.0f}",
                f"{row['cpu']['decode_tok_s']:.0f}", f"{row['memory_4k_mb']:.0f}",
            ]
        )  # fmt: skip
        if gpu:
            cells[-1] += [f"{row['gpu'][f'batch_{n}']['decode_tok_s']:.0f}" for n in (1, 64)]
    return headings + (["GPU decode, 1", "GPU decode, 64"] if gpu else []), cells


def page(headings: Sequence[str], cells: Sequence[Sequence[str]], figures: dict[str, Any]) -> str:
    """docs/weight-formats.md."""
    assert __doc__ is not None
    about = __doc__.split("\n\n")[2].replace("\n", " ")
    lines = [
        "# Weight formats",
        "",
        "Written by `python benchmarks/weight_formats.py`; the figures are in `benchmarks/results/`.",
        "",
        f"SmolLM2-135M, {figures['tokens']} tokens of text; float32 has a perplexity of {figures['float32_perplexity']:.2f}. "
        f"Speeds are tokens a second of one CPU thread's {'own time' if figures['clock'] == 'cpu' else 'wall time'}.",
        "",
        "![KL against bytes a weight](weight-formats.svg)",
        "",
        "| " + " | ".join(headings) + " |",
        "|---" * len(headings) + "|",
        *("| " + " | ".join(row) + " |" for row in cells),
        "",
        about,
        "",
    ]
    return "\n".join(lines)


def plot(rows: dict[str, dict[str, Any]]) -> str:
    """KL (logarithmic) against bytes a weight, SVG."""
    width, height, left, bottom = 720, 420, 70, 50
    shown = {name: (row["bytes_a_weight"], max(row["kl"], 1e-5)) for name, row in rows.items()}
    right = max(x for x, _ in shown.values()) * 1.08
    low = math.floor(math.log10(min(y for _, y in shown.values())))
    high = math.ceil(math.log10(max(y for _, y in shown.values())))

    def x_of(value: float) -> float:
        return left + value / right * (width - left - 20)

    def y_of(value: float) -> float:
        return 20 + (high - math.log10(value)) / (high - low) * (height - bottom - 20)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for exponent in range(low, high + 1):
        y = y_of(10.0**exponent)
        parts.append(f'<line x1="{left}" x2="{width - 20}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**exponent:g}</text>')
    for tick in np.arange(0, right, 0.25):
        parts.append(f'<text x="{x_of(tick):.1f}" y="{height - bottom + 18}" text-anchor="middle">{tick:g}</text>')
    parts.append(f'<text x="{width / 2}" y="{height - 10}" text-anchor="middle">bytes a weight, as stored</text>')
    parts.append(f'<text x="16" y="{height / 2}" transform="rotate(-90 16 {height / 2})" text-anchor="middle">KL, nats</text>')
    for i, (name, (x, y)) in enumerate(sorted(shown.items(), key=lambda item: item[1])):
        parts.append(f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="4" fill="#2563a8"/>')
        lift = -7 if i % 2 else 15
        parts.append(f'<text x="{x_of(x) + 5:.1f}" y="{y_of(y) + lift:.1f}" fill="#333">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    main()
