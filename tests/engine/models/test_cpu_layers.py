"""Steps of few tokens with all layers in one call beside those operation by operation, and the reference in float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.engine.models.families import write
from tests.engine.tiny_model import WIDE, Q, Shape, write_tiny_llama

from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.kernels.cpu.build import KernelsUnavailable, build
from portico_engine.linear.dense_product import multiplies_bf16
from portico_engine.plan import Row, StepPlan
from portico_engine.weights.gguf_file import GGUFFile
from reference_decoder import ReferenceDecoder

PROMPT = tuple(int(t) for t in np.random.default_rng(1).integers(3, 260, 300))
DEEP = Shape(hidden=128, layers=5, heads=4, kv_heads=1)


def load(path: Path) -> TorchCPUExecutor:
    try:
        build()
    except KernelsUnavailable as missing:
        pytest.skip(str(missing))
    return TorchCPUExecutor.load(GGUFFile(path), Sizes(512, 2048, max_rows=8))


def scored(tokens: tuple[int, ...], start: int, table: tuple[int, ...], slot: int = 0) -> Row:
    return Row(slot, tokens, start, table, logits_indices=tuple(range(len(tokens))), targets=tokens)


def steps(executor: TorchCPUExecutor) -> torch.Tensor:
    """The logits of a prompt in pieces, of decodes, and of several sequences of which two have a prefix in common."""
    table = tuple(range(40, 20, -1))
    rows = [[scored(PROMPT[at : at + 20], at, table)] for at in range(0, 280, 20)]
    rows += [[scored(PROMPT[at : at + 1], at, table)] for at in range(280, 284)]
    alike = scored(PROMPT[100:103], 260, (*table[:16], 60, 61), 1)
    rows += [[scored(PROMPT[284:290], 284, table), scored(PROMPT[:7], 0, (2, 3), 2), alike]]
    return torch.cat([torch.as_tensor(executor.submit(StepPlan(tuple(step))).logits).clone() for step in rows])


def divergence(logits: torch.Tensor, reference: torch.Tensor) -> float:
    """Mean KL(reference || logits)."""
    p, q = reference.log_softmax(-1), logits.log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean())


@pytest.mark.parametrize("kind", [Q.Q4_1, Q.Q4_0, Q.Q8_0], ids=lambda kind: kind.name)
@pytest.mark.parametrize("shape", [WIDE, DEEP], ids=["wide", "deep"])
def test_they_say_what_the_decoder_says(tmp_path: Path, kind: Q, shape: Shape) -> None:
    executor = load(write_tiny_llama(tmp_path / "tiny.gguf", shape=shape, quantization=kind, context=512))
    assert executor._layers is not None
    together = steps(executor)
    executor._layers = None
    assert divergence(together, steps(executor)) < 0.012


def test_they_are_no_further_from_float32_than_operation_by_operation(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", shape=DEEP, context=512)
    executor, reference = load(path), ReferenceDecoder(GGUFFile(path)).logits(PROMPT[:40])
    row = scored(PROMPT[:40], 0, (4, 5, 6))
    layers = executor._layers
    assert layers is not None
    assert layers.max_rows >= 40
    together = divergence(torch.as_tensor(executor.submit(StepPlan((row,))).logits), reference)
    executor._layers = None
    apart = divergence(torch.as_tensor(executor.submit(StepPlan((row,))).logits), reference)
    assert together < (1.0 if multiplies_bf16() else 1.05) * apart  # in float32 single operations round as little


@pytest.mark.parametrize("name", ["smollm3", "ernie4_5", "qwen2, yarn", "phi3"])
def test_layers_without_rotation_and_with_biases_or_fused_matrices(tmp_path: Path, name: str) -> None:
    executor = load(write(tmp_path / "tiny.gguf", name, Q.Q8_0))
    assert executor._layers is not None
    rows = scored(PROMPT[:9], 0, (4, 5)), scored(PROMPT[9:10], 0, (7,), 1)
    together = torch.as_tensor(executor.submit(StepPlan(rows)).logits).clone()
    executor._layers = None
    assert divergence(together, torch.as_tensor(executor.submit(StepPlan(rows)).logits)) < 0.012


@pytest.mark.parametrize("name", ["mixtral", "granite", "qwen3, yarn"])
def test_what_the_kernel_does_not_know_is_computed_by_the_decoder(tmp_path: Path, name: str) -> None:
    executor = load(write(tmp_path / "tiny.gguf", name, Q.Q8_0))
    assert executor._layers is None
    assert np.isfinite(executor.submit(StepPlan((scored(PROMPT[:9], 0, (4, 5)),))).logits).all()


def test_a_token_has_the_bits_beside_others_of_its_row_that_it_has_by_itself(tmp_path: Path) -> None:
    executor = load(write_tiny_llama(tmp_path / "tiny.gguf", shape=WIDE, context=512))
    most = min(executor.caps.alike_tokens, len(PROMPT) - 200)
    assert most >= 12
    table = tuple(range(40, 20, -1))
    executor.submit(StepPlan((scored(PROMPT[:200], 0, table),)))
    with torch.inference_mode():
        together = executor._hidden([scored(PROMPT[200 : 200 + most], 200, table)])
        alone = [executor._hidden([scored(PROMPT[at : at + 1], at, table)]) for at in range(200, 200 + most)]
    assert torch.equal(together, torch.cat(alone))
