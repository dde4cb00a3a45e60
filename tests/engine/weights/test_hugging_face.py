"""Folders in Hugging Face's layout say what a GGUF file of the same weights says; broken ones are refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.models import families
from tests.engine.models.parity import divergence, our_logits
from tests.engine.tiny_folder import CONFIG, write_folder, write_json
from tests.engine.tiny_model import Q, Shape, Tensors, random_tensors, write_tiny_llama

from portico_engine import ModelError, Request, SamplingParams, find_model, load_engine
from portico_engine.models.config import read_config
from portico_engine.text.tokenizer_json import read_tokenizer
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.hugging_face import HuggingFaceFolder

MIXTURE = {"num_experts_per_tok": 2, "num_local_experts": 4}
QWEN_MIXTURE = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "norm_topk_prob": False}
LONG = {"type": "longrope", "short_factor": np.linspace(1, 8, 8).tolist(), "long_factor": np.linspace(2, 11, 8).tolist()}
FOLDERS = {
    "mixtral": {"model_type": "mixtral", **MIXTURE},
    "qwen2moe": {
        "model_type": "qwen2_moe", "tie_word_embeddings": False, "shared_expert_intermediate_size": 64, **QWEN_MIXTURE,
    },
    "qwen3moe": {
        "model_type": "qwen3_moe", **QWEN_MIXTURE, "num_experts": 8, "num_experts_per_tok": 3, "norm_topk_prob": True,
        "head_dim": 16,
    },
    "granite": {
        "model_type": "granite", "embedding_multiplier": 3.0, "residual_multiplier": 0.7, "attention_multiplier": 0.9,
        "logits_scaling": 2.5,
    },
    "smollm3": {"model_type": "smollm3", "no_rope_layers": [1, 1, 1, 0, 1]},
    "phi3": {"model_type": "phi3", "sliding_window": 256},
    "phi3, long factors": {
        "model_type": "phi3", "original_max_position_embeddings": 64, "rope_scaling": {**LONG, "attention_factor": 1.19},
    },
    "qwen2, yarn": {
        "model_type": "qwen2", "use_sliding_window": False, "sliding_window": 32,
        "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
    },
    "qwen3, yarn": {
        "model_type": "qwen3", "rope_theta": None,
        "rope_parameters": {
            "rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32,
            "attention_factor": 1 + 0.1 * np.log(4.0),
        },
    },
}  # fmt: skip
PERMUTED = ("mixtral", "granite", "smollm3")
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


def tensors_of(name: str) -> tuple[Tensors, Shape]:
    case = families.CASES[name]
    return case.tensors(random_tensors(case.shape, extra=case.extra)), case.shape


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_says_what_the_same_weights_in_gguf_say(tmp_path: Path, name: str) -> None:
    tensors, shape = tensors_of(name)
    stored = {key: value for key, value in tensors.items() if not key.startswith("rope_factors")}
    folder = write_folder(tmp_path / "model", stored, FOLDERS[name], shape=shape, permuted=name in PERMUTED)
    theirs = our_logits(families.write(tmp_path / "tiny.gguf", name, Q.F32), [70], codes=False)
    torch.testing.assert_close(our_logits(folder, [70], codes=False), theirs)


@pytest.mark.parametrize(("dtype", "quantization"), [(torch.bfloat16, Q.BF16), (torch.float16, Q.F16)], ids=["bf16", "f16"])
def test_shards_of_half_precision_are_read_as_one_model(tmp_path: Path, dtype: torch.dtype, quantization: Q) -> None:
    folder = write_folder(tmp_path / "model", random_tensors(), {}, permuted=True, dtype=dtype, shards=3)
    path = write_tiny_llama(tmp_path / "tiny.gguf", quantization=quantization)
    theirs = our_logits(path, [70], codes=False)  # its norms are float32
    assert divergence(theirs, our_logits(folder, [70], codes=False)) < families.CLOSE
    for name in ("blk.1.ffn_down.weight", "token_embd.weight", "blk.0.attn_v.weight"):
        np.testing.assert_array_equal(HuggingFaceFolder(folder).raw(name), GGUFFile(path).raw(name))


def test_llama_3s_factors_are_computed_from_its_numbers(tmp_path: Path) -> None:
    scaling = LLAMA3 | {"original_max_position_embeddings": 8192}
    config = {"rope_theta": 500000.0, "head_dim": 128, "max_position_embeddings": 131072, "rope_scaling": scaling}
    folder = write_folder(tmp_path / "model", random_tensors(), config)
    factors = HuggingFaceFolder(folder).dequantize("rope_freqs.weight")
    waves = 2 * np.pi * 500000.0 ** (np.arange(64) / 64)  # positions a turn
    assert np.all(factors[waves < 8192 / 4] == 1)
    assert np.all(factors[waves > 8192] == 8)
    between = factors[(waves > 8192 / 4) & (waves < 8192)]
    assert between.size
    assert np.all(np.diff(between) > 0)
    assert 1 < between[0] < between[-1] < 8


def test_a_folder_is_loaded_by_its_name_with_its_template_and_end_tokens(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "Tiny-0.5B", random_tensors(), {}, permuted=True)
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }} hello")
    engine = load_engine(find_model(str(folder)), executor="torch-cpu")
    assert (engine.info.name, engine.info.architecture, engine.info.quantization) == ("Tiny-0.5B", "llama", "F32")
    assert engine.info.bytes_on_disk == (folder / "model.safetensors").stat().st_size
    prompt = engine.render_chat([{"role": "user", "content": "hello"}])
    assert engine.tokenizer.decode(prompt) == "hello hello"
    assert engine.tokenizer.tokens[engine.tokenizer.eos_token_id] == "<|im_end|>"
    assert list(engine.generate(Request("a", prompt, SamplingParams(temperature=0), max_tokens=3)))


def test_a_window_of_attention_does_not_bound_the_context(tmp_path: Path) -> None:
    config = {"model_type": "mistral", "sliding_window": 100}
    folder = write_folder(tmp_path / "model", random_tensors(), config, permuted=True)
    assert load_engine(folder, executor="torch-cpu").info.context_length == 256
    assert read_config(HuggingFaceFolder(folder)).windows == (100, 100)


def test_a_changed_shard_changes_the_fingerprint(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", random_tensors(), {}, shards=2)
    before = HuggingFaceFolder(folder).fingerprint()
    assert HuggingFaceFolder(folder).fingerprint() == before
    write_json(folder / "config.json", json.loads((folder / "config.json").read_text()) | {"rms_norm_eps": 1e-6})
    assert HuggingFaceFolder(folder).fingerprint() != before


def cut(path: Path, at: int) -> None:
    path.write_bytes(path.read_bytes()[:at])


def config_with(**keys: object) -> Callable[[Path], None]:
    return lambda folder: write_json(folder / "config.json", json.loads((folder / "config.json").read_text()) | keys)


def to_type(kind: str) -> Callable[[Path], None]:
    """Rename the type of the tensors of a file, keeping the header's length."""

    def change(folder: Path) -> None:
        path = folder / "model-00001-of-00002.safetensors"
        path.write_bytes(path.read_bytes().replace(b'"F32"', f'"{kind}"'.encode()))

    return change


