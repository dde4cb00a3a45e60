"""What is foreseen from a model's headers is what its loaded weights take."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gguf
import pytest
import torch
from tests.engine.models import families

from portico_engine.kernels.cpu.library import load_kernels
from portico_engine.kernels.quantized_layout import pack_tiles
from portico_engine.linear.int4 import int4_supported
from portico_engine.loading.weight_memory import CPUCodes, _gpu_linear, cpu_codes, cpu_weights, gpu_weights
from portico_engine.models.config import DecoderConfig, RopeConfig, read_config
from portico_engine.models.cpu_weight_loader import CPUWeightLoader
from portico_engine.weights.gguf_file import GGUFFile
from random_model import Recipe, mixture, write_random

Q = gguf.GGMLQuantizationType


TORCH: list[CPUCodes] = ["torch"] if int4_supported() else []
KERNELS: list[CPUCodes] = ["kernels"] if cpu_codes() == "kernels" else []
WAYS: list[CPUCodes | None] = [None, *TORCH, *KERNELS]


def taken(file: GGUFFile, config: DecoderConfig, way: CPUCodes | None) -> int:
    """By the weights when they are loaded."""
    kernels = load_kernels() if way == "kernels" else None
    return held(CPUWeightLoader(file, config, codes=way is not None, kernels=kernels).weights(), set())


def held(value: Any, seen: set[int]) -> int:
    """Bytes of all tensors in it, each once."""
    if isinstance(value, torch.Tensor):
        new = value.data_ptr() not in seen
        seen.add(value.data_ptr())
        return value.nbytes if new else 0
    if dataclasses.is_dataclass(value):
        return sum(held(getattr(value, field.name), seen) for field in dataclasses.fields(value))
    if isinstance(value, tuple | list):
        return sum(held(one, seen) for one in value)
    names = [*getattr(value, "__slots__", ()), *getattr(value, "__dict__", {})]
    return sum(held(getattr(value, name), seen) for name in names if name not in ("_order", "_bias"))


@pytest.mark.parametrize("name", sorted(families.CASES))
@pytest.mark.parametrize("kind", [Q.F16, Q.Q8_0], ids=lambda kind: kind.name)
def test_of_every_family_on_a_cpu(tmp_path: Path, name: str, kind: Q) -> None:
    file = GGUFFile(families.write(tmp_path / "a.gguf", name, kind))
    config = read_config(file)
    way = WAYS[-1]
    assert cpu_weights(file, config, codes=way) == pytest.approx(taken(file, config, way), rel=0.01)


CONFIG = DecoderConfig(
    "llama", n_layers=8, hidden=256, feed_forward=512, n_heads=4, n_kv_heads=2, head_dim=64, vocab_size=512, context_length=64,
    norm_eps=1e-5, rope=RopeConfig(10_000.0), permuted_rotary=True,
)  # fmt: skip
FORMS: dict[str, Recipe] = {
    **{kind.name: lambda _name, _layer, kind=kind: kind for kind in (Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q8_0, Q.Q4_K, Q.Q5_K, Q.Q6_K)},  # type: ignore[misc]
    "Q4_K_M": mixture(Q.Q4_K, CONFIG.n_layers),
}


def written(folder: Path, form: str, *, tied: bool = False) -> GGUFFile:
    tokenizer: Any = SimpleNamespace(metadata={})
    return GGUFFile(write_random(folder / "a.gguf", CONFIG, tokenizer, FORMS[form], tied=tied))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_of_every_form_on_a_cpu(tmp_path: Path, form: str, way: CPUCodes | None, tied: bool) -> None:
    file = written(tmp_path, form, tied=tied)
    assert cpu_weights(file, CONFIG, codes=way) == taken(file, CONFIG, way)


@pytest.mark.parametrize("form", FORMS)
def test_of_a_matrix_in_the_tiles_that_kernels_read(tmp_path: Path, form: str) -> None:
    file = written(tmp_path, form)
    info = file.tensors["blk.0.ffn_down.weight"]
    matrix = CPUWeightLoader(file, CONFIG, codes=True).quantized(info.name, (16, 32, 64, 128))
    assert _gpu_linear([info], copies=False) == pack_tiles(matrix).n_bytes


@pytest.mark.gpu
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("copies", [False, True])
def test_of_every_form_on_a_gpu(tmp_path: Path, form: str, copies: bool, tied: bool) -> None:
    from portico_engine.models.cuda_weight_loader import CUDAWeightLoader

    file = written(tmp_path, form, tied=tied)
    weights = CUDAWeightLoader(file, CONFIG, codes=True, copies=copies, device="cuda").weights()
    assert gpu_weights(file, CONFIG, copies=copies) == held(weights, set())
