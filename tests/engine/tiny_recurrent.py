"""Random models with states, as GGUF files: Mamba, which has nothing else, and LFM2, which has attention too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
from tests.engine.tiny_model import Q, Tensors, random_tensors, vocabulary, write_tiny_llama

HIDDEN, INNER, STATE, RANK, KERNEL = 64, 128, 16, 4, 4
KV_HEADS = [0, 2, 0]  # of LFM2's layers: the others convolve


def write_tiny_mamba(path: Path, *, context: int = 256) -> Path:
    """Two layers of Mamba (Gu and Dao 2023)."""

    def customize(writer: gguf.GGUFWriter) -> None:
        writer.add_head_count(0)
        writer.add_head_count_kv(0)
        writer.add_feed_forward_length(0)
        writer.add_ssm_conv_kernel(KERNEL)
        writer.add_ssm_inner_size(INNER)
        writer.add_ssm_state_size(STATE)
        writer.add_ssm_time_step_rank(RANK)

    return write_tiny_llama(
        path, architecture="mamba", context=context, quantization=Q.F32, customize=customize, rearrange=_mamba, replace=True
    )


def write_tiny_lfm2(path: Path, *, context: int = 256) -> Path:
    """Attention between two short convolutions."""

    def customize(writer: gguf.GGUFWriter) -> None:
        writer.add_block_count(len(KV_HEADS))
        writer.add_head_count_kv(KV_HEADS)
        writer.add_vocab_size(len(vocabulary()))
        writer.add_shortconv_l_cache(3)

    return write_tiny_llama(
        path, architecture="lfm2", context=context, quantization=Q.F32, customize=customize, rearrange=_lfm2, replace=True
    )


def _matrices() -> Callable[..., np.ndarray]:
    rng = np.random.default_rng(11)
    return lambda *shape: (rng.standard_normal(shape) * 1.5 / np.sqrt(shape[-1])).astype(np.float32)


def _mamba(usual: Tensors) -> Tensors:
    matrix = _matrices()
    out = {name: usual[name] for name in ("token_embd.weight", "output_norm.weight")}
    for i in range(2):
        at = f"blk.{i}"
        out |= {
            f"{at}.attn_norm.weight": usual[f"{at}.attn_norm.weight"],
            f"{at}.ssm_in.weight": matrix(2 * INNER, HIDDEN),
            f"{at}.ssm_conv1d.weight": matrix(INNER, KERNEL),
            f"{at}.ssm_conv1d.bias": matrix(1, INNER)[0],
            f"{at}.ssm_x.weight": matrix(RANK + 2 * STATE, INNER),
            f"{at}.ssm_dt.weight": matrix(INNER, RANK),
            f"{at}.ssm_dt.bias": matrix(1, INNER)[0],
            f"{at}.ssm_a": -np.tile(np.arange(1, STATE + 1, dtype=np.float32) / STATE, (INNER, 1)),
            f"{at}.ssm_d": matrix(1, INNER)[0],
            f"{at}.ssm_out.weight": matrix(HIDDEN, INNER),
        }
    return out


def _lfm2(usual: Tensors) -> Tensors:
    matrix, layers = _matrices(), random_tensors()
    out = {"token_embd.weight": usual["token_embd.weight"], "token_embd_norm.weight": usual["output_norm.weight"]}
    for i, kv_heads in enumerate(KV_HEADS):
        at, like = f"blk.{i}", "blk.0"
        names = ["attn_norm", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"]
        names += ["attn_q", "attn_k", "attn_v", "attn_output"] if kv_heads else []
        out |= {f"{at}.{name}.weight": layers[f"{like}.{name}.weight"] for name in names}
        if kv_heads:
            out |= {f"{at}.attn_{name}_norm.weight": np.ones(16, np.float32) for name in ("q", "k")}
        else:
            out |= {
                f"{at}.shortconv.conv.weight": matrix(HIDDEN, 3),
                f"{at}.shortconv.in_proj.weight": matrix(3 * HIDDEN, HIDDEN),
                f"{at}.shortconv.out_proj.weight": matrix(HIDDEN, HIDDEN),
            }
    return out
