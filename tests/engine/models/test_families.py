"""Every architecture and every scaling of rotary positions beside llama.cpp, on random files in float32."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.models.families import CASES, CLOSE, write
from tests.engine.models.parity import agreement, divergence, llama_cpp_logits, our_logits
from tests.engine.tiny_model import Q

from portico_engine.linear.cpu_codes import codes_supported


@pytest.mark.parametrize("name", CASES)
def test_a_family_says_what_llama_cpp_says(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "tiny.gguf", name, Q.F32)
    llama = llama_cpp_logits(path)
    for chunks in ([70], [33, 5, 1, 1, 8, 22]):
        ours = our_logits(path, chunks, codes=False)
        assert divergence(llama, ours) < CLOSE
        assert agreement(llama, ours) > 0.9


@pytest.mark.parametrize("name", ["mixtral", "qwen2moe", "phi3, part of each head"])
def test_parts_of_quantized_matrices_are_found(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "tiny.gguf", name, Q.Q8_0)
    llama = llama_cpp_logits(path)
    for codes, chunks in ((False, [70]), (codes_supported(), [2] * 35)):
        assert divergence(llama, our_logits(path, chunks, codes=codes)) < 0.03