SECOND = "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "config.json").unlink(), r"config\.json is missing from the folder"),
        (lambda f: (f / "config.json").write_text("{"), r"config\.json is no JSON"),
        (lambda f: (f / "config.json").write_text("[]"), r"config\.json holds a JSON list, not an object"),
        (lambda f: (f / SECOND).unlink(), rf"{SECOND} is missing from the folder"),
        (lambda f: (f / SECOND).write_bytes(b""), rf"{SECOND} is empty"),
        (lambda f: cut(f / SECOND, 5), rf"{SECOND} is cut short or no safetensors file"),
        (lambda f: cut(f / SECOND, 100), rf"{SECOND} is cut short or no safetensors file"),
        (lambda f: cut(f / SECOND, -9), rf"{SECOND} is cut short: the tensor .* ends at byte"),
        (lambda f: (f / SECOND).write_bytes(b"\x08" + b"\0" * 7 + b"{broken}"), r"the header of .* is no JSON"),
        (lambda f: (f / SECOND).write_bytes(b"\x17" + b"\0" * 7 + b'{"model.norm.weight":1}'), "damaged entry in the .*: 1"),
        (to_type("I16"), "is of type I16; F32, F16, BF16 are supported"),
        (to_type("F16"), r"is damaged: the tensor .* of shape .* has \d+ bytes"),
        (lambda f: (f / INDEX).write_text("{}"), "has no weight_map"),
        (lambda f: write_json(f / INDEX, {"weight_map": {"x": "../x.safetensors"}}), "which is not in this folder"),
        (lambda f: (f / INDEX).unlink(), rf"neither model\.safetensors nor {INDEX} is in the folder"),
        (lambda f: (f / "tokenizer.json").unlink(), r"tokenizer\.json is missing from the folder"),
        (config_with(model_type="gemma9"), "model_type 'gemma9' in config.json is not supported; supported are llama, mistral"),
        (config_with(model_type="qwen3_5"), "qwen3_5 has linear attention, which only llama.cpp computes here: .* a GGUF file"),
        (config_with(sliding_window=-3), "sliding_window in config.json is -3, not a positive number"),
        (config_with(sliding_window=8, layer_types=["mamba"]), "layers of type 'mamba' .* are not supported"),
        (config_with(sliding_window=8, layer_types=["full_attention"]), "sliding_window_pattern is of 1 layers, not 2"),
        (config_with(quantization_config={"quant_method": "quanto"}), "quantized as QUANTO .* the model's original weights"),
        (config_with(tie_word_embeddings=False), r"lm_head\.weight is missing"),
        (config_with(num_hidden_layers=3), r"blk\.2\.attn_norm\.weight is missing"),
        (config_with(num_hidden_layers="two"), "num_hidden_layers in config.json is 'two'"),
        (config_with(hidden_size=128), "has the shape .* the metadata calls for"),
        (config_with(hidden_act="gelu"), "hidden_act is 'gelu' in config.json; only 'silu' is supported"),
        (config_with(rms_norm_eps=None), "layer_norm_rms_epsilon is missing"),
        (config_with(rope_scaling={"type": "dynamic", "factor": 2}), "rotary scaling of type 'dynamic' is not supported"),
        (config_with(rope_scaling=LLAMA3), "original_max_position_embeddings in config.json is None, not a positive number"),
        (config_with(rope_scaling="x"), "rope_scaling in config.json is 'x', not an object"),
        (config_with(rope_scaling={**LONG, "short_factor": []}, original_max_position_embeddings=64), "short_factor"),
    ],
)  # fmt: skip
def test_a_broken_folder_is_one_clear_error(tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    folder = write_folder(tmp_path / "model", random_tensors(), {}, permuted=True, shards=2)
    damage(folder)
    with pytest.raises(ModelError, match=message):
        load_engine(folder, executor="torch-cpu")


FULL = {
    "model_type": "qwen2_moe", "head_dim": 16, "sliding_window": 64, "partial_rotary_factor": 0.5, **QWEN_MIXTURE, **MIXTURE,
    "original_max_position_embeddings": 64, "quantization_config": None, "rope_parameters": {}, "no_rope_layers": [1],
    "attention_multiplier": 0.5, "logits_scaling": 2.0, "mlp_only_layers": [],
}  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["phi3", "smollm3", "yarn", "longrope", "llama3", ""]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*LONG, *LLAMA3, "quant_method"]), inner, max_size=5)
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("fuzz") / "model", random_tensors(), FULL)


