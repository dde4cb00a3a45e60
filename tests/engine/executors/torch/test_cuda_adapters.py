"""Adapters on the GPU's executor beside the CPU's, its oracle: through graphs, without them, and in prefills."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.engine.adapters.adapter_files import F32, random_pairs, write_gguf_adapter, write_peft_folder
from tests.engine.models.parity import agreement, divergence
from tests.engine.tiny_model import write_tiny_llama

from portico_engine import Request, SamplingParams, load_engine
from portico_engine.adapters.adapter import AdapterLimits
from portico_engine.adapters.read_adapter import read_adapter
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.models.config import read_config
from portico_engine.plan import Row, StepPlan
from portico_engine.weights.gguf_file import GGUFFile

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]
LIMITS = AdapterLimits(3, 8)
TOKENS = tuple(int(t) for t in np.random.default_rng(4).integers(3, 260, 200))
CHUNKS = pytest.mark.parametrize("chunks", [[70], [1] * 70, [33, 5, 1, 1, 30]], ids=["whole", "single", "ragged"])
FORMS = pytest.mark.parametrize("options", [{"graphs": True}, {"graphs": False}, {"copies": True}, {"codes": False}])


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Places 0 and 1, of different ranks and targets."""
    folder = tmp_path_factory.mktemp("adapters")
    narrow = random_pairs(2, rank=2, targets=("attn_q", "attn_v", "ffn_down"))
    return [write_gguf_adapter(folder / "one.gguf", random_pairs(1)), write_peft_folder(folder / "two", narrow)]


def cuda(path: Path, adapters: list[Path], **options: bool) -> Any:
    from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor

    return filled(
        TorchCUDAExecutor.load(GGUFFile(path), Sizes(256, 2048, max_rows=8), adapters=LIMITS, **options), path, adapters
    )


def oracle(path: Path, adapters: list[Path]) -> Any:
    made = TorchCPUExecutor.load(GGUFFile(path), Sizes(256, 2048, max_rows=8), codes=False, adapters=LIMITS)
    return filled(made, path, adapters)


def filled(executor: Any, path: Path, adapters: list[Path]) -> Any:
    for place, adapter in enumerate(adapters):
        executor.load_adapter(place, read_adapter(adapter, read_config(GGUFFile(path)), LIMITS))
    return executor


def logits(executor: Any, *rows: Row) -> torch.Tensor:
    return torch.as_tensor(executor.submit(StepPlan(rows)).logits).cpu().clone().log_softmax(-1)


def scored(adapter: int | None, tokens: tuple[int, ...], start: int = 0, slot: int = 0) -> Row:
    table = tuple(range(16 * slot, 16 * slot + 16))
    return Row(slot, tokens, start, table, tuple(range(len(tokens))), targets=tokens, adapter=adapter)


@FORMS
@CHUNKS
def test_logits_under_an_adapter_are_the_cpus(
    tiny_path: Path, adapters: list[Path], chunks: list[int], options: dict[str, bool]
) -> None:
    ours, theirs = cuda(tiny_path, adapters, **options), oracle(tiny_path, adapters)
    at, parts = 0, []
    for count in chunks:
        parts.append(logits(ours, scored(0, TOKENS[at : at + count], at)))
        at += count
    expected = logits(theirs, scored(0, TOKENS[:at]))
    assert divergence(expected, torch.cat(parts)) < 0.02
    assert agreement(expected, torch.cat(parts)) > 0.9


@FORMS
def test_rows_of_one_step_have_each_their_own(tiny_path: Path, adapters: list[Path], options: dict[str, bool]) -> None:
    """Long prefills, short runs and single tokens together, so that graphs and launches share the step."""
    order = ((0, 40), (None, 1), (1, 3), (1, 60), (None, 30), (0, 1))
    rows = [scored(adapter, TOKENS[slot : slot + n], slot=slot) for slot, (adapter, n) in enumerate(order)]
    ours, theirs = cuda(tiny_path, adapters, **options), oracle(tiny_path, adapters)
    together, at = logits(ours, *rows), 0
    for row in rows:
        expected, got = logits(theirs, row), together[at : at + len(row.tokens)]
        at += len(row.tokens)
        assert divergence(expected, got) < 0.02, row.adapter


def test_who_has_none_says_what_an_executor_without_room_says(tiny_path: Path, adapters: list[Path]) -> None:
    from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor

    plain = TorchCUDAExecutor.load(GGUFFile(tiny_path), Sizes(256, 2048, max_rows=8))
    for n in (1, 16, 100):
        row = scored(None, TOKENS[:n])
        assert torch.equal(logits(cuda(tiny_path, adapters), row), logits(plain, row))


def test_captured_graphs_see_what_is_loaded_and_unloaded_later(tiny_path: Path, adapters: list[Path]) -> None:
    executor = cuda(tiny_path, [])
    row, none = scored(0, TOKENS[:12]), scored(None, TOKENS[:12])
    assert torch.equal(logits(executor, row), logits(executor, none)), "an empty place adds nothing"
    filled(executor, tiny_path, adapters)
    expected = logits(oracle(tiny_path, adapters), row)
    assert divergence(expected, logits(executor, row)) < 0.02
    executor.unload_adapter(0)
    assert torch.equal(logits(executor, row), logits(executor, none))
    executor.load_adapter(0, read_adapter(adapters[1], read_config(GGUFFile(tiny_path)), LIMITS))
    swapped = logits(oracle(tiny_path, [adapters[1]]), row)
    assert divergence(swapped, logits(executor, row)) < 0.02


def test_an_engine_on_the_gpu_mixes_adapters(tmp_path: Path, adapters: list[Path]) -> None:
    path = write_tiny_llama(tmp_path / "base.gguf", quantization=F32)
    engine = load_engine(path, executor="torch-cuda", adapters=2, adapter_rank=8, max_rows=8)
    for name, adapter in zip("ab", adapters, strict=True):
        engine.load_adapter(name, adapter)
    greedy = SamplingParams(temperature=0)
    requests = [Request(str(i), TOKENS[: 20 + i], greedy, 8, adapter=(None, "a", "b")[i % 3]) for i in range(6)]
    said: dict[str, list[int]] = {request.id: [] for request in requests}
    for request in requests:
        engine.submit(request)
    while engine.has_work:
        for delta in engine.step():
            assert delta.error is None
            said[delta.request_id] += delta.tokens
    assert all(len(tokens) for tokens in said.values())
    engine.close()
