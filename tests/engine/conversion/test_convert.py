"""Folders become GGUF files that say the same, to llama.cpp too, and GGUF files other quantizations."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.engine.models import families
from tests.engine.models.parity import agreement, divergence, llama_cpp_logits, our_logits
from tests.engine.tiny_folder import write_folder
from tests.engine.tiny_model import WIDE, Q, random_tensors, write_tiny_llama
from tests.engine.weights.test_hugging_face import FOLDERS, PERMUTED, tensors_of

from portico_engine.conversion.requantize import quantization_types, requantize
from portico_engine.conversion.to_gguf import convert_folder
from portico_engine.conversion.tokenizer_metadata import PROBES
from portico_engine.errors import ModelError
from portico_engine.text.tokenizer import Tokenizer
from portico_engine.text.tokenizer_json import read_tokenizer
from portico_engine.weights.gguf_file import GGUFFile


def folder_of(tmp_path: Path, name: str) -> Path:
    tensors, shape = tensors_of(name)
    stored = {key: value for key, value in tensors.items() if not key.startswith("rope_factors")}
    return write_folder(tmp_path / "model", stored, FOLDERS[name], shape=shape, permuted=name in PERMUTED)


@pytest.mark.parametrize("name", FOLDERS)
def test_the_file_says_what_the_folder_says_and_llama_cpp_reads_it(tmp_path: Path, name: str) -> None:
    folder = folder_of(tmp_path, name)
    path = convert_folder(folder, tmp_path / "made.gguf", out_type="f32")
    torch.testing.assert_close(our_logits(path, [70], codes=False), our_logits(folder, [70], codes=False))
    llama = llama_cpp_logits(path)
    assert divergence(llama, our_logits(path, [70], codes=False)) < families.CLOSE


@pytest.mark.parametrize("kind", ["f16", "bf16", "q8_0"])
def test_matrices_are_written_as_asked_and_vectors_stay_exact(tmp_path: Path, kind: str) -> None:
    folder = write_folder(tmp_path / "model", random_tensors(), {}, permuted=True)
    stages: list[float] = []
    path = convert_folder(folder, tmp_path / "made.gguf", out_type=kind, progress=lambda _name, done: stages.append(done))  # type: ignore[arg-type]
    file = GGUFFile(path)
    assert file.tensors["blk.0.ffn_up.weight"].type is Q[kind.upper()]
    assert file.tensors["output_norm.weight"].type is Q.F32
    assert stages == sorted(stages)
    assert agreement(llama_cpp_logits(path), our_logits(folder, [70], codes=False)) > 0.9


def test_the_tokenizer_comes_along_with_its_pre_tokenizer_s_name(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", random_tensors(), {}, permuted=True)
    file = GGUFFile(convert_folder(folder, tmp_path / "made.gguf"))
    assert file.metadata["tokenizer.ggml.pre"] == "smollm"  # digits by themselves, then GPT-2's words
    before, after = read_tokenizer(folder), Tokenizer.from_gguf(file.metadata)
    assert [after.encode(text) for text in PROBES] == [before.encode(text) for text in PROBES]
    assert (after.eos_token_id, after.end_token_ids) == (before.eos_token_id, before.end_token_ids)
    assert "<|im_start|>" in file.metadata["tokenizer.chat_template"]


def test_an_existing_file_is_not_written_over_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", random_tensors(), {})
    (tmp_path / "there.gguf").write_bytes(b"mine")
    with pytest.raises(ModelError, match="is there already"):
        convert_folder(folder, tmp_path / "there.gguf")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer.json is missing"):
        convert_folder(folder, tmp_path / "made.gguf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "there.gguf"]


def test_a_file_is_quantized_by_llama_cpp(tmp_path: Path) -> None:
    source = write_tiny_llama(tmp_path / "tiny.gguf", quantization=Q.F32, shape=WIDE)
    made = requantize(source, tmp_path / "small.gguf", "q4_k_m", threads=1)
    types = {info.type for info in GGUFFile(made).tensors.values()}
    assert Q.Q4_K in types
    again = requantize(made, tmp_path / "smaller.gguf", "Q8_0", threads=1)
    assert Q.Q8_0 in {info.type for info in GGUFFile(again).tensors.values()}


def test_what_llama_cpp_refuses_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(40))
    with pytest.raises(ModelError, match=r"llama.cpp can't quantize it as Q8_0"):
        requantize(broken, tmp_path / "made.gguf", "Q8_0")
    with pytest.raises(ModelError, match=r"no quantization is called 'Q9'; there are .*Q4_K_M"):
        requantize(broken, tmp_path / "made.gguf", "Q9")
    assert [path.name for path in tmp_path.iterdir()] == ["broken.gguf"]
    assert {"Q4_K_M", "Q8_0", "IQ4_XS", "BF16"} <= quantization_types().keys()
