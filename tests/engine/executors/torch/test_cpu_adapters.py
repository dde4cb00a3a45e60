"""Adapters on the CPU's executor: as if merged into the weights, whoever else is in the batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.engine.adapters.adapter_files import F32, Pairs, random_pairs, write_gguf_adapter, write_merged, write_peft_folder
from tests.engine.models.parity import agreement, divergence
from tests.engine.tiny_folder import write_folder
from tests.engine.tiny_model import random_tensors, write_tiny_llama

from portico_engine.adapters.adapter import AdapterLimits
from portico_engine.adapters.read_adapter import read_adapter
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.models.config import read_config
from portico_engine.plan import Row, StepPlan
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.hugging_face import HuggingFaceFolder
from portico_engine.weights.model_file import ModelFile
from reference_decoder import ReferenceDecoder

LIMITS = AdapterLimits(3, 8)
TOKENS = tuple(int(t) for t in np.random.default_rng(4).integers(3, 260, 240))
ONE, TWO = random_pairs(1), random_pairs(2, rank=2, targets=("attn_q", "attn_v", "ffn_down"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("base") / "base.gguf", quantization=F32)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf_adapter(tmp_path_factory.mktemp("one") / "one.gguf", ONE)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_peft_folder(tmp_path_factory.mktemp("two") / "two", TWO)


def load(file: ModelFile, *adapters: Path) -> TorchCPUExecutor:
    executor = TorchCPUExecutor.load(file, Sizes(256, 2048, max_rows=8), codes=False, adapters=LIMITS)
    for place, path in enumerate(adapters):
        executor.load_adapter(place, read_adapter(path, read_config(file), LIMITS))
    return executor


def row(adapter: int | None, slot: int = 0, tokens: tuple[int, ...] = TOKENS, start: int = 0) -> Row:
    table = tuple(range(16 * slot, 16 * slot + 16))
    return Row(slot, tokens, start, table, tuple(range(len(tokens))), targets=tokens, adapter=adapter)


def logits(executor: TorchCPUExecutor, *rows: Row) -> torch.Tensor:
    return torch.from_numpy(executor.submit(StepPlan(rows)).logits.copy()).log_softmax(-1)


@pytest.mark.parametrize(("name", "pairs", "scale"), [("one", ONE, 2.0), ("two", TWO, 4.0)])
def test_an_adapter_is_as_near_to_float32_as_one_merged_into_the_weights(
    base: Path, tmp_path: Path, request: pytest.FixtureRequest, name: str, pairs: Pairs, scale: float
) -> None:
    """All of it rounds to bfloat16, merged or not; `models/test_lora_weights.py` is exact."""
    whole = GGUFFile(write_merged(tmp_path / "merged.gguf", pairs, scale))
    reference = ReferenceDecoder(whole).logits(TOKENS).log_softmax(-1)
    executor = load(GGUFFile(base), request.getfixturevalue(name))
    assert divergence(reference, logits(executor, row(None))) > 5, "the adapter makes a difference"
    got, merged = logits(executor, row(0)), logits(load(whole), row(None))
    assert agreement(reference, got) > 0.94
    assert divergence(reference, got) < 1.5 * divergence(reference, merged) < 0.01


def test_a_folder_takes_the_adapter_as_a_file_does(base: Path, one: Path, two: Path, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", random_tensors(), {}, permuted=True)
    for path in (one, two):
        in_file, in_folder = (logits(load(file, path), row(0)) for file in (GGUFFile(base), HuggingFaceFolder(folder)))
        assert torch.equal(in_file, in_folder)


def test_a_mixed_batch_says_what_each_row_says_alone(base: Path, one: Path, two: Path) -> None:
    executor = load(GGUFFile(base), one, two)
    order = (0, None, 1, 1, None, 0)
    together = logits(executor, *(row(adapter, slot, TOKENS[slot : slot + 30]) for slot, adapter in enumerate(order)))
    for slot, adapter in enumerate(order):
        alone = logits(load(GGUFFile(base), one, two), row(adapter, slot, TOKENS[slot : slot + 30]))
        got = together[30 * slot : 30 * (slot + 1)]
        assert divergence(alone, got) < 4e-3
        assert agreement(alone, got) >= 0.96


def test_decoding_goes_on_under_the_adapter_from_its_own_keys(base: Path, one: Path) -> None:
    executor = load(GGUFFile(base), one)
    whole = logits(executor, row(0, 1, TOKENS[:80]))
    executor.submit(StepPlan((row(0, 0, TOKENS[:40]),)))
    single = torch.cat([logits(executor, row(0, 0, TOKENS[at : at + 1], at)) for at in range(40, 80)])
    assert divergence(whole[40:], single) < 0.006
    assert agreement(whole[40:], single) >= 0.9


def test_who_has_none_computes_the_same_bits_as_an_executor_without_room(base: Path, one: Path) -> None:
    plain = TorchCPUExecutor.load(GGUFFile(base), Sizes(256, 2048, max_rows=8), codes=False)
    assert torch.equal(logits(load(GGUFFile(base), one), row(None)), logits(plain, row(None)))
    assert plain.caps.adapters == 0


def test_a_place_holds_another_adapter_after_unloading(base: Path, one: Path, two: Path) -> None:
    executor = load(GGUFFile(base), one)
    executor.unload_adapter(0)
    executor.load_adapter(0, read_adapter(two, read_config(GGUFFile(base)), LIMITS))
    assert torch.equal(logits(executor, row(0)), logits(load(GGUFFile(base), two), row(0)))


def test_codes_and_adapters_go_together(tiny_path: Path, one: Path) -> None:
    """Single rows of a quantized model take the 4-bit product where the CPU has one; adapters come on top of it."""
    file = GGUFFile(tiny_path)
    executor = TorchCPUExecutor.load(file, Sizes(256, 2048), adapters=LIMITS)
    executor.load_adapter(0, read_adapter(one, read_config(file), LIMITS))
    whole = logits(executor, row(0, 1, TOKENS[:20]))
    single = torch.cat([logits(executor, row(0, 0, TOKENS[i : i + 1], i)) for i in range(20)])
    assert divergence(whole, single) < 0.02
