"""The fused bf16 decoder over paged KV beside the plain float32 reference."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from tests.engine.models.parity import TOKENS, agreement, divergence, our_logits
from tests.engine.tiny_model import write_tiny_llama

from portico_engine import ModelError
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.linear.cpu_codes import codes_supported
from portico_engine.models.config import read_config
from portico_engine.weights.gguf_file import GGUFFile
from reference_decoder import ReferenceDecoder

Q = gguf.GGMLQuantizationType


def rope_factors(writer: gguf.GGUFWriter) -> None:
    writer.add_tensor("rope_freqs.weight", np.linspace(1, 8, 8, dtype=np.float32))


def linear_scaling(writer: gguf.GGUFWriter) -> None:
    writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(4.0)


def yarn(writer: gguf.GGUFWriter) -> None:
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(4.0)


def closeness(path: Path, chunks: list[int], *, codes: bool) -> tuple[float, float]:
    """Mean KL(reference || ours) over all positions, and the share of positions with the same likeliest token."""
    reference = ReferenceDecoder(GGUFFile(path)).logits(TOKENS).log_softmax(-1)
    ours = our_logits(path, chunks, codes=codes)
    return divergence(reference, ours), agreement(reference, ours)


@pytest.mark.parametrize(
    "chunks", [[70], [16, 16, 38], [1] * 70, [33, 5, 1, 1, 8, 22]], ids=["whole", "blocks", "single", "ragged"]
)
def test_logits_are_the_references_however_the_prompt_is_cut(tiny_path: Path, chunks: list[int]) -> None:
    divergence, same = closeness(tiny_path, chunks, codes=False)
    assert divergence < 4e-3
    assert same > 0.95


@pytest.mark.parametrize("quantization", [Q.Q4_1, Q.Q4_0, Q.Q8_0], ids=lambda q: str(q.name))
@pytest.mark.skipif(not codes_supported(), reason="this machine has no fast product from codes")
def test_products_from_codes_hold_the_files_own_weights(tmp_path: Path, quantization: Q) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", quantization=quantization)
    divergence, same = closeness(path, [3] * 20 + [10], codes=True)
    assert divergence < 4e-3
    assert same > 0.95


@pytest.mark.parametrize("quantization", [Q.F32, Q.F16, Q.BF16, Q.Q5_0, Q.Q5_1], ids=lambda q: str(q.name))
def test_other_formats_are_read_through_gguf(tmp_path: Path, quantization: Q) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", quantization=quantization)
    assert closeness(path, [70], codes=codes_supported())[0] < 4e-3


@pytest.mark.parametrize(
    ("architecture", "extra", "customize"),
    [
        ("qwen2", True, None),
        ("qwen3", True, None),
        ("llama", True, None),
        ("llama", False, rope_factors),
        ("llama", False, linear_scaling),
    ],
    ids=["qwen2", "qwen3", "biases and norms", "rope factors", "linear scaling"],
)
def test_the_families_variants_are_the_references(tmp_path: Path, architecture: str, extra: bool, customize: None) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", architecture=architecture, extra_tensors=extra, customize=customize)
    divergence, same = closeness(path, [40, 1, 29], codes=codes_supported())
    assert divergence < 4e-3
    assert same > 0.9


@pytest.mark.parametrize(
    ("customize", "message"),
    [
        (lambda w: w.add_expert_count(8), "expert_used_count is missing"),
        (lambda w: (w.add_expert_count(8), w.add_expert_used_count(9)), "9 of 8 experts can't be used"),
        (lambda w: (w.add_expert_count(8), w.add_expert_used_count(2)), r"blk\.0\.ffn_gate_inp\.weight is missing"),
        (lambda w: w.add_head_count_kv(3), "4 query heads can't share 3"),
        (lambda w: w.add_rope_dimension_count(18), "rotary embedding over 18 of 16"),
        (lambda w: w.add_rope_dimension_count(7), "7 rotary dimensions of 16 are no pairs"),
        (lambda w: w.add_string("llama.rope.scaling.type", "dynamic"), "'dynamic' is not supported; 'none', 'linear'"),
        (lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.YARN), r"rope\.scaling\.factor is missing"),
        (lambda w: (w.add_rope_freq_base(1.0), yarn(w)), "rope.freq_base - 1 is 0.0; it must be positive"),
        (lambda w: (w.add_rope_scaling_orig_ctx_len(0), yarn(w)), "rope.scaling.original_context_length is 0"),
        (lambda w: (w.add_rope_scaling_yarn_beta_slow(float("nan")), yarn(w)), "rope.scaling.yarn_beta_slow is nan"),
        (lambda w: w.add_rope_freq_base(float("inf")), "rope.freq_base is inf; it must be positive and finite"),
        (lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE), r"rope_factors_short\.weight is missing"),
        (lambda w: w.add_residual_scale(float("nan")), "one of the scales of llama is not a positive number"),
        (lambda w: w.add_feed_forward_length(128), r"has the shape \(.*\); the metadata calls for"),
        (lambda w: w.add_block_count(3), r"blk\.2\..* is missing"),
        (lambda w: w.add_block_count(0), "block_count is 0; it must be positive"),
        (lambda w: w.add_context_length(-1 & 0xFFFFFFFF), None),
    ],
)
def test_numbers_that_dont_fit_together_are_named(tmp_path: Path, customize: object, message: str | None) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", customize=customize, replace=True)  # type: ignore[arg-type]
    if message is None:
        assert read_config(GGUFFile(path)).context_length == 0xFFFFFFFF
        return
    with pytest.raises(ModelError, match=message):
        TorchCPUExecutor.load(GGUFFile(path), Sizes(128, 128))


def test_a_tensor_that_holds_nan_is_named(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", quantization=Q.F32)
    info = GGUFFile(path).tensors["blk.1.ffn_down.weight"]
    with path.open("r+b") as file:
        file.seek(info.offset + 400)
        file.write(np.array([np.nan], np.float32).tobytes())
    with pytest.raises(ModelError, match=r"blk\.1\.ffn_down\.weight holds numbers that are none"):
        TorchCPUExecutor.load(GGUFFile(path), Sizes(128, 128))
