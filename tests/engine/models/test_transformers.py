"""Families that transformers knows, in float32, beside logits that it computed: as a folder, and as a GGUF file of the same
weights. Where transformers is installed, what was recorded is computed again."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from checks import family_logits
from checks.family_logits import FAMILIES, RECORDS, TOKENS, weight
from safetensors.torch import save_file
from tests.engine.models.families import CLOSE
from tests.engine.models.parity import divergence
from tests.engine.models.wide import wide_logits
from torch import Tensor

from portico_engine.conversion.metadata_values import write_values
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.models.config import DecoderConfig, read_config
from portico_engine.plan import Row, StepPlan
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.hugging_face import HuggingFaceFolder
from portico_engine.weights.model_file import ModelFile

# It computes Mistral without windows, gives Ministral 3 none, and wants a latent vector of DeepSeek's queries.
BY_LLAMA_CPP = tuple(name for name in FAMILIES if name not in ("mistral, window", "ministral", "deepseek_v2"))


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDS / f"{name.replace(', ', '-')}.json").read_text())
    return found


def logits_of(record: dict[str, Any]) -> Tensor:
    raw = np.frombuffer(base64.b64decode(record["logits"]), "<f4")
    return torch.from_numpy(raw.reshape(len(TOKENS), -1).copy())


def folder(path: Path, name: str) -> HuggingFaceFolder:
    record = recorded(name)
    path.mkdir()
    save_file({key: weight(key, tuple(shape)) for key, shape in record["shapes"].items()}, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(record["config"]))
    return HuggingFaceFolder(path)


def as_gguf(path: Path, source: HuggingFaceFolder, **changes: Any) -> GGUFFile:
    """The same numbers as GGUF's converter writes them: rows for interleaved pairs, norms with what they lack, experts stacked,
    heads of latent vectors in two matrices. `changes` are metadata by the ends of their keys.
    """
    config = read_config(source)
    arch = config.architecture
    writer = gguf.GGUFWriter(path, arch)
    values = {name: numbers(source, name).reshape(info.shape) for name, info in source.tensors.items()}
    metadata = _metadata(source, config)
    write_values(writer, {key: changes.get(key.rpartition(".")[2], value) for key, value in metadata.items()})
    for name in list(values):
        if config.interleaves_rotary and name.rpartition(".")[0].endswith(("attn_q", "attn_k")):
            heads = config.n_heads if ".attn_q." in name else config.n_kv_heads
            values[name] = (
                values[name].reshape(heads, 2, -1, *values[name].shape[1:]).swapaxes(1, 2).reshape(values[name].shape)
            )
        if name.endswith("norm.weight"):
            values[name] = values[name] + config.norm_offset
        if name.endswith("attn_kv_b.weight"):
            assert config.latent is not None
            both = values.pop(name).reshape(config.n_heads, -1, config.latent.kv_rank)
            at = name.removesuffix("kv_b.weight")
            values[f"{at}k_b.weight"] = both[:, : config.latent.plain].swapaxes(1, 2)
            values[f"{at}v_b.weight"] = both[:, config.latent.plain :]
    for name, value in stacked(values).items():
        writer.add_tensor(name, np.ascontiguousarray(value, np.float32))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([f"<{i}>" for i in range(config.vocab_size)])
    writer.add_token_types([1] * config.vocab_size)
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return GGUFFile(path)


def _metadata(source: HuggingFaceFolder, config: DecoderConfig) -> dict[str, Any]:
    arch = config.architecture
    # As in published files: these architectures say by themselves which layers have a window.
    unsaid = f"{arch}.attention.sliding_window_pattern" if arch in ("gemma3", "gpt-oss") else ""
    out = {key: value for key, value in source.metadata.items() if key.startswith(f"{arch}.") and key != unsaid}
    if config.experts is not None:
        out[f"{arch}.expert_feed_forward_length"] = config.experts.feed_forward
    if config.latent is None:
        return out | {f"{arch}.attention.{kind}_length": config.head_dim for kind in ("key", "value")}
    return out | {
        f"{arch}.attention.head_count_kv": 1,
        f"{arch}.attention.key_length": config.latent.kv_rank + config.latent.rope,
        f"{arch}.attention.value_length": config.latent.kv_rank,
        f"{arch}.vocab_size": config.vocab_size,
    }


def stacked(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Experts in one tensor each."""
    out: dict[str, np.ndarray] = {}
    for name, value in values.items():
        match = re.fullmatch(r"(blk\.\d+\.ffn_(?:gate|up|down))\.(\d+)\.(weight|bias)", name)
        if match is None:
            out[name] = value
        elif match[2] == "0":
            count = sum(other.startswith(f"{match[1]}.") and other.endswith(f".{match[3]}") for other in values)
            out[f"{match[1]}_exps.{match[3]}"] = np.stack([values[f"{match[1]}.{i}.{match[3]}"] for i in range(count)])
    return out


