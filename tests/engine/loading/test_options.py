"""What a user may ask for when a model is loaded, before any model is looked at."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from portico_engine import LoadOptions, RequestError, engine_loader, load_engine
from portico_engine.executors.protocol import Sizes
from portico_engine.loading.options import choose_sizes, fill_memory


def test_a_keyword_that_is_no_option_is_named_beside_those_that_are() -> None:
    with pytest.raises(
        TypeError, match=r"no option is called ctx; the options are executor, context, max_rows, memory, kv_tokens, kv_dir"
    ):
        load_engine("never-read.gguf", ctx=64)
    with pytest.raises(TypeError, match="no option is called ctx"):
        engine_loader(Path("never-read.gguf"), ctx=64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"executor": "tpu"}, "executor is 'tpu'; it must be one of auto, torch, torch-cpu, torch-cuda, llama_cpp"),
        ({"max_rows": 257}, "max_rows is 257; it must be from 1 to 256"),
        ({"memory": 1.5}, "memory is 1.5; it must be a share of the GPU's, over 0 and at most 1"),
        ({"adapters": 33}, "adapters is 33; it must be from 0 to 32"),
        ({"adapters": 1, "adapter_rank": 0}, "adapter_rank is 0; it must be from 1 to 512"),
        ({"devices": 17}, "devices is 17; it must be from 1 to 16"),
        ({"expert_parallel": True}, "expert_parallel deals experts out to several devices, and devices is 1; give 2 or more"),
        ({"kv_dir_bytes": 0}, r"kv_dir_bytes is 0; it must be at least 1 \(kv_dir None keeps nothing\)"),
    ],
)
def test_a_value_that_suits_no_model_is_refused_before_one_is_read(options: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        engine_loader(Path("never-read.gguf"), **options)


def test_a_loader_crosses_to_another_process_with_its_options() -> None:
    loader = engine_loader(Path("a.gguf"), context=128, kv_dir=Path("kv"))
    assert loader.options == LoadOptions(context=128, kv_dir=Path("kv"))
    assert pickle.loads(pickle.dumps(loader)) == loader


@pytest.mark.parametrize(
    ("options", "memory", "sizes"),
    [
        (LoadOptions(), 1 << 30, Sizes(2048, 8192)),  # memory for all: the model's context, and four of them
        (LoadOptions(), 4 * 300 * 1000, Sizes(300, 300)),  # a quarter of it holds 300 tokens
        (LoadOptions(context=512), 4 * 1000 * 1000, Sizes(512, 1000)),
        (LoadOptions(context=512), 0, Sizes(512, 512)),  # what the user asked for is tried
        (LoadOptions(context=512, kv_tokens=600), 1 << 30, Sizes(512, 600)),
    ],
)
def test_what_the_user_did_not_say_is_kept_within_a_quarter_of_the_memory(
    options: LoadOptions, memory: int, sizes: Sizes
) -> None:
    assert choose_sizes(options, longest=2048, kv_bytes_per_token=1000, memory=memory, contexts=4) == sizes


@pytest.mark.parametrize(
    ("options", "kv_bytes", "sizes"),
    [
        (LoadOptions(), 1 << 40, Sizes(2048, 256 * 2048, 256)),  # no more than a context for each row
        (LoadOptions(max_rows=8), 1 << 40, Sizes(2048, 8 * 2048, 8)),
        (LoadOptions(), 5000 * 1000, Sizes(2048, 5000, 256)),  # all that there is
        (LoadOptions(), 300 * 1000, Sizes(300, 300, 256)),  # a shorter context, where not even one fits
        (LoadOptions(kv_tokens=4096), 1 << 40, Sizes(2048, 4096, 256)),
    ],
)
def test_memory_that_is_to_be_filled_is_rows_and_kv(options: LoadOptions, kv_bytes: int, sizes: Sizes) -> None:
    assert fill_memory(options, longest=2048, kv_bytes_per_token=1000, kv_bytes=kv_bytes) == sizes
