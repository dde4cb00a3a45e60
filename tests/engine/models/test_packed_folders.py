"""Folders with packed matrices say what folders with the same numbers unpacked say."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from checks.family_logits import TOKENS, weight
from safetensors.torch import load_file, save_file
from tests.engine.models.families import CLOSE
from tests.engine.models.parity import divergence, our_logits
from tests.engine.models.test_transformers import recorded
from tests.engine.models.wide import wide_logits
from tests.engine.tiny_folder import is_packable, write_folder, write_json
from tests.engine.tiny_model import Shape, Tensors, random_tensors

from packers import FORMATS, mxfp4
from portico_engine import ModelError, load_engine
from portico_engine.linear.cpu_codes import codes_supported
from portico_engine.loading.load_engine import foresee
from portico_engine.weights.hugging_face import HuggingFaceFolder

EVEN = Shape(feed_forward=128)
FROM_CODES = ("gptq, act-order", "gptq, 2 bits", "awq", "int4, channel", "int8", "nf4, nested")  # each another way


def unpacked(tensors: Tensors, name: str) -> Tensors:
    """The numbers that packed matrices stand for, rows in the folder's order being GGUF's here."""
    packer, _ = FORMATS[name]
    named = {key: f"layers.{key}" if key.startswith("blk.") else key for key in tensors}
    return {
        key: packer(value.astype(np.float64)).values.astype(np.float32) if is_packable(named[key], value) else value
        for key, value in tensors.items()
    }


@pytest.mark.parametrize("name", FORMATS)
def test_a_packed_folder_says_what_its_numbers_say(tmp_path: Path, name: str) -> None:
    packer, config = FORMATS[name]
    tensors = random_tensors(EVEN)
    folder = write_folder(tmp_path / "packed", tensors, {"quantization_config": config}, shape=EVEN, pack=packer)
    plain = our_logits(write_folder(tmp_path / "plain", unpacked(tensors, name), {}, shape=EVEN), [70], codes=False)
    assert divergence(plain, our_logits(folder, [70], codes=False)) < 1e-5
    if codes_supported() and name in FROM_CODES:
        rounded = CLOSE if name.startswith("nf4") else 4e-3  # its table is rounded to 8 bits there
        assert divergence(plain, our_logits(folder, [4] * 17 + [2], codes=True)) < rounded


@pytest.mark.skipif(not codes_supported(), reason="this machine has no fast product from codes")
@pytest.mark.parametrize("name", ["gptq", "gptq, act-order", "awq", "int4", "nf4, nested"])
def test_four_bit_folders_are_computed_from_codes(tmp_path: Path, name: str) -> None:
    packer, config = FORMATS[name]
    folder = write_folder(tmp_path / "m", random_tensors(EVEN), {"quantization_config": config}, shape=EVEN, pack=packer)
    engine = load_engine(folder, executor="torch-cpu")
    assert re.search(r"[-+](codes|int4)", engine.info.numerics_id)
    assert engine.info.quantization.startswith({"int4": "INT4"}.get(name, name.split(",")[0].upper()))
    assert not engine.info.fallbacks


@pytest.mark.parametrize("name", ["gptq", "nf4, nested", "float8, channel"])
def test_fused_matrices_are_cut_where_their_parts_meet(tmp_path: Path, name: str) -> None:
    packer, config = FORMATS[name]
    tensors = random_tensors(EVEN)
    fused: Tensors = {}
    for key, value in tensors.items():
        at = key.rsplit(".", 2)[0]
        if ".attn_q." in key:
            fused[f"{at}.attn_qkv.weight"] = np.concatenate([tensors[f"{at}.attn_{x}.weight"] for x in "qkv"])
        elif ".ffn_up." in key:
            fused[key] = np.concatenate([tensors[f"{at}.ffn_gate.weight"], value])
        elif not any(part in key for part in (".attn_k.", ".attn_v.", ".ffn_gate.")):
            fused[key] = value
    config = {"model_type": "phi3", "quantization_config": config}
    folder = write_folder(tmp_path / "packed", fused, config, shape=EVEN, pack=packer)
    plain = write_folder(tmp_path / "plain", unpacked(fused, name), {"model_type": "phi3"}, shape=EVEN)
    assert divergence(our_logits(plain, [70], codes=False), our_logits(folder, [70], codes=False)) < 1e-5


def config_with(**keys: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        write_json(folder / "config.json", config | {"quantization_config": config["quantization_config"] | keys})

    return change


def without(*suffixes: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        arrays = load_file(folder / "model.safetensors")
        save_file({k: v for k, v in arrays.items() if not k.endswith(suffixes)}, folder / "model.safetensors")

    return change


def shorter(suffix: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        arrays = load_file(folder / "model.safetensors")
        save_file({k: v[:-1].clone() if k.endswith(suffix) else v for k, v in arrays.items()}, folder / "model.safetensors")

    return change


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("gptq", config_with(bits=3), r"3 bits a weight .* are not supported; 2 or 4 or 8 are"),
        ("gptq", config_with(quant_method="quip"), "quantized as QUIP .* GPTQ, AWQ, compressed-tensors"),
        ("awq", config_with(version="gemv"), "AWQ's version 'gemv' .* 'gemm' is"),
        ("int4", config_with(format="marlin-24"), "format 'marlin-24' with int weights"),
        ("int4", config_with(config_groups={}), "has no config_groups"),
        ("float8, blocks", config_with(weight_block_size="x"), r"blocks of 'x' .* \[128, 128\] would"),
        ("nf4", without("nf4"), "has no quant_state"),
        ("gptq", without("scales"), r"attn_q.weight is missing"),
        ("gptq", shorter("scales"), "packed as GPTQ, does not fit together"),
        ("nf4", shorter("absmax"), "packed as NF4, does not fit together"),
        ("awq", shorter("qweight"), r"has the shape .* the metadata calls for"),
        ("float8, channel", shorter("weight_scale"), "packed as FP8, does not fit together"),
    ],
)
def test_a_broken_packed_folder_is_one_clear_error(
    tmp_path: Path, name: str, damage: Callable[[Path], None], message: str
) -> None:
    packer, config = FORMATS[name]
    folder = write_folder(tmp_path / "m", random_tensors(EVEN), {"quantization_config": config}, shape=EVEN, pack=packer)
    damage(folder)
    with pytest.raises(ModelError, match=message):
        load_engine(folder, executor="torch-cpu")


@pytest.fixture
def gpt_oss(tmp_path: Path) -> tuple[Path, Path]:
    """A folder with experts as MXFP4 blocks, and one with the numbers that those stand for."""
    record = recorded("gpt_oss")
    stored = {key: weight(key, tuple(shape)) for key, shape in record["shapes"].items()}
    packed, plain = dict(stored), dict(stored)
    for key in [key for key in stored if key.endswith(("experts.gate_up_proj", "experts.down_proj"))]:
        made = [mxfp4(expert.T.double().numpy()) for expert in packed.pop(key)]
        packed[f"{key}_blocks"] = torch.stack([torch.from_numpy(one[0].reshape(len(one[0]), -1, 16)) for one in made])
        packed[f"{key}_scales"] = torch.stack([torch.from_numpy(one[1]) for one in made])
        plain[key] = torch.stack([torch.from_numpy(one[2].T.copy()).float() for one in made])
    mxfp4_config = {"quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]}}
    for name, tensors, more in (("packed", packed, mxfp4_config), ("plain", plain, {})):
        (tmp_path / name).mkdir()
        save_file(tensors, tmp_path / name / "model.safetensors")
        write_json(tmp_path / name / "config.json", record["config"] | more)
    return tmp_path / "packed", tmp_path / "plain"


def test_gpt_oss_says_from_its_blocks_what_their_numbers_say(gpt_oss: tuple[Path, Path]) -> None:
    packed, plain = (HuggingFaceFolder(path) for path in gpt_oss)
    assert {packed.tensors[f"blk.0.ffn_{which}.3.weight"].type.name for which in ("gate", "up", "down")} == {"MXFP4"}
    torch.testing.assert_close(wide_logits(packed, TOKENS), wide_logits(plain, TOKENS), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gptq", r"GPTQ \d+%, F32 \d+%; computed from codes, and for many tokens from bfloat16; bfloat16"),
        ("float8, channel", r"FP8 \d+%, F32 \d+%; computed from bfloat16"),
    ],
)
@pytest.mark.skipif(not codes_supported(), reason="this machine has no fast product from codes")
def test_what_runs_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, said: str) -> None:
    packer, config = FORMATS[name]
    folder = write_folder(tmp_path / "m", random_tensors(EVEN), {"quantization_config": config}, shape=EVEN, pack=packer)
    assert re.fullmatch(said, str(foresee(folder, executor="torch-cpu").weights))
    with caplog.at_level(logging.INFO):
        load_engine(folder, executor="torch-cpu")
    assert re.search(f"weights of m: {said}", caplog.text)
