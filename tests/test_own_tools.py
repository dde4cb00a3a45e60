"""The benchmark of catalogs' own adapters: its questions are frozen, can be asked, and its judgement means what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_quality import SECTIONS, questions_of
from own_tools import QUESTIONS, SERVERS, as_row, questions, report, right
from portico_engine import Tool
from portico_engine.tune.data.overlap import Overlap
from portico_engine.tune.data.said_calls import SaidCall
from portico_engine.tune.data.tool_questions import Origin, questions_over
from portico_gateway.tuning.own_tools import listed_tools

TOOLS = Path(__file__).parents[2] / "shared" / "data" / "mcp-tools"
LOG = Tool(
    "log",
    "Shows commits",
    {
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "count": {"type": "integer", "default": 10},
            "since": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        },
    },
)
WANTED = [SaidCall("log", {"path": "a"})]


@pytest.mark.parametrize("server", SERVERS)
def test_the_questions_are_those_that_were_committed(server: str) -> None:
    asked = questions(server)
    assert len({one.question for one in asked}) == 60
    assert sum(one.tool is None for one in asked) == 6


def test_questions_that_were_changed_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / QUESTIONS.name
    changed.write_text(QUESTIONS.read_text(encoding="utf-8").replace("Which", "which", 1), encoding="utf-8")
    changed.with_suffix(".sha256").write_bytes(QUESTIONS.with_suffix(".sha256").read_bytes())
    monkeypatch.setattr("own_tools.QUESTIONS", changed)
    with pytest.raises(SystemExit, match="is not what was committed"):
        questions("git")


@pytest.mark.skipif(not TOOLS.exists(), reason="the tool lists lie beside the repository")
@pytest.mark.parametrize("server", SERVERS)
def test_each_right_call_is_valid_and_no_training_question_is_one_of_them(server: str) -> None:
    tools = listed_tools(TOOLS / f"{server}.json")
    asked = questions(server)
    rows = [as_row(one, tools) for one in asked]
    assert {one.tool for one in asked} - {None} == {tool.name for tool in tools}
    for one, row in zip(asked, rows, strict=True):
        if one.tool is not None:
            assert json.loads(row.completion) == {"name": one.tool, "arguments": one.arguments}
            for value in one.arguments.values():
                parts = value if isinstance(value, list) else [value]
                assert all(part in one.question for part in parts if isinstance(part, str))
    made = questions_over(tools, lambda tools: "", 2000, seed=1, origin=Origin("", ""), spoken=0.7, listed=0.5)
    overlap = Overlap(one.question for one in asked)
    assert [row.question for row in made if overlap.found(row.question) is not None] == []


@pytest.mark.parametrize(
    ("said", "is_right"),
    [
        ([SaidCall("log", {"path": "a"})], True),
        ([SaidCall("log", {"path": "a", "count": 10, "since": None})], True),
        ([SaidCall("log", {"path": "a", "count": 10.0})], True),
        ([SaidCall("log", {"path": "a", "count": 9})], False),
        ([SaidCall("log", {"path": "b"})], False),
        ([SaidCall("log", {"path": "a"})] * 2, False),
        ([SaidCall("log", ["a"])], False),
        ([], False),
        (None, False),
    ],
)
def test_right_is_the_very_call_but_for_what_is_so_anyway(said: list[SaidCall] | None, is_right: bool) -> None:
    assert right(said, WANTED, [LOG]) is is_right


def test_where_no_tool_fits_only_no_call_is_right() -> None:
    assert right([], [], [LOG])
    assert not right(WANTED, [], [LOG])


def test_the_report_tells_what_the_own_adapter_gains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(rights: list[bool]) -> list[dict[str, object]]:
        return [{"question": str(at), "said": "", "right": one, "tool": one, "fits": at > 0} for at, one in enumerate(rights)]

    answers = {"by hand": {"default": said([True, False, False, True]), "own": said([True, True, True, True])}}
    (tmp_path / "git.json").write_text(json.dumps({"server": "git", "tools": 12, "command": "c", "answers": answers}))
    report([tmp_path], no_write=True)
    told = capsys.readouterr().out
    assert "own over default: +50.0 points" in told
    assert "1 of 1" in told


def test_no_question_is_one_of_bfcl() -> None:
    overlap = Overlap(case.messages[-1]["content"] for section in SECTIONS for case in questions_of(section, 0, 400))
    assert [one.question for server in SERVERS for one in questions(server) if overlap.found(one.question) is not None] == []
