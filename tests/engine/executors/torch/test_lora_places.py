"""Which tokens of a step have which adapter, and both forms of the memory for them. The GPU's form runs on a CPU here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tests.engine.adapters.adapter_files import random_pairs, write_gguf_adapter
from tests.engine.models.parity import divergence

from portico_engine.adapters.adapter import AdapterLimits
from portico_engine.adapters.read_adapter import read_adapter
from portico_engine.executors.torch.cpu_attention import CPUPagedKV
from portico_engine.executors.torch.cuda_batch import RaggedBatch, addresses
from portico_engine.executors.torch.kv_codec import kv_codec
from portico_engine.executors.torch.lora_places import CPULoraPlaces, CUDALoraPlaces, segments
from portico_engine.linear.lora import Segment
from portico_engine.models.config import read_config
from portico_engine.models.cpu_weight_loader import CPUWeightLoader
from portico_engine.models.decoder import Decoder
from portico_engine.plan import Row
from portico_engine.weights.gguf_file import GGUFFile

TOKENS = tuple(int(t) for t in np.random.default_rng(4).integers(3, 260, 60))
LIMITS = AdapterLimits(3, 8)


def rows() -> list[Row]:
    """Of 12, 1, 20, 5 and 7 tokens, each over blocks of its own."""
    made = zip((12, 1, 20, 5, 7), (0, None, 2, 2, 0), strict=True)
    return [Row(i, TOKENS[i : i + n], 0, (2 * i, 2 * i + 1), adapter=adapter) for i, (n, adapter) in enumerate(made)]


def test_neighbours_with_one_adapter_are_one_segment() -> None:
    assert segments(rows()) == [Segment(0, slice(0, 12)), Segment(2, slice(13, 38)), Segment(0, slice(38, 45))]
    assert segments([Row(0, (1, 2), 0, (0,))]) == []


def test_both_forms_compute_the_same(tiny_path: Path, tmp_path: Path) -> None:
    file = GGUFFile(tiny_path)
    config = read_config(file)
    read = [
        read_adapter(write_gguf_adapter(tmp_path / f"{seed}.gguf", random_pairs(seed, rank=rank)), config, LIMITS)
        for seed, rank in ((1, 4), (2, 7))
    ]
    host = np.zeros((4, sum(len(row.tokens) for row in rows())), np.int32)
    addresses(rows(), host)
    batch = RaggedBatch(torch.from_numpy(host), torch.zeros(8, 2, dtype=torch.int32))
    found: list[torch.Tensor] = []
    with torch.inference_mode():
        weights = CPUWeightLoader(file, config, codes=False).weights()
        for places in (CPULoraPlaces(weights, config, LIMITS), CUDALoraPlaces(weights, config, LIMITS)):
            for place, adapter in zip((0, 2), read, strict=True):
                places.load(place, adapter)
            if isinstance(places, CPULoraPlaces):
                places.begin(rows())
            else:
                places.begin(batch.adapters)
            decoder = Decoder(config, places.weights, 64)
            attend = CPUPagedKV(config, 12, kv_codec("bf16", config)).batch(rows())
            hidden = decoder.hidden(batch.tokens.long(), batch.positions.long(), attend)
            found.append(decoder.logits(hidden).log_softmax(-1))
    assert divergence(found[0], found[1]) < 0.02
