from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
from tests.engine.tiny_model import write_tiny_llama

from portico_engine import ModelError, find_model
from portico_engine.weights.gguf_file import GGUFFile


def test_metadata_and_tensors_are_those_that_ggufs_own_reader_finds(tiny_path: Path) -> None:
    ours, theirs = GGUFFile(tiny_path), gguf.GGUFReader(tiny_path)
    for key, field in theirs.fields.items():
        if key.startswith("GGUF."):
            continue
        value = ours.metadata[key]
        assert (value.tolist() if isinstance(value, np.ndarray) else value) == field.contents()
    assert {t.name for t in theirs.tensors} == set(ours.tensors)
    for tensor in theirs.tensors:
        expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        np.testing.assert_array_equal(ours.dequantize(tensor.name), expected.reshape(ours.tensors[tensor.name].shape))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model file at .*absent\.gguf"):
        GGUFFile(tmp_path / "absent.gguf")


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "is empty"), (b"PK\x03\x04zipfile", "not a GGUF file"), (b"GGU", "not a GGUF file")]
)
def test_another_kind_of_file_is_not_read(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        GGUFFile(path)


@pytest.mark.parametrize("version", [1, 4, 3 << 24])
def test_another_version_is_refused_by_its_number(tmp_path: Path, version: int) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", version, 0, 0))
    with pytest.raises(ModelError, match=r"version|big-endian"):
        GGUFFile(path)


def test_a_file_cut_anywhere_is_refused_and_never_read_past_its_end(tiny_path: Path, tmp_path: Path) -> None:
    whole = tiny_path.read_bytes()
    header = GGUFFile(tiny_path).header_bytes
    path = tmp_path / "cut.gguf"
    for length in [*range(5, 200, 7), *range(200, header, header // 40), header, header + 1000, len(whole) - 40]:
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"cut short|damaged"):
            GGUFFile(path)


def test_a_damaged_header_is_a_model_error_whatever_its_bytes_say(tiny_path: Path, tmp_path: Path) -> None:
    whole = bytearray(tiny_path.read_bytes()[: GGUFFile(tiny_path).header_bytes])
    rng = np.random.default_rng(5)
    path = tmp_path / "damaged.gguf"
    for _ in range(60):
        data = bytearray(whole)
        for at in rng.integers(4, len(data), 20):
            data[at] = rng.integers(256)
        path.write_bytes(data)
        with pytest.raises(ModelError):
            GGUFFile(path)


def test_a_metadata_value_of_another_type_is_named(tiny_path: Path) -> None:
    file = GGUFFile(tiny_path)
    assert file.get("llama.block_count", int) == 2
    assert file.get("no.such.key", int, 7) == 7
    with pytest.raises(ModelError, match=r"no\.such\.key is missing"):
        file.get("no.such.key", int)
    with pytest.raises(ModelError, match=r"general\.name is str, not int"):
        file.get("general.name", int)


def test_a_tensor_of_a_format_that_cant_be_read_is_named(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf")
    file = GGUFFile(path)
    with pytest.raises(ModelError, match=r"no_such\.weight is missing"):
        file.dequantize("no_such.weight")


def test_a_model_in_several_files_is_read_as_one(tiny_path: Path, tmp_path: Path) -> None:
    first = write_tiny_llama(tmp_path / "split.gguf", tensors_a_file=7)
    ours, whole = GGUFFile(first), GGUFFile(tiny_path)
    assert len(list(tmp_path.iterdir())) == 3
    assert ours.size == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert set(ours.tensors) == set(whole.tensors)
    for name in whole.tensors:
        np.testing.assert_array_equal(ours.raw(name), whole.raw(name))
    assert find_model(str(tmp_path)) == first


def test_files_of_a_model_that_dont_belong_together_are_refused(tmp_path: Path) -> None:
    first = write_tiny_llama(tmp_path / "split.gguf", tensors_a_file=7)
    second = tmp_path / "split-00002-of-00003.gguf"
    with pytest.raises(ModelError, match=r"is part 2 of 3 of a model; give the first, split-00001-of-00003\.gguf"):
        GGUFFile(second)
    second.rename(tmp_path / "second.gguf")
    with pytest.raises(ModelError, match=r"the first of 3 files of a model, but split-00002-of-00003\.gguf is not beside it"):
        GGUFFile(first)
    with pytest.raises(ModelError, match=r"must be called NAME-00001-of-00003\.gguf"):
        GGUFFile(tmp_path / "second.gguf")
    second.write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"split-00002-of-00003\.gguf is cut short"):
        GGUFFile(first)
