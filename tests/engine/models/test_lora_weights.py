"""The decoder with adapters in float32, where W x + s B A x is (W + s B A) x but for the last digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.engine.adapters.adapter_files import (
    F32,
    MODULES,
    Pairs,
    merged,
    random_pairs,
    write_gguf_adapter,
    write_peft_folder,
)
from tests.engine.models.parity import agreement
from tests.engine.models.wide import WideLoader, WideOps
from tests.engine.tiny_folder import write_folder
from tests.engine.tiny_model import SMALL, Tensors, random_tensors, write_tiny_llama
from torch import Tensor

from portico_engine.adapters.adapter import AdapterLimits
from portico_engine.adapters.read_adapter import read_adapter
from portico_engine.linear.lora import Segment, SegmentBatch, SegmentProduct
from portico_engine.models.config import read_config
from portico_engine.models.decoder import Decoder
from portico_engine.models.lora_weights import LoraWeights
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.hugging_face import HuggingFaceFolder
from portico_engine.weights.model_file import ModelFile
from reference_decoder import ReferenceDecoder

TOKENS = tuple(int(t) for t in np.random.default_rng(4).integers(3, 260, 200))
LIMITS = AdapterLimits(3, 8)


def attend(_layer: int, queries: Tensor, keys_values: Tensor, _sinks: Tensor | None = None) -> Tensor:
    """All tokens are one sequence."""
    keys, values = keys_values.transpose(0, 1).repeat_interleave(2, 0).chunk(2)
    out = F.scaled_dot_product_attention(queries.transpose(0, 1), keys, values, is_causal=True)
    return out.transpose(0, 1).reshape(queries.shape[0], -1)


def rounded(tensors: Tensors) -> Tensors:
    """To what bfloat16 holds."""
    return {name: torch.from_numpy(value).bfloat16().float().numpy() for name, value in tensors.items()}


def wide_logits(file: ModelFile, adapter: Path) -> Tensor:
    config = read_config(file)
    batch = SegmentBatch()
    batch.segments = [Segment(1, slice(0, len(TOKENS)))]
    with torch.inference_mode():
        weights = WideLoader(file, config, codes=False).weights()
        lora = LoraWeights(weights, config, lambda _n_in, parts: SegmentProduct(batch, parts))
        lora.load(1, read_adapter(adapter, config, LIMITS).matrices)
        decoder = Decoder(config, lora.weights, 256, WideOps())
        hidden = decoder.hidden(torch.tensor(TOKENS), torch.arange(len(TOKENS)), attend)
        return decoder.logits(hidden)


@pytest.mark.parametrize("targets", [tuple(MODULES), *((name,) for name in MODULES)], ids=lambda names: "-".join(names))
@pytest.mark.parametrize("adapter_form", ["gguf", "peft"])
@pytest.mark.parametrize("model_form", ["gguf", "folder"])
def test_an_adapter_is_as_if_merged_into_the_weights(
    tmp_path: Path, model_form: str, adapter_form: str, targets: tuple[str, ...]
) -> None:
    pairs: Pairs = random_pairs(3, targets=targets)
    path = write_tiny_llama(
        tmp_path / "merged.gguf", quantization=F32, rearrange=lambda tensors: merged(pairs)(rounded(tensors))
    )
    reference = ReferenceDecoder(GGUFFile(path)).logits(TOKENS)
    base: ModelFile
    if model_form == "gguf":
        base = GGUFFile(write_tiny_llama(tmp_path / "base.gguf", quantization=F32, rearrange=rounded))
    else:
        base = HuggingFaceFolder(write_folder(tmp_path / "base", rounded(random_tensors()), {}, permuted=True))
    if adapter_form == "gguf":
        adapter = write_gguf_adapter(tmp_path / "a.gguf", pairs)
    else:
        adapter = write_peft_folder(tmp_path / "a", pairs, shape=SMALL)
    got = wide_logits(base, adapter)
    assert agreement(reference, got) >= 0.99
    assert (got - reference).abs().max() < 0.02
