"""Packed folders on a GPU beside the CPU, through graphs and in prefills."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from checks.family_logits import FAMILIES
from tests.engine.models import families
from tests.engine.models.test_transformers import folder as family_folder
from tests.engine.tiny_folder import write_folder
from tests.engine.tiny_model import Q, Shape, random_tensors

from packers import FORMATS
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.fallbacks import Fallbacks
from portico_engine.plan import Row, StepPlan
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.hugging_face import HuggingFaceFolder
from portico_engine.weights.model_file import ModelFile

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]
PROMPT = tuple(int(t) for t in np.random.default_rng(1).integers(3, 96, 70))
EVEN = Shape(hidden=128, kv_heads=4, feed_forward=256)
CHUNKS = pytest.mark.parametrize("chunks", [[70], [1] * 70], ids=["whole", "single"])


def divergence(file: ModelFile, chunks: list[int]) -> float:
    """Of the GPU's from the CPU's, in bfloat16."""
    from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor

    logits = []
    for cuda in (False, True):
        fallbacks = Fallbacks()
        if cuda:
            executor: TorchCPUExecutor | TorchCUDAExecutor = TorchCUDAExecutor.load(
                file, Sizes(128, 512, max_rows=8), fallbacks=fallbacks
            )
            assert "weights" not in fallbacks.described()
        else:
            executor = TorchCPUExecutor.load(file, Sizes(128, 512, max_rows=8), codes=False)
        parts, at = [], 0
        for count in chunks:
            piece = PROMPT[at : at + count]
            row = Row(0, piece, at, (9, 2, 31, 4, 0), logits_indices=tuple(range(count)), targets=piece)
            parts.append(torch.as_tensor(executor.submit(StepPlan((row,))).logits).cpu().float().clone())
            at += count
        logits.append(torch.cat(parts).log_softmax(-1))
    return families.apart(*logits, file)


@CHUNKS
@pytest.mark.parametrize("name", FORMATS)
def test_a_packed_folder_says_on_a_gpu_what_it_says_on_a_cpu(tmp_path: Path, name: str, chunks: list[int]) -> None:
    packer, config = FORMATS[name]
    folder = write_folder(tmp_path / "m", random_tensors(EVEN), {"quantization_config": config}, shape=EVEN, pack=packer)
    most = 0.2 if name.startswith("float8") else 2 * families.CLOSE  # activations are rounded to float8 too
    assert divergence(HuggingFaceFolder(folder), chunks) < most


@CHUNKS
@pytest.mark.parametrize("kind", [Q.Q8_0, Q.Q4_0, Q.F16], ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", ["mixtral", "qwen2moe", "granitemoe"])
def test_a_mixture_says_on_a_gpu_what_it_says_on_a_cpu(tmp_path: Path, name: str, kind: Q, chunks: list[int]) -> None:
    file = GGUFFile(families.write(tmp_path / "tiny.gguf", name, kind))
    assert divergence(file, chunks) < 2 * families.CLOSE


@CHUNKS
@pytest.mark.parametrize("name", [name for name in FAMILIES if not name.startswith("deepseek")])
def test_windows_sinks_and_norms_say_on_a_gpu_what_they_say_on_a_cpu(tmp_path: Path, name: str, chunks: list[int]) -> None:
    assert divergence(family_folder(tmp_path / "m", name), chunks) < 2 * families.CLOSE
