"""The cards of the default adapter say what its making left behind, and no more."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from portico_engine import Tool
from portico_engine.tune.data.sources.own import own_examples
from portico_engine.tune.data.sources.own_servers.examples import server_examples
from portico_engine.tune.data.sources.own_servers.workspace import Column, Table, Workspace

ROOT = Path(__file__).resolve().parents[1]
TRAINING: dict[str, Any] = {
    "settings": {"rank": 4, "alpha": 8.0, "seed": 1, "learning_rate": 0.001},
    "history": {"steps": 1373, "tokens": 46_808_544, "seconds": 300.1},
    "held_out_loss": [1.399, 0.0208],
    "rows": 120_507,
    "prompt_version": 1,
    "command": "python packaging/default_adapter.py train",
    "device": "a GPU",
    "torch": "2",
}


@pytest.fixture(scope="module")
def cards() -> ModuleType:
    spec = importlib.util.spec_from_file_location("adapter_cards", ROOT / "packaging" / "adapter_cards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_data_card_counts_rows_by_source_and_kind(cards: ModuleType) -> None:
    card = cards.data_card({"rows": 1400, "by_origin": {"MetaTool: one": 1200, "portico: kept": 150, "portico: one": 50}})
    assert card.startswith("# The training rows of the default adapter: 1,400\n")
    assert "| MIT | 1,200 |  |  |  |" in card
    assert "| Apache-2.0 | 50 |  |  | 150 |" in card


def test_rows_of_a_source_that_is_not_described_are_no_card(cards: ModuleType) -> None:
    with pytest.raises(KeyError, match="somewhere"):
        cards.data_card({"rows": 1, "by_origin": {"somewhere: one": 1}})


def test_what_our_own_rows_name_as_origin_and_licence_is_described_so(cards: ModuleType) -> None:
    example = next(own_examples(random.Random(1), 1, 0))
    table = Table("boats", "boats", "boat", "name", {"name": Column("text", "name")})
    tools = (Tool("db__tables", "", {"type": "object", "properties": {}}),)
    of_servers = next(server_examples([Workspace(tools, tables=(table,))], random.Random(1), 40))
    for found in (example, of_servers):
        assert cards.SOURCES[found.origin][1] == found.licence


def test_the_model_card_has_the_digest_the_losses_and_every_figure_with_its_interval(cards: ModuleType) -> None:
    figures = {
        "command": "c",
        "figures": {"tuned auto": {"multiple": {"questions": 200, "call": 64.5, "interval": "57.7-70.8"}}},
    }
    kept = {"kl": 0.0123, "same_top_token": 0.987}
    card = cards.model_card(TRAINING | {"kept": kept}, "abc123", figures)
    for said in ("sha256 `abc123`", "rank 4", "1.399 before, 0.0208 after", "98.7%", "0.012 nats", "1,373 steps"):
        assert said in card
    assert "| tuned auto | multiple | 200 | 64.5% | 57.7-70.8 |" in card
    assert "tuned auto" not in cards.model_card(TRAINING, "abc123", None)


def test_the_model_card_tells_what_an_adapter_learnt_from_its_own_answers(cards: ModuleType) -> None:
    refining = {
        "command": "python refined_adapter.py", "device": "a card", "torch": "2.11.0", "kept": 11_895, "put_right": 1702,
        "rows": 4300, "steps": 198, "seconds": 38, "settings": {"learning_rate": 2e-4},
    }  # fmt: skip
    card = cards.model_card(TRAINING, "abc123", None, refining=refining)
    for said in ("`python refined_adapter.py` on a card", "11,895 were right and 1,702 put right", "198 steps in 38 s"):
        assert said in card


def test_the_model_card_says_what_was_forgotten_where_it_was_measured(cards: ModuleType) -> None:
    forgotten = {
        "command": "python benchmarks/adapter_capability.py", "perplexity": [20.1, 21.5], "most_ratio": 1.1,
        "conversations": 50, "begin_alike": 74.0, "interval": "60.4-84.1", "least_alike": 70.0,
    }  # fmt: skip
    card = cards.model_card(TRAINING, "abc", None, forgotten=forgotten)
    assert "perplexity of plain text 20.1 without it and 21.5 with it (at most 1.1 times)" in card
    assert "of 50 ordinary turns 74% (60.4-84.1) are answered" in card
    assert "ordinary turns" not in cards.model_card(TRAINING, "abc", None)


def test_the_model_card_tells_several_seeds_together(cards: ModuleType) -> None:
    found = {"seeds": [1, 2, 3], "percent": [60.0, 62.0, 64.0], "mean": 62.0, "interval": "57.0-67.0"}
    figures = {"command": "some", "figures": {}, "over_seeds": {"tuned off": {"multiple": found}}}
    card = cards.model_card(TRAINING, "abc", figures)
    assert "tuned off, the same recipe with the seeds 1, 2, 3" in card
    assert "| multiple | 62.0% | 57.0-67.0 | 60.0, 62.0, 64.0 |" in card
