"""What is said of several trainings together, and of two systems on the same questions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_quality_seeds import over_seeds, picture, summary
from report import paired, without_folders, write


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


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("python /srv/run/benchmarks/x.py --out /tmp/a/b --model smollm2", "python x.py --out b --model smollm2"),
        ("python benchmarks/x.py --adapter mine=/home/me/run/adapter", "python benchmarks/x.py --adapter mine=adapter"),
        ("python benchmarks/x.py --share 1/3 --at ~/x/y --url http://localhost:80/v1/x", None),
    ],
)
def test_a_recorded_command_names_no_folder_of_its_machine(command: str, told: str | None) -> None:
    assert without_folders(command) == (told or command)


def test_a_result_is_written_with_such_a_command(tmp_path: Path) -> None:
    path = write("some", {"command": "python /a/b/c.py", "figure": 1}, tmp_path)
    assert json.loads(path.read_text(encoding="utf-8"))["command"] == "python c.py"
    assert "command" not in json.loads(write("other", {"figure": 1}, tmp_path).read_text(encoding="utf-8"))
