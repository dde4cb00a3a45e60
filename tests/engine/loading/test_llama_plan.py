"""What of a model llama.cpp would compute on a GPU, by bytes: there is no GPU in these tests."""

from __future__ import annotations

import re
from pathlib import Path

import gguf
import numpy as np
import pytest
from tests.engine.tiny_model import write_tiny_llama
from tests.engine.tiny_recurrent import write_tiny_lfm2, write_tiny_mamba

from portico_engine import ModelError, RequestError
from portico_engine.executors.llama_cpp.attention import choose_attention
from portico_engine.executors.llama_cpp.devices import GPU, Backend
from portico_engine.loading.llama_loading import plan_llama
from portico_engine.loading.llama_plan import (
    LayerBytes,
    ModelBytes,
    Offload,
    head_sizes,
    is_recurrent,
    kv_bytes_per_token,
    plan_offload,
)
from portico_engine.loading.options import LoadOptions
from portico_engine.weights.gguf_file import GGUFFile

GIB = 1 << 30
DENSE = ModelBytes(tuple(LayerBytes(GIB, 0) for _ in range(8)), GIB)
MIXTURE = ModelBytes((LayerBytes(GIB, 0), *(LayerBytes(GIB // 4, 3 * GIB) for _ in range(7))), GIB)  # 24.75 GiB


def plan(model: ModelBytes, free: float, kv: int = 0) -> Offload:
    return plan_offload(model, free=int(free * GIB), kv_bytes=kv, vocab_size=32000)


@pytest.mark.parametrize(
    ("free", "kv", "layers"),
    [
        (24, 0, 9),
        (11, 0, 9),  # 9 GiB of weights, and less than one for steps
        (10, 0, 8),  # all but the head
        (11, 4, 6),  # half a GiB of KV is where its layer is
        (5, 0, 4),
        (1, 0, 0),
    ],
)
def test_of_a_dense_model_as_many_of_the_last_layers_as_fit(free: float, kv: int, layers: int) -> None:
    found = plan(DENSE, free, kv * GIB)
    assert found == Offload(layers)
    assert found.host_tensors is None


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (40, Offload(9)),
        (26, Offload(9, (7,))),
        (20, Offload(9, (5, 6, 7))),
        (6, Offload(9, (1, 2, 3, 4, 5, 6, 7))),
        (4, Offload(0)),
    ],
)
def test_of_a_mixture_the_experts_of_as_few_layers_as_possible_stay_outside(free: float, expected: Offload) -> None:
    assert plan(MIXTURE, free) == expected


def test_the_pattern_finds_experts_of_its_layers_alone() -> None:
    pattern = Offload(9, (1, 12)).host_tensors
    assert pattern is not None
    for name in ("blk.1.ffn_up_exps.weight", "blk.12.ffn_gate_up_exps.weight", "blk.12.ffn_down_chexps.weight"):
        assert re.search(pattern, name)
    for name in ("blk.11.ffn_up_exps.weight", "blk.2.ffn_up_exps.weight", "blk.1.ffn_up_shexp.weight", "blk.1.attn_q.weight"):
        assert not re.search(pattern, name)


@pytest.mark.parametrize(
    ("offload", "line"),
    [
        (Offload(9), "all layers on the card"),
        (Offload(5), "5 of 8 layers on the card, the first ones on the CPU"),
        (Offload(9, (6, 7)), "all layers on the card, the experts of 2 of 8 in this machine's memory"),
        (Offload(0), "nothing on the card: it has no memory for a layer"),
    ],
)
def test_it_is_told_in_a_line(offload: Offload, line: str) -> None:
    assert offload.describe(8, "the card") == line


def test_a_file_s_bytes_are_counted_by_layer(tiny_path: Path) -> None:
    file = GGUFFile(tiny_path)
    model = ModelBytes.of(file)
    assert len(model.layers) == 2
    embedding = file.tensors["token_embd.weight"].n_bytes
    assert model.head == embedding + file.tensors["output_norm.weight"].n_bytes  # the head is the embedding once more
    assert sum(map(sum, model.layers)) + model.head == sum(tensor.n_bytes for tensor in file.tensors.values())


def test_layers_without_attention_have_no_kv(tmp_path: Path, tiny_path: Path) -> None:
    assert kv_bytes_per_token(GGUFFile(tiny_path), "llama") == 2 * 2 * 2 * (16 + 16)
    lfm2, mamba = GGUFFile(write_tiny_lfm2(tmp_path / "a.gguf")), GGUFFile(write_tiny_mamba(tmp_path / "b.gguf"))
    assert kv_bytes_per_token(lfm2, "lfm2") == 2 * 2 * (16 + 16)
    assert kv_bytes_per_token(mamba, "mamba") == 1
    assert head_sizes(mamba, "mamba") == (0, 0)
    assert [is_recurrent(lfm2, "lfm2"), is_recurrent(mamba, "mamba"), is_recurrent(GGUFFile(tiny_path), "llama")] == [1, 1, 0]


def test_heads_that_are_no_numbers_are_refused_by_name(tmp_path: Path) -> None:
    def customize(writer: gguf.GGUFWriter) -> None:
        writer.add_string("llama.attention.head_count_kv", "many")

    path = write_tiny_llama(tmp_path / "odd.gguf", customize=customize, replace=True)
    file = GGUFFile(path)
    file.metadata["llama.attention.head_count_kv"] = "many"
    with pytest.raises(ModelError, match="head_count_kv is 'many', not a number of heads"):
        kv_bytes_per_token(file, "llama")
    file.metadata["llama.attention.head_count_kv"] = np.array([-1, 2])
    with pytest.raises(ModelError, match="not a number of heads"):
        kv_bytes_per_token(file, "llama")


def test_flash_attention_is_chosen_by_backend_and_by_what_kv_is_stored_as() -> None:
    assert choose_attention("f16", on_gpu=False, head_sizes=(64, 64)).flash == "off"
    assert choose_attention("f16", on_gpu=True, head_sizes=(64, 64)).flash == "auto"
    for on_gpu in (False, True):
        assert choose_attention("q8_0", on_gpu=on_gpu, head_sizes=(64, 64)).flash == "on"
    with pytest.raises(RequestError, match="stores 32 numbers together; this model's heads have 80"):
        choose_attention("q8_0", on_gpu=True, head_sizes=(80, 64))


def test_a_plan_says_sizes_attention_and_what_is_saved(tiny_path: Path) -> None:
    file = GGUFFile(tiny_path)
    found = plan_llama(file, LoadOptions(context=128), Backend(), 269)
    assert (found.sizes.kv_tokens, found.sizes.saved_tokens) == (128, 384)
    assert found.offload == Offload(0)
    assert "KV 0.0 GiB for 128 tokens of running requests (1.0 contexts of 128)" in found.memory
    assert found.memory.endswith("flash attention off: plain products are faster on a CPU; keys and values in f16")


def test_a_plan_for_a_card_puts_what_fits_there(tiny_path: Path) -> None:
    file = GGUFFile(tiny_path)
    card = plan_llama(file, LoadOptions(), Backend(True, (GPU("a card", 2 * GIB, 2 * GIB),)), 269)
    assert card.offload == Offload(3)
    assert "all layers on a card; flash attention auto: on wherever the GPU has a kernel" in card.memory
    full = plan_llama(file, LoadOptions(), Backend(True, (GPU("a card", GIB // 4, GIB),)), 269)
    assert full.offload == Offload(0)
    assert "nothing on a card: it has no memory for a layer; flash attention off" in full.memory


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kv_type": "q4"}, "kv_type is 'q4'; it must be one of f16, q8_0"),
        ({"kv_type": "q8_0"}, "only executor llama_cpp stores KV so, and executor is auto"),
    ],
)
def test_kinds_of_kv_that_cannot_be_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        LoadOptions.from_keywords(options)


@pytest.mark.parametrize(
    ("backend", "line"),
    [
        (Backend(), "built without a GPU backend: it computes on the CPU"),
        (Backend(True), "built with a GPU backend, which finds no GPU: it computes on the CPU"),
        (Backend(True, (GPU("a card", 3 * GIB, 4 * GIB),)), "built with a GPU backend: a card (3.0 GiB free)"),
        (Backend(problem="it did not answer"), "its devices are not known: it did not answer"),
    ],
)
def test_a_build_is_told_in_a_line(backend: Backend, line: str) -> None:
    assert backend.describe() == line
