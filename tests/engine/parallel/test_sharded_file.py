"""What a rank reads is its part of what the whole file says, in every format, and what can't be cut is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.engine.models import families
from tests.engine.models.wide import WideLoader
from tests.engine.tiny_folder import write_folder
from tests.engine.tiny_model import Q, Shape, random_tensors, write_tiny_llama
from torch import Tensor

from packers import FORMATS
from portico_engine import ModelError
from portico_engine.models.config import read_config
from portico_engine.parallel.shard import Shard, vocabulary_shares
from portico_engine.parallel.sharded_config import shard_model
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.hugging_face import HuggingFaceFolder
from portico_engine.weights.model_file import ModelFile

WIDE = Shape(hidden=512, feed_forward=1024, heads=4, kv_heads=2)
EVEN = Shape(hidden=256, feed_forward=256, heads=4, kv_heads=2)
LAYER = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
BY_COLUMN = ("attn_output", "ffn_down")


def parts(file: ModelFile, name: str, world_size: int) -> list[Tensor]:
    """A matrix as each rank reads it."""
    found = []
    for rank in range(world_size):
        own, config = shard_model(file, read_config(file), Shard(rank, world_size))
        found.append(WideLoader(own, config, codes=False).dense(name, *own.tensors[name].shape))
    return found


def whole(file: ModelFile, name: str) -> Tensor:
    return WideLoader(file, read_config(file), codes=False).dense(name, *file.tensors[name].shape)


def assert_parts_are_the_whole(file: ModelFile, world_size: int) -> None:
    for at in LAYER:
        name = f"blk.1.{at}.weight"
        joined = torch.cat(parts(file, name, world_size), 1 if at in BY_COLUMN else 0)
        assert torch.equal(joined, whole(file, name)), name
    assert torch.equal(torch.cat(parts(file, "token_embd.weight", world_size)), whole(file, "token_embd.weight"))


@pytest.mark.parametrize("kind", [Q.F32, Q.F16, Q.BF16, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q8_0])
def test_parts_of_a_file_are_the_whole(tmp_path: Path, kind: Q) -> None:
    file = GGUFFile(write_tiny_llama(tmp_path / "tiny.gguf", quantization=kind, shape=WIDE))
    assert_parts_are_the_whole(file, 2)


@pytest.mark.parametrize("name", [name for name in FORMATS if "act-order" not in name and not name.startswith("nf4")])
def test_parts_of_packed_matrices_are_the_whole(tmp_path: Path, name: str) -> None:
    packer, config = FORMATS[name]
    folder = write_folder(tmp_path / "m", random_tensors(EVEN), {"quantization_config": config}, shape=EVEN, pack=packer)
    assert_parts_are_the_whole(HuggingFaceFolder(folder), 2)


def test_a_rank_maps_no_more_of_a_file_than_its_part(tmp_path: Path) -> None:
    file = GGUFFile(write_tiny_llama(tmp_path / "tiny.gguf", quantization=Q.Q4_0, shape=WIDE))
    own, _ = shard_model(file, read_config(file), Shard(1, 2))
    for at in LAYER:
        name = f"blk.0.{at}.weight"
        assert own.raw(name).nbytes * 2 == file.raw(name).nbytes


def test_few_key_value_heads_are_had_by_several_ranks(tmp_path: Path) -> None:
    file = GGUFFile(write_tiny_llama(tmp_path / "tiny.gguf", quantization=Q.F32))
    keys = parts(file, "blk.0.attn_k.weight", 4)
    assert torch.equal(keys[0], keys[1])
    assert torch.equal(keys[2], keys[3])
    assert torch.equal(torch.cat([keys[0], keys[2]]), whole(file, "blk.0.attn_k.weight"))


def test_an_inner_dimension_is_split_between_groups_even_where_parts_become_uneven(tmp_path: Path) -> None:
    shape = Shape(feed_forward=96)  # three groups of 32
    file = GGUFFile(write_tiny_llama(tmp_path / "tiny.gguf", quantization=Q.Q8_0, shape=shape))
    down = parts(file, "blk.0.ffn_down.weight", 2)
    assert [part.shape[1] for part in down] == [32, 64]
    assert torch.equal(torch.cat(down, 1), whole(file, "blk.0.ffn_down.weight"))


def test_experts_are_split_or_dealt_out(tmp_path: Path) -> None:
    file = GGUFFile(families.write(tmp_path / "tiny.gguf", "qwen2moe", Q.F32))
    names = {name for name in file.tensors if name.startswith("blk.0.ffn_gate.")}
    split, config = shard_model(file, read_config(file), Shard(1, 2))
    assert names <= split.tensors.keys()
    assert config.experts is not None
    assert (config.experts.feed_forward, config.experts.shared_feed_forward, config.experts.held) == (16, 32, None)
    dealt, config = shard_model(file, read_config(file), Shard(1, 2, expert_parallel=True))
    assert {name for name in dealt.tensors if name in names} == {f"blk.0.ffn_gate.{i}.weight" for i in (3, 4, 5)}
    assert config.experts is not None
    assert (config.experts.feed_forward, config.experts.shared_feed_forward, config.experts.held) == (32, 32, range(3, 6))


@pytest.mark.parametrize(
    ("size", "world", "expected"),
    [(269, 2, [128, 141]), (32000, 3, [10656, 10672, 10672]), (5, 4, [1, 1, 1, 2])],
)
def test_the_vocabulary_is_split_into_whole_tiles_where_there_are_enough(size: int, world: int, expected: list[int]) -> None:
    assert [len(share) for share in vocabulary_shares(size, world)] == expected


@pytest.mark.parametrize(
    ("world", "shape", "kind", "expected"),
    [
        (3, Shape(), Q.F32, "4 query heads over 2 key/value heads can't be split over 3 ranks; it can be over 2 or 4"),
        (2, Shape(), Q.Q4_1, None),
        (
            4,
            Shape(feed_forward=128),
            Q.Q4_1,
            "attn_output.weight .* in groups of 32 .* 4 ranks would have 16 each; .* 2",
        ),
        (8, Shape(), Q.F32, "can't be split over 8 ranks"),
        (4, Shape(hidden=128), Q.Q4_1, "the feed-forward of 96, stored in groups of 32, can't be split over 4 ranks"),
    ],
)
def test_what_does_not_split_is_refused_by_name_with_what_would(
    tmp_path: Path, world: int, shape: Shape, kind: Q, expected: str | None
) -> None:
    file = GGUFFile(write_tiny_llama(tmp_path / "tiny.gguf", quantization=kind, shape=shape))
    if expected is None:
        shard_model(file, read_config(file), Shard(0, world))
        return
    with pytest.raises(ModelError, match=expected):
        shard_model(file, read_config(file), Shard(0, world))


@pytest.mark.parametrize(("name", "expected"), [("gptq, act-order", "act-order"), ("nf4", "NF4, whose blocks go on")])
def test_packed_matrices_that_do_not_split_are_refused_by_name(tmp_path: Path, name: str, expected: str) -> None:
    packer, config = FORMATS[name]
    folder = write_folder(tmp_path / "m", random_tensors(EVEN), {"quantization_config": config}, shape=EVEN, pack=packer)
    file = HuggingFaceFolder(folder)
    with pytest.raises(ModelError, match=expected):
        shard_model(file, read_config(file), Shard(0, 2))


def test_a_model_without_experts_has_none_to_deal_out(tmp_path: Path) -> None:
    file = GGUFFile(write_tiny_llama(tmp_path / "tiny.gguf"))
    with pytest.raises(ModelError, match="llama has no experts"):
        shard_model(file, read_config(file), Shard(0, 2, expert_parallel=True))