@given(
    changes=st.dictionaries(
        st.sampled_from([*CONFIG, *FULL, "rope_scaling", "num_hidden_layers", "hidden_size"]), JSON, max_size=3
    )
)
@settings(max_examples=150, deadline=None)
def test_whatever_config_json_says_is_read_or_refused(fuzzed: Path, changes: dict[str, object]) -> None:
    keys = json.loads((fuzzed / "config.json").read_text())
    broken = fuzzed.with_name("broken")
    shutil.copytree(fuzzed, broken, dirs_exist_ok=True)
    write_json(broken / "config.json", keys | changes)
    refusal = refused(broken)
    assert refusal is None or str(broken) in refusal


def refused(folder: Path) -> str | None:
    try:
        read_config(HuggingFaceFolder(folder))
        read_tokenizer(folder)
    except ModelError as error:
        return str(error)
    return None


def test_pickled_weights_are_refused_by_name(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", random_tensors(), {})
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin can't be read: only safetensors and GGUF"):
        load_engine(folder)


def test_one_file_of_a_folder_is_no_model(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", random_tensors(), {})
    with pytest.raises(ModelError, match=r"one file of a model; give its folder"):
        load_engine(folder / "model.safetensors")


def test_nan_in_a_folders_tensor_is_named(tmp_path: Path) -> None:
    tensors = random_tensors()
    tensors["blk.1.ffn_up.weight"][3, 4] = np.nan
    folder = write_folder(tmp_path / "model", tensors, {}, dtype=torch.bfloat16)
    with pytest.raises(ModelError, match=r"blk\.1\.ffn_up\.weight holds numbers that are none"):
        load_engine(folder, executor="torch-cpu")
