"""Keys of blocks hold everything that changes keys and values, so that none are found by who would have computed others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gguf
import pytest
from tests.engine.models import families
from tests.engine.tiny_model import Shape, write_tiny_llama

from portico_engine import load_engine
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.loading.weight_memory import cpu_codes
from portico_engine.weights.gguf_file import GGUFFile


def root(path: Path, **options: Any) -> bytes:
    """The key before the first block of this model, loaded so."""
    engine = load_engine(path, executor="torch-cpu", **options)
    try:
        return engine._kv._root
    finally:
        engine.close()


def test_the_same_model_loaded_alike_has_the_same_keys_whatever_its_context(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "a.gguf")
    assert root(path, context=64) == root(path, context=128) == root(path)


def test_rotary_factors_that_follow_the_loaded_context_are_in_the_keys(tmp_path: Path) -> None:
    path = families.write(tmp_path / "a.gguf", "phi3, long factors", gguf.GGMLQuantizationType.F16)
    assert root(path, context=64) != root(path, context=256)


def test_the_form_below_memory_is_in_the_keys(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "a.gguf")
    assert root(path) != root(path, kv_offload_dtype="int8")


@pytest.mark.parametrize(
    "change",
    [
        lambda writer: writer.add_sliding_window(32),
        lambda writer: writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR) or writer.add_rope_scaling_factor(2.0),
        lambda writer: writer.add_uint32("llama.rope.dimension_count", 8),
    ],
    ids=["sliding window", "rotary scaling", "rotary dimensions"],
)
def test_what_a_files_metadata_changes_is_in_the_keys(tmp_path: Path, change: Any) -> None:
    """Same name, same tensors, same time of change."""
    roots = []
    for name, customize in (("one", None), ("two", change), ("three", None)):
        (tmp_path / name).mkdir()
        path = write_tiny_llama(tmp_path / name / "a.gguf", customize=customize)
        os.utime(path, (1, 1))
        roots.append(root(path))
    assert roots[0] == roots[2]
    assert roots[0] != roots[1]


def test_an_adapter_is_in_the_keys(tmp_path: Path) -> None:
    engine = load_engine(write_tiny_llama(tmp_path / "a.gguf"), executor="torch-cpu")
    tokens = tuple(range(3, 20))
    keys = {engine._kv.block_keys(adapter=digest).key(0, tokens) for digest in (b"", b"one", b"two")}
    assert len(keys) == 3
    engine.close()


@pytest.mark.skipif(cpu_codes() is None, reason="this CPU has one path")
def test_the_product_that_runs_is_in_the_numerics(tmp_path: Path) -> None:
    """From codes, by kernels or by torch, or from bfloat16 alone."""
    path = write_tiny_llama(tmp_path / "a.gguf", shape=Shape(hidden=64), quantization=gguf.GGMLQuantizationType.Q4_0)
    ways: list[dict[str, Any]] = [{"codes": True}, {"codes": True, "kernels": False}, {"codes": False, "kernels": False}]
    found = [TorchCPUExecutor.load(GGUFFile(path), Sizes(64, 64), **way).caps.numerics_id for way in ways]
    assert len(set(found)) == 2 + (cpu_codes() == "kernels")


def test_experts_codes_are_in_the_numerics_where_nothing_else_has_any(tmp_path: Path) -> None:
    """The other matrices of this file are bfloat16; what its experts are computed from still changes all that follows."""
    from portico_engine.models.config import read_config
    from portico_engine.models.cpu_weight_loader import CPUWeightLoader

    path = families.write(tmp_path / "a.gguf", "mixtral", gguf.GGMLQuantizationType.Q8_0)
    file = GGUFFile(path)
    forms = {codes: CPUWeightLoader(file, read_config(file), codes=codes).weights().forms for codes in (True, False)}
    assert forms[False] == "bf16"
    assert forms[True] != "bf16"
