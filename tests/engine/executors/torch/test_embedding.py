"""Attention within one text, as embeddings of decoders take it, beside plain scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.engine.models.wide import WideAttention
from tests.engine.tiny_model import write_tiny_llama

from portico_engine.executors.torch.embedding import CausalAttention
from portico_engine.models.config import read_config
from portico_engine.weights.gguf_file import GGUFFile


@pytest.mark.parametrize("window", [0, 4])
@pytest.mark.parametrize("sinks", [False, True])
def test_one_text_sees_what_its_layers_see(tmp_path: Path, window: int, sinks: bool) -> None:
    config = replace(read_config(GGUFFile(write_tiny_llama(tmp_path / "tiny.gguf"))), windows=(window, window))
    queries, keys_values = (
        torch.randn(9, config.n_heads, config.head_dim),
        torch.randn(9, 2 * config.n_kv_heads, config.head_dim),
    )
    scores = torch.randn(config.n_heads) if sinks else None
    expected = WideAttention(config)(0, queries, keys_values, scores)
    torch.testing.assert_close(CausalAttention(config)(0, queries, keys_values, scores), expected, rtol=1e-4, atol=1e-5)
