"""What is said of several trainings together, and of two systems on the same questions."""

from __future__ import annotations

import pytest

from model_quality_seeds import over_seeds, picture, summary
from report import paired


def sections(call: float, name: float = 90.0) -> dict[str, dict[str, object]]:
    return {"simple_python": {"call": call, "name": name}, "answerable": {"call": 1.0, "name": name}}


def test_the_interval_over_three_seeds_is_student_s() -> None:
    found = summary({1: 60.0, 2: 62.0, 3: 64.0})
    assert found["mean"] == 62.0
    assert found["half"] == pytest.approx(4.303 * 2 / 3**0.5, abs=0.01)
    assert found["interval"] == "57.0-67.0"


def test_there_is_no_interval_of_one_seed() -> None:
    with pytest.raises(ValueError, match="over 1 seeds"):
        summary({1: 60.0})
    assert over_seeds({"tuned-seed1 off": sections(60), "base off": sections(20)}) == {}


def test_seeds_are_put_together_by_recipe_and_guidance() -> None:
    figures = {
        f"tuned-seed{seed} {guidance}": sections(60 + seed, 80 + seed) for seed in (1, 2, 3) for guidance in ("off", "auto")
    }
    found = over_seeds(figures | {"tuned-seed2x off": sections(1), "other-seed1 off": sections(2)})
    assert list(found) == ["tuned off", "tuned auto"]
    assert found["tuned off"]["simple_python"]["percent"] == [61, 62, 63]
    assert found["tuned off"]["answerable"]["mean"] == 82.0  # the right tool, where one fits


def test_the_picture_has_a_bar_a_section_and_guidance_and_a_dot_a_seed() -> None:
    groups = over_seeds({f"tuned-seed{n} {g}": sections(60 + n) for n in (1, 2) for g in ("off", "auto")})
    drawn = picture(groups)
    assert drawn.count("<circle") == 2 * 2 * 2
    assert drawn.count('font-size="9"') == 4


def test_a_paired_interval_counts_what_changed_alone() -> None:
    found = paired([True] * 50 + [False] * 50, [True] * 50 + [True] * 10 + [False] * 40)
    assert (found["points"], found["won"], found["lost"]) == (10.0, 10, 0)
    assert found["interval"] == "+4.1 to +15.9"
    assert paired([True, False], [True, False])["interval"] == "+0.0 to +0.0"
