"""Files in every block format that llama.cpp writes: our logits beside a float32 decoder's over gguf's own reading, and beside
llama.cpp's, which rounds activations to 8 bits."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.models.parity import TOKENS, divergence, llama_cpp_logits, our_logits
from tests.engine.tiny_model import WIDE, Q, write_tiny_llama

from portico_engine.executors.llama_cpp.library import library
from portico_engine.linear.cpu_codes import codes_supported
from portico_engine.weights.gguf_file import GGUFFile
from reference_decoder import ReferenceDecoder

FILE_TYPES = {
    "Q4_0": Q.Q4_0, "Q4_1": Q.Q4_1, "Q5_0": Q.Q5_0, "Q5_1": Q.Q5_1, "Q8_0": Q.Q8_0, "Q2_K": Q.Q2_K, "Q3_K_M": Q.Q3_K,
    "Q4_K_M": Q.Q4_K, "Q5_K_M": Q.Q5_K, "Q6_K": Q.Q6_K, "IQ4_NL": Q.IQ4_NL, "IQ4_XS": Q.IQ4_XS, "F16": Q.F16, "BF16": Q.BF16,
}  # fmt: skip


@pytest.fixture(scope="module")
def float32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("formats") / "f32.gguf", quantization=Q.F32, shape=WIDE)


@pytest.mark.parametrize("file_type", FILE_TYPES)
def test_every_format_is_computed_as_it_is_written(float32: Path, tmp_path: Path, file_type: str) -> None:
    path = tmp_path / "model.gguf"
    llama_cpp = library()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{file_type}")
    params.nthread = 1
    assert llama_cpp.llama_model_quantize(str(float32).encode(), str(path).encode(), params) == 0
    file = GGUFFile(path)
    assert FILE_TYPES[file_type] in {tensor.type for tensor in file.tensors.values()}
    reference = ReferenceDecoder(file).logits(TOKENS).log_softmax(-1)
    llama = llama_cpp_logits(path)
    for codes, chunks in ((False, [70]), (codes_supported(), [2] * 35)):
        ours = our_logits(path, chunks, codes=codes)
        assert divergence(reference, ours) < max(5e-3, divergence(reference, llama))
        assert divergence(llama, ours) < 0.03
