"""Adapters and model files are data: what a file claims costs nothing before it is known to fit, and is refused by name."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from tests.engine.adapters.adapter_files import random_pairs, write_gguf_adapter, write_peft_folder
from tests.engine.tiny_model import write_tiny_llama

from portico_engine.adapters.adapter import AdapterLimits
from portico_engine.adapters.read_adapter import read_adapter
from portico_engine.errors import AdapterError, ModelError
from portico_engine.models.config import DecoderConfig, read_config
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.safetensors_file import SafetensorsFile

pytestmark = pytest.mark.attack("21 adapters and model files are data")
LIMITS = AdapterLimits(4, 16)
PAIRS = random_pairs(1)
A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
B = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> DecoderConfig:
    return read_config(GGUFFile(write_tiny_llama(tmp_path_factory.mktemp("model") / "tiny.gguf")))


def safetensors(path: Path, header: object, size: int = 0) -> None:
    """A file with this header, whose numbers are `size` bytes of nothing on no disk."""
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(data)) + data)
    os.truncate(path, 8 + len(data) + size)


def entry(shape: list[int], first: int = 0) -> dict[str, object]:
    size = 4
    for n in shape:
        size *= n
    return {"dtype": "F32", "shape": shape, "data_offsets": [first, first + size]}


@pytest.mark.parametrize(
    "pattern",
    ["(\\w|\\w|.)*!", "((.+)+)+!", ".*.*.*.*.*.*.*.*.*!", "a{99999999999999999999}", "(" * 5000, "(?P<x>", "x" * 10_000],
)
def test_a_pattern_of_an_adapter_costs_nothing(tmp_path: Path, config: DecoderConfig, pattern: str) -> None:
    """In a process of its own: what hangs in `re` can't be stopped."""
    write_peft_folder(tmp_path / "a", PAIRS, alpha_pattern={pattern: 1.0})
    write_tiny_llama(tmp_path / "tiny.gguf")
    code = (
        "import sys; from pathlib import Path\n"
        "from portico_engine.adapters.adapter import AdapterLimits\n"
        "from portico_engine.adapters.read_adapter import read_adapter\n"
        "from portico_engine.errors import AdapterError\n"
        "from portico_engine.models.config import read_config\n"
        "from portico_engine.weights.gguf_file import GGUFFile\n"
        "config = read_config(GGUFFile(Path(sys.argv[1])))\n"
        "try: read_adapter(Path(sys.argv[2]), config, AdapterLimits(4, 16))\n"
        "except AdapterError as error: print('refused', str(error)[:500])\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "tiny.gguf"), str(tmp_path / "a")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "alpha_pattern" in done.stdout


@pytest.mark.parametrize("shape", [[1 << 40, 1], [1, 1 << 40], [1 << 20, 1 << 20]])
def test_terabytes_of_an_adapter_are_refused_unread(tmp_path: Path, config: DecoderConfig, shape: list[int]) -> None:
    """A file with holes is as long as its header claims."""
    folder = write_peft_folder(tmp_path / "a", PAIRS)
    size = 4 * shape[0] * shape[1]
    try:
        safetensors(folder / "adapter_model.safetensors", {A: entry(shape), B: entry([64, 4], size)}, size + 1024)
    except OSError:
        pytest.skip("no file system for so large a file")
    with pytest.raises(AdapterError, match=r"self_attn\.q_proj.*has the shape"):
        read_adapter(folder, config, LIMITS)


def test_gigabytes_of_a_gguf_adapter_are_refused_unread(tmp_path: Path, config: DecoderConfig) -> None:
    path = tmp_path / "a.gguf"
    shape = 1 << 20, 1 << 18  # a terabyte
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    for side in "ab":
        writer.add_tensor_info(f"blk.0.attn_q.weight.lora_{side}", shape, np.dtype(np.float32), 4 * shape[0] * shape[1])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    try:
        os.truncate(path, path.stat().st_size + (1 << 42))
    except OSError:
        pytest.skip("no file system for so large a file")
    with pytest.raises(AdapterError, match=r"blk\.0\.attn_q\.weight\.lora_a has the shape"):
        read_adapter(path, config, LIMITS)


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        {"a": {"dtype": "F32", "shape": [1 << 62, 1 << 62], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [-1, -1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [1 << 60, (1 << 60) + 4]}},
        {"a": {"dtype": "F32", "shape": [1e308], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}},
        {"a": []},
    ],
    ids=lambda header: str(header)[:60],
)
def test_a_header_that_lies_is_a_model_error(tmp_path: Path, header: object) -> None:
    path = tmp_path / "model.safetensors"
    safetensors(path, header, 2)

    def read_all() -> None:
        file = SafetensorsFile(path)
        for name in file.stored:
            file.info(name, name, 0)

    with pytest.raises(ModelError):
        read_all()


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def gguf_bytes(n_tensors: int, n_values: int, rest: bytes) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, n_tensors, n_values) + rest


