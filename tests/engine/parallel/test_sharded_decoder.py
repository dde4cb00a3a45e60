"""Ranks together say what one decoder says: every family, split two and four ways, in float32."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from checks.family_logits import FAMILIES
from tests.engine.models import families
from tests.engine.models.parity import TOKENS
from tests.engine.models.test_transformers import folder
from tests.engine.models.wide import wide_logits
from tests.engine.parallel.rank_threads import logits_of_ranks
from tests.engine.tiny_model import Q
from torch import Tensor

from portico_engine import ModelError
from portico_engine.parallel.expert_parallel import AUTO, Exchange
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.model_file import ModelFile

MIXTURES = ("mixtral", "qwen2moe", "qwen3moe", "granitemoe")
EXCHANGES = (AUTO, Exchange("all_to_all"))


def assert_same(one: Tensor, ranks: list[Tensor]) -> None:
    """All ranks agree to the bit, and with one within 1e-4 of the largest logit."""
    assert all(torch.equal(ranks[0], other) for other in ranks)
    assert float((ranks[0] - one).abs().max()) < 1e-4 * float(one.abs().max())
    assert torch.equal(ranks[0].argmax(-1), one.argmax(-1))


@pytest.mark.parametrize("world", [2, 4])
@pytest.mark.parametrize("name", families.CASES)
def test_a_family_over_ranks_says_what_it_says_on_one(tmp_path: Path, name: str, world: int) -> None:
    file = GGUFFile(families.write(tmp_path / "tiny.gguf", name, Q.F32))
    assert_same(wide_logits(file, TOKENS), logits_of_ranks(file, TOKENS, world))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_folder_over_ranks_says_what_it_says_on_one(tmp_path: Path, name: str) -> None:
    file = folder(tmp_path / "m", name)
    tokens = [token % file.tensors["token_embd.weight"].shape[0] for token in TOKENS]
    world = 5 if name == "lfm2" else 2  # which has five heads
    assert_same(wide_logits(file, tokens), logits_of_ranks(file, tokens, world))


@pytest.mark.parametrize("exchange", EXCHANGES, ids=("sum", "all to all"))
@pytest.mark.parametrize("world", [2, 4])
@pytest.mark.parametrize("name", MIXTURES)
def test_experts_on_several_ranks_say_what_they_say_on_one(tmp_path: Path, name: str, world: int, exchange: Exchange) -> None:
    file = GGUFFile(families.write(tmp_path / "tiny.gguf", name, Q.F32))
    ranks = logits_of_ranks(file, TOKENS, world, expert_parallel=True, exchange=exchange)
    assert_same(wide_logits(file, TOKENS), ranks)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_fewer_tokens_than_ranks_travel_too(tmp_path: Path, count: int) -> None:
    file: ModelFile = GGUFFile(families.write(tmp_path / "tiny.gguf", "mixtral", Q.F32))
    tokens = TOKENS[:count]
    ranks = logits_of_ranks(file, tokens, 4, expert_parallel=True, exchange=Exchange("all_to_all"))
    assert_same(wide_logits(file, tokens), ranks)


def test_fewer_experts_than_ranks_are_refused(tmp_path: Path) -> None:
    file = GGUFFile(families.write(tmp_path / "tiny.gguf", "mixtral", Q.F32))
    with pytest.raises(ModelError, match=r"can't be split over 8 ranks|4 experts can't be dealt out to 8"):
        logits_of_ranks(file, TOKENS, 8, expert_parallel=True)
