"""Adapters from disk: both forms say the same, and what can't be applied is refused by its name."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.engine.adapters.adapter_files import (
    ALPHA,
    RANK,
    random_pairs,
    write_gguf_adapter,
    write_peft_folder,
)
from tests.engine.tiny_folder import write_folder
from tests.engine.tiny_model import Shape, random_tensors

from portico_engine import AdapterError
from portico_engine.adapters.adapter import Adapter, AdapterLimits
from portico_engine.adapters.read_adapter import read_adapter
from portico_engine.models.config import DecoderConfig, ExpertsConfig, LatentConfig, read_config
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.hugging_face import HuggingFaceFolder

PAIRS = random_pairs(1)
LIMITS = AdapterLimits(4, 16)


@pytest.fixture(scope="module")
def config(tiny_path: Path) -> DecoderConfig:
    return read_config(GGUFFile(tiny_path))


def same(one: Adapter, other: Adapter) -> None:
    assert one.matrices.keys() == other.matrices.keys()
    for name, matrix in one.matrices.items():
        np.testing.assert_array_equal(matrix.a, other.matrices[name].a, err_msg=name)
        np.testing.assert_array_equal(matrix.b, other.matrices[name].b, err_msg=name)


def test_both_forms_of_an_adapter_are_one_adapter_for_both_forms_of_a_model(tmp_path: Path, config: DecoderConfig) -> None:
    folder = write_folder(tmp_path / "model", random_tensors(), {}, permuted=True)
    in_folder = read_config(HuggingFaceFolder(folder))
    peft = write_peft_folder(tmp_path / "peft", PAIRS)
    converted = write_gguf_adapter(tmp_path / "adapter.gguf", PAIRS)
    first = read_adapter(peft, config, LIMITS)
    for path, shape in ((peft, in_folder), (converted, config), (converted, in_folder)):
        other = read_adapter(path, shape, LIMITS)
        same(first, other)
        assert other.digest == first.digest
    assert (first.base, read_adapter(converted, config, LIMITS).base) == ("someone/tiny", "Tiny")
    assert first.rank == RANK


def test_the_scale_is_alpha_over_rank(tmp_path: Path, config: DecoderConfig) -> None:
    plain = read_adapter(write_peft_folder(tmp_path / "plain", PAIRS), config, LIMITS).matrices["blk.1.ffn_up"]
    np.testing.assert_allclose(plain.b, PAIRS["blk.1.ffn_up"][1] * (ALPHA / RANK))
    rooted = read_adapter(write_peft_folder(tmp_path / "rs", PAIRS, use_rslora=True), config, LIMITS).matrices["blk.1.ffn_up"]
    np.testing.assert_allclose(rooted.b, PAIRS["blk.1.ffn_up"][1] * (ALPHA / math.sqrt(RANK)), rtol=1e-6)


def test_a_module_may_have_an_alpha_and_a_rank_of_its_own(tmp_path: Path, config: DecoderConfig) -> None:
    mixed = random_pairs(2, targets=("attn_v",)) | random_pairs(3, rank=2, targets=("ffn_up",))
    path = write_peft_folder(tmp_path / "mixed", mixed, alpha_pattern={"mlp.up_proj": 6}, rank_pattern={"mlp.up_proj": 2})
    read = read_adapter(path, config, LIMITS).matrices
    np.testing.assert_allclose(read["blk.0.ffn_up"].b, mixed["blk.0.ffn_up"][1] * 3)
    np.testing.assert_allclose(read["blk.0.attn_v"].b, mixed["blk.0.attn_v"][1] * (ALPHA / RANK))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_are_read_as_what_they_are(tmp_path: Path, config: DecoderConfig, dtype: torch.dtype) -> None:
    read = read_adapter(write_peft_folder(tmp_path / "half", PAIRS, dtype=dtype), config, LIMITS).matrices["blk.0.attn_v"]
    np.testing.assert_array_equal(read.a, torch.from_numpy(PAIRS["blk.0.attn_v"][0]).to(dtype).float().numpy())


def test_other_numbers_are_another_digest_and_another_name_is_not(tmp_path: Path, config: DecoderConfig) -> None:
    one = read_adapter(write_peft_folder(tmp_path / "one", PAIRS), config, LIMITS)
    copied = read_adapter(write_peft_folder(tmp_path / "copy", PAIRS), config, LIMITS)
    louder = read_adapter(write_peft_folder(tmp_path / "louder", PAIRS, lora_alpha=ALPHA + 1), config, LIMITS)
    assert one.digest == copied.digest != louder.digest


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"peft_type": "IA3"}, "peft_type is 'IA3'; only LORA is supported"),
        ({"use_dora": True}, "use_dora is True: DoRA"),
        ({"bias": "lora_only"}, "bias is 'lora_only': biases beside the matrices"),
        ({"lora_bias": True}, "lora_bias is True"),
        ({"modules_to_save": ["lm_head"]}, r"modules_to_save is \['lm_head'\]: whole modules"),
        ({"trainable_token_indices": [3]}, "trainable_token_indices"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out is True"),
        ({"alora_invocation_tokens": [1]}, "begins in mid-prompt"),
        ({"use_bdlora": {"nblocks": 2}}, "use_bdlora is .*: BD-LoRA"),
        ({"init_lora_weights": "pissa_niter_4"}, "'pissa_niter_4': it was trained beside a changed base"),
        ({"alpha_pattern": ["q_proj"]}, "alpha_pattern is .*; it must have numbers by pattern"),
        ({"alpha_pattern": {"(": 3}}, "alpha_pattern is .*; it must have numbers by pattern"),
        ({"alpha_pattern": {"q_proj": True}}, "lora_alpha is True"),
        ({"lora_alpha": 10**400}, "lora_alpha is 10+; it must be a number, of at most 1e"),
        ({"lora_alpha": "many"}, "lora_alpha is 'many'; it must be a number"),
        ({"lora_alpha": None}, "lora_alpha is None"),
    ],
)
def test_a_folder_of_another_kind_is_refused_by_the_key_that_says_so(
    tmp_path: Path, config: DecoderConfig, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(AdapterError, match=message):
        read_adapter(write_peft_folder(tmp_path / "a", PAIRS, **keys), config, LIMITS)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"general__type": "model"}, "is of the type 'model' .* no adapter"),
        ({"adapter__type": "control_vector"}, "adapter.type is 'control_vector'; only lora"),
        ({"general__architecture": "qwen2"}, "for models of the architecture 'qwen2'; this one is 'llama'"),
        ({"adapter__lora__alpha": None}, "adapter.lora.alpha is missing"),
        ({"adapter__lora__alpha": math.nan}, "adapter.lora.alpha is nan"),
    ],
)
def test_a_gguf_file_of_another_kind_is_refused_by_the_key_that_says_so(
    tmp_path: Path, config: DecoderConfig, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(AdapterError, match=message):
        read_adapter(write_gguf_adapter(tmp_path / "a.gguf", PAIRS, **keys), config, LIMITS)


def test_an_adapter_for_another_model_is_refused_with_both_shapes_and_its_base(tmp_path: Path, config: DecoderConfig) -> None:
    wider = Shape(hidden=128, feed_forward=192)
    path = write_peft_folder(tmp_path / "wide", random_pairs(1, shape=wider, targets=("attn_q",)), shape=wider)
    said = r"the A of model.layers.0.self_attn.q_proj has the shape \(4, 128\); this model calls for \(4, 64\)"
    with pytest.raises(AdapterError, match=said + "; the adapter was made for someone/tiny"):
        read_adapter(path, config, LIMITS)
    longer = Shape(layers=3)
    path = write_gguf_adapter(tmp_path / "long.gguf", random_pairs(1, shape=longer))
    with pytest.raises(AdapterError, match=r"changes blk.2.attn_q.weight, but the model has 2 layers; .* made for Tiny"):
        read_adapter(path, config, LIMITS)
    path = write_peft_folder(tmp_path / "long", random_pairs(1, shape=longer), shape=longer)
    with pytest.raises(AdapterError, match=r"model.layers.2.\S+, which is no module of this llama model of 2 layers"):
        read_adapter(path, config, LIMITS)


def test_a_rank_over_the_limit_is_refused_with_both(tmp_path: Path, config: DecoderConfig) -> None:
    path = write_peft_folder(tmp_path / "a", random_pairs(1, rank=17))
    with pytest.raises(AdapterError, match="is of rank 17; this engine takes up to 16"):
        read_adapter(path, config, LIMITS)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_numbers_that_are_none_are_refused_by_their_matrix(
    tmp_path: Path, config: DecoderConfig, value: float, side: int
) -> None:
    pairs = random_pairs(1)
    pairs["blk.1.attn_v"][side][1, 1] = value
    with pytest.raises(AdapterError, match=rf"the {'AB'[side]} of model.layers.1.self_attn.v_proj holds numbers that are none"):
        read_adapter(write_peft_folder(tmp_path / "a", pairs), config, LIMITS)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        ("base_model.model.lm_head.lora_A.weight", "embedding and head are not"),
        ("base_model.model.model.embed_tokens.lora_A.weight", "embedding and head are not"),
        ("base_model.model.model.embed_tokens.lora_embedding_A", "no part of a LoRA matrix"),
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", "no part of a LoRA matrix"),
        ("base_model.model.model.layers.0.mlp.mystery.lora_A.weight", "mlp.mystery, which is no module"),
        ("base_model.model.model.layers.0.input_layernorm.lora_A.weight", "what an adapter can change here is attn_q"),
    ],
)
def test_what_an_adapter_may_not_change_is_refused_by_name(
    tmp_path: Path, config: DecoderConfig, tensor: str, message: str
) -> None:
    more = {tensor: np.ones((2, 64), np.float32)}
    if ".lora_A." in tensor:
        more[tensor.replace("lora_A", "lora_B")] = np.ones((64, 2), np.float32)
    with pytest.raises(AdapterError, match=message):
        read_adapter(write_peft_folder(tmp_path / "a", PAIRS, more=more), config, LIMITS)


def test_half_a_pair_is_refused(tmp_path: Path, config: DecoderConfig) -> None:
    gone = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"
    with pytest.raises(AdapterError, match=r"self_attn.q_proj.lora_B.weight is missing"):
        read_adapter(write_peft_folder(tmp_path / "a", PAIRS, leave_out=gone), config, LIMITS)
    with pytest.raises(AdapterError, match=r"blk.0.attn_q.weight.lora_a is missing"):
        read_adapter(write_gguf_adapter(tmp_path / "a.gguf", PAIRS, leave_out="blk.0.attn_q.lora_a"), config, LIMITS)


@pytest.mark.parametrize("kept", [0, 4, 500, -100])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, config: DecoderConfig, kept: int) -> None:
    folder = write_peft_folder(tmp_path / "a", PAIRS)
    for path, given in (
        (folder / "adapter_model.safetensors", folder),
        (write_gguf_adapter(tmp_path / "a.gguf", PAIRS), tmp_path / "a.gguf"),
    ):
        path.write_bytes(path.read_bytes()[:kept])
        with pytest.raises(AdapterError, match=r"cut short|is empty|not a GGUF file"):
            read_adapter(given, config, LIMITS)


def test_a_pickle_is_never_opened(tmp_path: Path, config: DecoderConfig) -> None:
    folder = write_peft_folder(tmp_path / "a", PAIRS)
    (folder / "adapter_model.safetensors").unlink()
    (folder / "adapter_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(AdapterError, match="is a pickle, which can run any code"):
        read_adapter(folder, config, LIMITS)
    with pytest.raises(AdapterError, match="pickles among them, are not read"):
        read_adapter(folder / "adapter_model.bin", config, LIMITS)


def test_what_is_not_there_is_said(tmp_path: Path, config: DecoderConfig) -> None:
    with pytest.raises(AdapterError, match="there is no adapter at"):
        read_adapter(tmp_path / "nowhere", config, LIMITS)
    with pytest.raises(AdapterError, match=r"adapter_config.json is missing"):
        read_adapter(tmp_path, config, LIMITS)


def test_a_fused_projection_is_its_parts_with_one_a(tmp_path: Path, config: DecoderConfig) -> None:
    """As families have them whose checkpoints hold qkv_proj and gate_up_proj."""
    shared = {kind: PAIRS[f"blk.0.{kind}"][0] for kind in ("attn_q", "ffn_gate")}
    parts = {"attn_q": "attn_q", "attn_k": "attn_q", "attn_v": "attn_q", "ffn_gate": "ffn_gate", "ffn_up": "ffn_gate"}
    apart = {f"blk.0.{kind}": (shared[of], PAIRS[f"blk.0.{kind}"][1]) for kind, of in parts.items()}
    fused = {
        "blk.0.attn_qkv": (shared["attn_q"], np.concatenate([apart[f"blk.0.attn_{x}"][1] for x in "qkv"])),
        "blk.0.ffn_up": (shared["ffn_gate"], np.concatenate([apart[f"blk.0.ffn_{x}"][1] for x in ("gate", "up")])),
    }
    one, other = (read_adapter(write_gguf_adapter(tmp_path / f"{len(p)}.gguf", p), config, LIMITS) for p in (apart, fused))
    same(one, other)
    assert one.digest == other.digest


def test_beside_a_mixture_of_experts_only_attention_is_changed(tmp_path: Path, config: DecoderConfig) -> None:
    mixture = replace(config, experts=ExpertsConfig(4, 2, 32, normalized=True))
    attention = random_pairs(1, targets=("attn_q", "attn_output"))
    assert len(read_adapter(write_gguf_adapter(tmp_path / "a.gguf", attention), mixture, LIMITS).matrices) == 4
    with pytest.raises(AdapterError, match=r"can change here is attn_q, .* \(the experts of a mixture are not\)"):
        read_adapter(write_gguf_adapter(tmp_path / "b.gguf", random_pairs(1, targets=("ffn_up",))), mixture, LIMITS)


def test_layers_that_an_adapter_can_not_change_are_refused_by_name(tmp_path: Path, config: DecoderConfig) -> None:
    adapter = write_peft_folder(tmp_path / "both", PAIRS)
    hybrid = replace(config, conv_layers=(False, True), conv_length=3)
    with pytest.raises(AdapterError, match=r"\(blk.1.\w+\), a layer with a short convolution; .* those with attention: 0$"):
        read_adapter(adapter, hybrid, LIMITS)
    first = {name: pair for name, pair in PAIRS.items() if name.startswith("blk.0.")}
    assert read_adapter(write_peft_folder(tmp_path / "first", first), hybrid, LIMITS).matrices.keys() == first.keys()
    latent = replace(config, latent=LatentConfig(query_rank=0, kv_rank=8, plain=4, rope=4, value=4))
    with pytest.raises(AdapterError, match=r"latent attention \(MLA\) takes no adapters here"):
        read_adapter(adapter, latent, LIMITS)


def test_a_matrix_of_no_rank_is_refused(tmp_path: Path, config: DecoderConfig) -> None:
    empty = {"blk.0.attn_v": (np.zeros((0, 64), np.float32), np.zeros((32, 0), np.float32))}
    with pytest.raises(AdapterError, match=r"has the shape .*; it must be a matrix"):
        read_adapter(write_gguf_adapter(tmp_path / "a.gguf", empty), config, LIMITS)
