"""GGUF adapters beside llama.cpp, which made their form: scale, sides, and the order of rotated rows."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
import torch
from tests.engine.adapters.adapter_files import F32, random_pairs, write_gguf_adapter
from tests.engine.models.parity import TOKENS, agreement, divergence
from tests.engine.tiny_model import write_tiny_llama

from portico_engine.adapters.adapter import AdapterLimits
from portico_engine.adapters.read_adapter import read_adapter
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.models.config import read_config
from portico_engine.plan import Row, StepPlan
from portico_engine.weights.gguf_file import GGUFFile

LIMITS = AdapterLimits(1, 16)


@pytest.mark.parametrize(("rank", "alpha"), [(4, 8.0), (2, 0.0), (7, 5.0)])
def test_a_gguf_adapter_says_what_it_says_in_llama_cpp(tmp_path: Path, rank: int, alpha: float) -> None:
    """An alpha of 0 stands for a scale of 1."""
    model = write_tiny_llama(tmp_path / "base.gguf", quantization=F32)
    adapter = write_gguf_adapter(tmp_path / "a.gguf", random_pairs(6, rank=rank), adapter__lora__alpha=alpha)
    theirs = llama_cpp_logits(model, adapter)
    file = GGUFFile(model)
    executor = TorchCPUExecutor.load(file, Sizes(128, 256), codes=False, adapters=LIMITS)
    executor.load_adapter(0, read_adapter(adapter, read_config(file), LIMITS))
    ours = [logits(executor, place) for place in (0, None)]
    assert divergence(theirs, ours[0]) < 0.01
    assert agreement(theirs, ours[0]) > 0.95
    assert divergence(theirs, ours[1]) > 1, "the adapter makes a difference"


def logits(executor: TorchCPUExecutor, place: int | None) -> torch.Tensor:
    row = Row(0, TOKENS, 0, tuple(range(8)), tuple(range(len(TOKENS))), targets=TOKENS, adapter=place)
    return torch.from_numpy(executor.submit(StepPlan((row,))).logits.copy()).log_softmax(-1)


def llama_cpp_logits(model: Path, adapter: Path) -> torch.Tensor:
    llama_cpp = pytest.importorskip("llama_cpp")
    from llama_reference import LlamaCpp

    llama = LlamaCpp(model, context=128, threads=1)
    try:
        loaded = llama_cpp.llama_adapter_lora_init(llama._model, str(adapter).encode())
        assert loaded
        adapters = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(loaded)
        assert llama_cpp.llama_set_adapters_lora(llama._context, adapters, 1, (ctypes.c_float * 1)(1.0)) == 0
        return torch.from_numpy(llama.eval(TOKENS, 0, want_all=True)).log_softmax(-1)
    finally:
        llama.close()
