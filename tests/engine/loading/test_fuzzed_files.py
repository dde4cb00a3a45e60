"""Files that are cut, flipped or hold odd types: an error that says what is wrong, or a model; never another exception, and no
memory beyond the file's own size."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from tests.engine.tiny_folder import write_folder
from tests.engine.tiny_model import Q, random_tensors, write_tiny_llama

from portico_engine import EngineError, ModelError, load_engine
from portico_engine.loading import fitting
from portico_engine.loading.description import describe_model
from portico_engine.loading.load_engine import load_tokenizer, open_model
from portico_engine.models.config import read_config
from portico_engine.weights.gguf_file import GGUFFile

_ROOM = 64 << 20  # bytes that reading may take beside a file of 100 kB: the tokenizer's tables among them


def read_all(path: Path) -> None:
    """All that is read of a model before its weights are computed with."""
    file = open_model(path)
    read_config(file)
    load_tokenizer(path)
    with np.errstate(all="ignore"):  # flipped scales are no numbers
        for name in file.tensors:
            file.dequantize(name)
    describe_model(path)


def survives(path: Path) -> None:
    tracemalloc.start()
    try:
        with suppress(EngineError):
            read_all(path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < _ROOM


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_tiny_llama(tmp_path_factory.mktemp("gguf") / "tiny.gguf").read_bytes()


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bits_of_a_gguf_file_s_header(whole: bytes, tmp_path: Path, seed: int) -> None:
    chosen = random.Random(seed)
    path = tmp_path / "flipped.gguf"
    path.write_bytes(whole)
    header = GGUFFile(path).header_bytes
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(chosen.choice((1, 1, 2, 8))):
            data[chosen.randrange(4, header)] ^= 1 << chosen.randrange(8)
        path.write_bytes(data)
        survives(path)


def test_a_gguf_file_that_is_cut_anywhere(whole: bytes, tmp_path: Path) -> None:
    chosen = random.Random(3)
    path = tmp_path / "cut.gguf"
    for end in [0, 1, 3, 4, 7, 8, 15, 16, 23, 24, *(chosen.randrange(len(whole)) for _ in range(40)), len(whole) - 1]:
        path.write_bytes(whole[:end])
        with pytest.raises(ModelError):
            read_all(path)


@pytest.mark.parametrize("seed", range(3))
def test_flipped_and_cut_safetensors(tmp_path: Path, seed: int) -> None:
    folder = write_folder(tmp_path / "model", random_tensors(), {}, permuted=True)
    file = folder / "model.safetensors"
    data, chosen = file.read_bytes(), random.Random(seed)
    header = 8 + int.from_bytes(data[:8], "little")
    for _ in range(20):
        fresh = bytearray(data)
        fresh[chosen.randrange(header)] ^= 1 << chosen.randrange(8)
        file.write_bytes(fresh)
        survives(folder)
        file.write_bytes(data[: chosen.randrange(len(data))])
        with pytest.raises(ModelError):
            read_all(folder)


ODD: dict[str, Callable[[gguf.GGUFWriter, str], None]] = {
    "a text": lambda writer, key: writer.add_string(key, "many"),
    "a float": lambda writer, key: writer.add_float32(key, 2.5),
    "not a number": lambda writer, key: writer.add_float32(key, float("nan")),
    "true": lambda writer, key: writer.add_bool(key, True),
    "a negative number": lambda writer, key: writer.add_int32(key, -7),
    "a large number": lambda writer, key: writer.add_uint64(key, 1 << 62),
    "a list of numbers": lambda writer, key: writer.add_array(key, [1, 2, 3]),
    "a list of texts": lambda writer, key: writer.add_array(key, ["a", "b"]),
}
KEYS = (
    *("llama.block_count", "llama.embedding_length", "llama.attention.head_count", "llama.attention.head_count_kv"),
    *("llama.context_length", "llama.feed_forward_length", "llama.attention.layer_norm_rms_epsilon", "llama.rope.freq_base"),
    *("llama.rope.dimension_count", "general.file_type", "general.name", "general.architecture", "tokenizer.chat_template"),
    *(
        "tokenizer.ggml.model",
        "tokenizer.ggml.pre",
        "tokenizer.ggml.tokens",
        "tokenizer.ggml.token_type",
        "tokenizer.ggml.merges",
    ),
    *("tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.add_bos_token", "llama.expert_count"),
    *("split.count", "general.alignment", "llama.pooling_type", "tokenizer.ggml.eot_token_id"),
)


@pytest.mark.parametrize("odd", ODD)
def test_metadata_of_an_odd_type_is_an_error_that_names_it_or_does_no_harm(tmp_path: Path, odd: str) -> None:
    for key in KEYS:
        path = tmp_path / f"{key}.gguf"
        write_tiny_llama(path, customize=lambda writer, key=key: put(writer, key, ODD[odd]))  # type: ignore[misc]
        survives(path)
        path.unlink()


def put(writer: gguf.GGUFWriter, key: str, add: Callable[[gguf.GGUFWriter, str], None]) -> None:
    for values in writer.kv_data:
        values.pop(key, None)
    add(writer, key)


def test_an_unknown_architecture_is_named_with_those_that_are_supported(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "odd.gguf", architecture="rwkv6")
    with pytest.raises(ModelError, match=r"architecture 'rwkv6' is not supported; supported are llama, qwen2"):
        load_engine(path, executor="torch-cpu")


def test_a_pickle_is_refused_without_being_opened(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", random_tensors(), {})
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model.bin can't be read: only safetensors and GGUF"):
        open_model(folder)
    pickle = tmp_path / "model.pt"
    pickle.write_bytes(b"\x80\x04cos\nsystem\n.")
    with pytest.raises(ModelError, match="is not a GGUF file"):
        open_model(pickle)


def test_a_tokenizer_without_an_end_token_is_refused(tmp_path: Path) -> None:
    def without(writer: gguf.GGUFWriter) -> None:
        put(writer, "tokenizer.ggml.tokens", lambda w, key: w.add_array(key, _renamed(writer_tokens)))
        writer.kv_data[0].pop("tokenizer.ggml.eos_token_id")

    from tests.engine.tiny_model import vocabulary

    writer_tokens = vocabulary()
    path = write_tiny_llama(tmp_path / "endless.gguf", customize=without)
    with pytest.raises(ModelError, match=r"no end-of-sequence token: tokenizer.ggml.eos_token_id is missing"):
        load_tokenizer(path)
    usual = write_tiny_llama(
        tmp_path / "usual.gguf", customize=lambda writer: writer.kv_data[0].pop("tokenizer.ggml.eos_token_id") and None
    )
    assert load_tokenizer(usual).eos_token_id == 0  # <|endoftext|>, by its name


def _renamed(tokens: list[str]) -> list[str]:
    return [f"<|special{i}|>" if i < 3 else token for i, token in enumerate(tokens)]


def test_a_model_that_is_larger_than_memory_says_what_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", quantization=Q.F32)
    monkeypatch.setattr(fitting, "LEAST_CONTEXT", 16)  # it has 78,976 weights
    with pytest.raises(ModelError, match=r"a GGUF file of it in Q8_0 \(about 0.0 GiB\) fits, through llama.cpp"):
        _load(path, memory=150_000, monkeypatch=monkeypatch)
    with pytest.raises(ModelError, match=r"in Q4_K_M"):
        _load(path, memory=60_000, monkeypatch=monkeypatch)
    with pytest.raises(ModelError, match=r"no quantization of it fits: take a model of at most 0.0 billion weights"):
        _load(path, memory=20_000, monkeypatch=monkeypatch)


def _load(path: Path, memory: int, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    from portico_engine.loading import load_engine as module
    from portico_engine.loading.device import Device

    monkeypatch.setattr(module, "choose_device", lambda _name, _count: Device("this machine", memory, False))
    load_engine(path, executor="torch-cpu", **options)


def test_a_context_that_is_larger_than_memory_says_which_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", context=1 << 20)
    with pytest.raises(
        EngineError, match=r"context is 1000000: 1000000 tokens of keys and values take .* a context of \d+ fits"
    ):
        _load(path, memory=20_000_000, monkeypatch=monkeypatch, context=1_000_000)