def numbers(file: ModelFile, name: str) -> np.ndarray:
    from tests.engine.models.wide import WideLoader

    rows: np.ndarray = WideLoader(file, read_config(file), codes=False)._float_rows(name)(slice(None)).numpy()
    return rows


@pytest.mark.parametrize("form", ["folder", "gguf"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_says_what_transformers_says(tmp_path: Path, name: str, form: str) -> None:
    file: ModelFile = folder(tmp_path / "model", name)
    if form == "gguf":
        file = as_gguf(tmp_path / "model.gguf", file)  # type: ignore[arg-type]
    expected, got = logits_of(recorded(name)), wide_logits(file, TOKENS)
    assert float((got - expected).norm() / expected.norm()) < 1e-4
    assert float((got - expected).abs().max() / expected.abs().max()) < 1e-4


@pytest.mark.parametrize("name", BY_LLAMA_CPP)
def test_the_gguf_file_says_to_llama_cpp_what_it_says_to_us(tmp_path: Path, name: str) -> None:
    from llama_reference import LlamaCpp  # not where a GPU's tests run

    changes: dict[str, Any] = {"type": "none", "factor": 1.0} if name == "gpt_oss" else {}  # it rounds the bounds of its yarn
    file = as_gguf(tmp_path / "model.gguf", folder(tmp_path / "model", name), **changes)
    llama = LlamaCpp(file.path, context=64, threads=1)
    try:
        theirs = torch.from_numpy(llama.eval(TOKENS, 0, want_all=True)).log_softmax(-1)
    finally:
        llama.close()
    assert divergence(theirs, wide_logits(file, TOKENS).log_softmax(-1)) < CLOSE


@pytest.mark.parametrize("name", FAMILIES)
def test_blocks_windows_and_sinks_change_nothing_but_rounding(tmp_path: Path, name: str) -> None:
    executor = TorchCPUExecutor.load(folder(tmp_path / "model", name), Sizes(64, 128), codes=False)
    table, parts, at = (5, 2, 7), [], 0
    for count in (17, 1, 1, 5, 16):
        piece = TOKENS[at : at + count]
        row = Row(0, piece, at, table, logits_indices=tuple(range(count)), targets=piece)
        parts.append(torch.from_numpy(executor.submit(StepPlan((row,))).logits.copy()))
        at += count
    expected = logits_of(recorded(name)).log_softmax(-1)
    assert divergence(expected, torch.cat(parts).log_softmax(-1)) < 0.03  # of mixtures: near ties choose other experts


@pytest.mark.parametrize("name", FAMILIES)
def test_what_was_recorded_is_what_transformers_says(name: str) -> None:
    pytest.importorskip("transformers")
    again, before = family_logits.record(name), recorded(name)
    assert again["shapes"] == before["shapes"]
    torch.testing.assert_close(logits_of(again), logits_of(before), rtol=1e-5, atol=1e-4)
