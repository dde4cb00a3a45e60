"""What the default adapter goes on with: its own answers by parts, and turns without tools."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest
import refined_adapter

from portico_engine.tune.data.row_file import PairRow
from portico_engine.tune.data.rows import Row

TOOLS = Path(__file__).parents[2] / "shared" / "data" / "mcp-tools"


def options(**more: object) -> argparse.Namespace:
    return argparse.Namespace(**{"small": False, "seed": 1, "talk": 100, "questions": 60, "workspaces": None} | more)


def test_half_of_the_turns_without_tools_are_questions_that_were_asked_with_them() -> None:
    asked = [f"question {n}" for n in range(500)]
    turns = refined_adapter.turns_without_tools(options(), asked)
    assert len(turns) == len(set(turns)) == 100
    assert sum(turn in asked for turn in turns) == 50
    assert turns == refined_adapter.turns_without_tools(options(), asked)


def test_where_few_were_asked_ordinary_turns_make_up_for_them() -> None:
    turns = refined_adapter.turns_without_tools(options(), ["one", "two"])
    assert len(turns) == 100
    assert {"one", "two"} < set(turns)


def test_an_answer_that_was_put_right_teaches_what_is_right() -> None:
    row = Row([{"role": "user", "content": "q"}], "right", "here", "MIT")
    pair = PairRow(row.prompt, "right", "wrong", "here", "MIT")
    assert refined_adapter.right_answer(row) == refined_adapter.right_answer(pair) == "right"


@pytest.mark.skipif(not TOOLS.exists(), reason="the tool lists lie beside the repository")
def test_an_eighth_of_the_questions_ask_for_several_calls_of_one_tool() -> None:
    made = refined_adapter.questions(options(tools=TOOLS, questions=224))
    assert 200 <= len(made) <= 224
    several = [row for row in made if row.completion.startswith("[{")]
    assert len(several) >= 20
    assert made == refined_adapter.questions(options(tools=TOOLS, questions=224))


def test_without_answers_there_is_nothing_to_train_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained, work, out = (str(tmp_path / name) for name in ("trained", "work", "out"))
    monkeypatch.setattr(
        sys, "argv", ["refined_adapter.py", "train", "--trained", trained, "--work", work, "--out", out, "--device", "cpu"]
    )
    with pytest.raises(SystemExit, match=r"there are no answers in .*: `answer` writes them"):
        refined_adapter.main()
