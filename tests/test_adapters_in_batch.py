"""What adapters in a batch cost: shares are of the same round, and the copies change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from adapters_in_batch import NONE, Round, figures, without_effect
from portico_engine import default_adapter


def rounds(*calls: float) -> list[Round]:
    return [Round(count, 40 * count, 30 * count, 40.0) for count in calls]


def test_a_share_is_the_median_of_what_each_round_is_of_its_own_without_adapters() -> None:
    found = figures({NONE: rounds(100, 50, 10), "16": rounds(90, 40, 9)})
    assert found["16"]["of_none"] == 0.9  # of 0.9, 0.8 and 0.9, though the medians of the calls are 40 and 50
    assert found["16"]["calls_s"] == 40
    assert found["16"]["of_none_processor"] == 0.9
    assert found[NONE]["of_none"] == 1


def test_a_round_in_which_nothing_was_answered_divides_nothing() -> None:
    assert figures({NONE: rounds(0), "1": rounds(1)})["1"]["calls_s"] == 1


def test_copies_change_no_answer_and_name_no_prompts(tmp_path: Path) -> None:
    from safetensors import safe_open

    copy = without_effect(default_adapter(), tmp_path / "copy")
    with safe_open(copy / "adapter_model.safetensors", "pt") as stored:
        assert "portico.prompts" not in (stored.metadata() or {})
        names = list(stored.keys())
        assert all(torch.count_nonzero(stored.get_tensor(name)) == 0 for name in names if ".lora_B." in name)
        assert any(torch.count_nonzero(stored.get_tensor(name)) for name in names if ".lora_A." in name)


def test_without_rounds_without_adapters_there_is_no_share() -> None:
    with pytest.raises(KeyError, match=NONE):
        figures({"1": rounds(1)})
