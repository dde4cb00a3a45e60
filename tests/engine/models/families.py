"""Tiny random models of every architecture that the engine runs, and of every scaling of rotary positions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import gguf
import numpy as np
from tests.engine.tiny_model import SMALL, Q, Shape, Tensors, write_tiny_llama
from torch import Tensor

from portico_engine.models.config import read_config
from portico_engine.weights.model_file import ModelFile

Writer = gguf.GGUFWriter
DEEP = Shape(layers=5)
CLOSE = 0.012  # KL: bfloat16 makes up to 0.009 here; a constant left out makes 0.03 and more


def apart(expected: Tensor, found: Tensor, file: ModelFile) -> float:
    """Mean KL of log-probabilities [positions, vocabulary]. A router may choose another expert by a near tie, which is no
    mistake and makes another text at that position: of a mixture the fifth that is furthest apart is left out.
    """
    kl = (expected.exp() * (expected - found)).sum(-1)
    return float(kl.mean() if read_config(file).experts is None else kl.sort().values[: len(kl) * 4 // 5].mean())


class Case(NamedTuple):
    """A file to write."""

    architecture: str
    metadata: Callable[[Writer], None] = lambda _writer: None
    tensors: Callable[[Tensors], Tensors] = lambda tensors: tensors
    shape: Shape = SMALL
    extra: bool = False


def only(*names: str) -> Callable[[Tensors], Tensors]:
    """Of the extra tensors, those whose names hold one of these."""

    def change(tensors: Tensors) -> Tensors:
        extra = (".bias", "_q_norm", "_k_norm")
        return {k: v for k, v in tensors.items() if not any(e in k for e in extra) or any(n in k for n in names)}

    return change


def experts(count: int, *, size: int = 96, shared: int = 0, gate: bool = False) -> Callable[[Tensors], Tensors]:
    """Mixtures in place of feed-forwards, the experts stacked."""

    def change(tensors: Tensors) -> Tensors:
        rng = np.random.default_rng(11)

        def matrix(*shape: int) -> np.ndarray:
            return (rng.standard_normal(shape) * 1.2 / np.sqrt(shape[-1])).astype(np.float32)

        out: Tensors = {}
        for name, value in tensors.items():
            if ".ffn_down." in name:
                at, hidden = name.split(".ffn_")[0], value.shape[0]
                out |= {
                    f"{at}.ffn_gate_inp.weight": matrix(count, hidden) * 2,
                    f"{at}.ffn_gate_exps.weight": matrix(count, size, hidden),
                    f"{at}.ffn_up_exps.weight": matrix(count, size, hidden),
                    f"{at}.ffn_down_exps.weight": matrix(count, hidden, size),
                }
                if shared:
                    out |= {
                        f"{at}.ffn_gate_shexp.weight": matrix(shared, hidden),
                        f"{at}.ffn_up_shexp.weight": matrix(shared, hidden),
                        f"{at}.ffn_down_shexp.weight": matrix(hidden, shared),
                    }
                if gate:
                    out[f"{at}.ffn_gate_inp_shexp.weight"] = matrix(hidden) * 8
            elif ".ffn_gate." not in name and ".ffn_up." not in name:
                out[name] = value
        return out

    return change


def both(*changes: Callable[[Tensors], Tensors]) -> Callable[[Tensors], Tensors]:
    """One after another."""

    def change(tensors: Tensors) -> Tensors:
        for one in changes:
            tensors = one(tensors)
        return tensors

    return change


def untied(tensors: Tensors) -> Tensors:
    """A head of its own, where llama.cpp insists on one."""
    return tensors | {"output.weight": tensors["token_embd.weight"][::-1] / 8}


def fused(tensors: Tensors) -> Tensors:
    """Queries, keys and values in one matrix, gate and up in one, as Phi-3 has them."""
    out: Tensors = {}
    for name, value in tensors.items():
        at = name.rsplit(".", 2)[0]
        if ".attn_q." in name:
            out[f"{at}.attn_qkv.weight"] = np.concatenate([tensors[f"{at}.attn_{x}.weight"] for x in "qkv"])
        elif ".ffn_up." in name:
            out[name] = np.concatenate([tensors[f"{at}.ffn_gate.weight"], value])
        elif not any(part in name for part in (".attn_k.", ".attn_v.", ".ffn_gate.")):
            out[name] = value
    return out


def with_factors(*names: str, count: int = 8) -> Callable[[Tensors], Tensors]:
    """Tensors that divide rotary frequencies."""
    return lambda tensors: (
        tensors | {f"{name}.weight": np.linspace(1 + i, 8 + 3 * i, count, dtype=np.float32) for i, name in enumerate(names)}
    )


def mixture(count: int, used: int, size: int | None = None, shared: int = 0) -> Callable[[Writer], None]:
    def add(writer: Writer) -> None:
        writer.add_expert_count(count)
        writer.add_expert_used_count(used)
        if size:
            writer.add_expert_feed_forward_length(size)
        if shared:
            writer.add_expert_shared_feed_forward_length(shared)

    return add


def granite(writer: Writer) -> None:
    writer.add_embedding_scale(3.0)
    writer.add_residual_scale(0.7)
    writer.add_attention_scale(0.9)
    writer.add_logit_scale(2.5)


def granite_mixture(writer: Writer) -> None:
    granite(writer)
    mixture(4, 2, shared=64)(writer)


def yarn(writer: Writer) -> None:
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(4.0)
    writer.add_rope_scaling_orig_ctx_len(32)


def long_rope(original: int, dimensions: int = 16) -> Callable[[Writer], None]:
    def add(writer: Writer) -> None:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
        writer.add_rope_scaling_attn_factors(1.19)
        writer.add_rope_scaling_orig_ctx_len(original)
        writer.kv_data[0].pop("phi3.rope.dimension_count")
        writer.add_rope_dimension_count(dimensions)

    return add


PARTIAL = both(fused, with_factors("rope_factors_short", "rope_factors_long", count=6))
LONG = both(fused, with_factors("rope_factors_short", "rope_factors_long"))
CASES = {
    "mixtral": Case("llama", mixture(4, 2), experts(4)),
    "qwen2moe": Case(
        "qwen2moe", mixture(6, 2, 32, 64), both(only(".bias"), untied, experts(6, size=32, shared=64, gate=True)), extra=True
    ),
    "qwen3moe": Case("qwen3moe", mixture(8, 3, 32), both(only("_norm"), experts(8, size=32)), extra=True),
    "granite": Case("granite", granite),
    "granitemoe": Case("granitemoe", granite_mixture, experts(4, shared=64)),
    "smollm3": Case("smollm3", shape=DEEP),
    "internlm2": Case("internlm2", tensors=untied),
    "ernie4_5": Case("ernie4_5"),
    "exaone": Case("exaone", tensors=with_factors("rope_freqs")),
    "phi3": Case("phi3", tensors=fused),
    "phi3, long factors": Case("phi3", long_rope(64), LONG),
    "phi3, short factors": Case("phi3", long_rope(1024), LONG),
    "phi3, part of each head": Case("phi3", long_rope(64, 12), PARTIAL),
    "qwen2, yarn": Case("qwen2", yarn, only(".bias"), extra=True),
    "qwen3, yarn": Case("qwen3", yarn, only("_norm"), extra=True),
    "llama, yarn": Case("llama", yarn),
}


def write(path: Path, name: str, quantization: Q) -> Path:
    """A case's GGUF file."""
    case = CASES[name]
    return write_tiny_llama(
        path,
        architecture=case.architecture,
        quantization=quantization,
        customize=case.metadata,
        rearrange=case.tensors,
        shape=case.shape,
        extra_tensors=case.extra,
    )
