"""Steps of few tokens by five kernels a layer, beside the same executor without them and the reference in float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.engine.tiny_model import SMALL, WIDE, Q, Shape, write_tiny_llama

from portico_engine.executors.protocol import Sizes
from portico_engine.fallbacks import Fallbacks
from portico_engine.plan import Row, StepPlan
from portico_engine.sampling import SamplingParams, SamplingState
from portico_engine.weights.gguf_file import GGUFFile
from reference_decoder import ReferenceDecoder

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]
PROMPT = tuple(int(t) for t in np.random.default_rng(1).integers(3, 260, 70))
TABLE = (9, 2, 31, 4, 0)
GREEDY = SamplingState(SamplingParams(temperature=0), 0, 0)


def load(path: Path, fallbacks: Fallbacks | None = None):  # type: ignore[no-untyped-def]
    from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor

    return TorchCUDAExecutor.load(GGUFFile(path), Sizes(128, 512, max_rows=8), fallbacks=fallbacks)


def scored(tokens: tuple[int, ...], start: int, table: tuple[int, ...] = TABLE, slot: int = 0) -> Row:
    return Row(slot, tokens, start, table, logits_indices=tuple(range(len(tokens))), targets=tokens)


def divergence(logits: torch.Tensor, reference: torch.Tensor) -> float:
    """Mean KL(reference || logits)."""
    p, q = reference.log_softmax(-1), logits.log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean())


@pytest.mark.parametrize("kind", [Q.Q4_1, Q.Q5_0, Q.Q8_0], ids=lambda kind: kind.name)
@pytest.mark.parametrize("chunks", [[1] * 70, [8] * 8 + [6], [16] * 4 + [6], [5, 1, 16, 2, 30, 9, 7]], ids=len)
def test_logits_are_the_references(tmp_path: Path, kind: Q, chunks: list[int]) -> None:
    path = write_tiny_llama(tmp_path / "wide.gguf", shape=WIDE, quantization=kind)
    fallbacks = Fallbacks(quiet=True)
    executor = load(path, fallbacks)
    assert "layers" not in fallbacks.described()
    out, at = [], 0
    for count in chunks:
        out.append(torch.as_tensor(executor.submit(StepPlan((scored(PROMPT[at : at + count], at),))).logits).cpu().clone())
        at += count
    assert divergence(torch.cat(out), ReferenceDecoder(GGUFFile(path)).logits(PROMPT)) < 4e-3


def test_runs_and_decodes_of_several_sequences_share_a_step(tmp_path: Path) -> None:
    executor = load(write_tiny_llama(tmp_path / "wide.gguf", shape=WIDE))
    alone = executor.submit(StepPlan((scored(PROMPT[:16], 0),))).logits.cpu().clone()
    executor.submit(StepPlan((scored(PROMPT[:9], 0, (11, 12), 1), scored(PROMPT[:3], 0, (13,), 2)))).finish()
    rows = scored(PROMPT[9:13], 9, (11, 12), 1), scored(PROMPT[3:4], 3, (13,), 2), scored(PROMPT[:5], 0, (14,), 3)
    together = executor.submit(StepPlan(rows)).logits.cpu()
    expected = torch.cat([alone[9:13], alone[3:4], alone[:5]])
    assert (together - expected).abs().mean() < 0.05
    assert (together.argmax(1) == expected.argmax(1)).float().mean() >= 0.9


def test_masks_hold_and_the_choice_is_the_logits(tmp_path: Path) -> None:
    executor = load(write_tiny_llama(tmp_path / "wide.gguf", shape=WIDE))
    rows = tuple(Row(i, PROMPT[i : i + 2], 0, (i,), (1,), GREEDY) for i in range(3))
    logits = executor.submit(StepPlan(rows)).logits.cpu().clone()
    bitmask = np.full((3, -(-logits.shape[1] // 32)), -1, np.int32)
    bitmask[1] = 0
    bitmask[1, 2] = 1 << 7
    sampled = executor.submit(StepPlan(rows)).finish(bitmask)
    assert [tokens[0] for tokens in sampled.tokens] == [int(logits[0].argmax()), 2 * 32 + 7, int(logits[2].argmax())]


@pytest.mark.parametrize(
    ("shape", "kind", "reason"),
    [(SMALL, Q.Q4_1, "heads have 16 dimensions"), (Shape(hidden=1280, heads=20, kv_heads=2), Q.Q4_1, "10 query heads")],
    ids=["narrow heads", "many heads"],
)
def test_what_does_not_fit_is_said(tmp_path: Path, shape: Shape, kind: Q, reason: str) -> None:
    fallbacks = Fallbacks(quiet=True)
    load(write_tiny_llama(tmp_path / "tiny.gguf", shape=shape, quantization=kind), fallbacks)
    assert reason in fallbacks.described()["layers"]