def alignment(kind: int, value: bytes) -> bytes:
    return gguf_bytes(0, 1, string("general.alignment") + struct.pack("<I", kind) + value)


@pytest.mark.parametrize(
    "data",
    [
        gguf_bytes(1 << 63, 0, b""),
        gguf_bytes(0, 1 << 63, b""),
        gguf_bytes(0, 1, struct.pack("<Q", 1 << 63)),
        gguf_bytes(0, 1, string("a") + struct.pack("<IIQ", 9, 8, 1 << 62)),
        gguf_bytes(0, 1, string("a") + struct.pack("<IIQ", 9, 9, 1)),
        gguf_bytes(1, 0, string("t") + struct.pack("<IQQIQ", 2, 1 << 40, 1 << 40, 0, 0)),
        gguf_bytes(1, 0, string("t") + struct.pack("<IQIQ", 1, 32, 0, 1 << 63)),
        gguf_bytes(1, 0, string("t") + struct.pack("<IQIQ", 1, 32, 77, 0)),
        alignment(8, string("x")),
        alignment(6, struct.pack("<f", float("inf"))),
        alignment(6, struct.pack("<f", float("nan"))),
        alignment(9, struct.pack("<IQ", 4, 2) + bytes(8)),
        alignment(5, struct.pack("<i", -32)),
    ],
    ids=range(13),
)
def test_a_gguf_header_that_lies_is_a_model_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelError):
        GGUFFile(path)


def pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("name", ["a.gguf", "a"])
def test_a_pipe_in_place_of_a_file_is_refused(tmp_path: Path, config: DecoderConfig, name: str) -> None:
    """Opening one waits for ever for somebody who writes."""
    if name == "a":
        folder = write_peft_folder(tmp_path / "a", PAIRS)
        (folder / "adapter_model.safetensors").unlink()
        pipe(folder / "adapter_model.safetensors")
    else:
        pipe(tmp_path / name)
    with pytest.raises(AdapterError, match="no regular file"):
        read_adapter(tmp_path / name, config, LIMITS)


@pytest.mark.parametrize(
    "about",
    [
        {"lora_alpha": float("nan")},
        {"lora_alpha": 10**400},
        {"lora_alpha": "8"},
        {"lora_alpha": True},
        {"alpha_pattern": {"q_proj": None}},
        {"alpha_pattern": 7},
        {"base_model_name_or_path": {"a": ["b"] * 1000}, "peft_type": None},
        {"use_rslora": "no", "lora_alpha": float("inf")},
    ],
    ids=lambda about: str(about)[:50],
)
def test_a_configuration_that_lies_is_an_adapter_error(tmp_path: Path, config: DecoderConfig, about: dict[str, Any]) -> None:
    folder = write_peft_folder(tmp_path / "a", PAIRS, **about)
    with pytest.raises(AdapterError, match=r"adapter_config\.json"):
        read_adapter(folder, config, LIMITS)


def nested(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("[" * 1_000_000)


def outside(folder: Path) -> None:
    (folder / "adapter_config.json").write_bytes(b"\xff\xfe{")


@pytest.mark.parametrize("spoil", [nested, outside])
def test_a_configuration_that_is_none_is_an_adapter_error(
    tmp_path: Path, config: DecoderConfig, spoil: Callable[[Path], None]
) -> None:
    folder = write_peft_folder(tmp_path / "a", PAIRS)
    spoil(folder)
    with pytest.raises(AdapterError):
        read_adapter(folder, config, LIMITS)


def test_an_honest_adapter_is_read(tmp_path: Path, config: DecoderConfig) -> None:
    folder = write_peft_folder(tmp_path / "a", PAIRS, alpha_pattern={r"self_attn\.q_proj|k_proj": 2.0, "^nothing.*$": 1})
    assert read_adapter(folder, config, LIMITS).matrices
    assert read_adapter(write_gguf_adapter(tmp_path / "a.gguf", PAIRS), config, LIMITS).matrices
