"""The benchmark of our three servers: its questions are frozen and nobody else's, and its judgements mean what they say."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from answers_questions import READABLE, part
from portico_engine.tune.data.overlap import Overlap
from server_questions import Journal
from server_questions_judging import UNSAID, call_rows, comparison
from server_questions_material import QUESTIONS, WORKSPACES, question_id, questions
from server_questions_scoring import finds, names_source, right_tool, tells

CODE: dict[str, Any] = {
    "area": "code",
    "question": "how many shards",
    "tools": ["code__search"],
    "answers": {"all_of": [["shards=8", "8"]]},
    "evidence": {"file": "cache/fanout.py", "lines": [20], "text": "shards=8"},
}
DOCS: dict[str, Any] = {**CODE, "area": "docs", "answers": {"all_of": [["24 hours"]]}, "evidence": {"file": "unpublish.md"}}
ROWS: dict[str, Any] = {
    "area": "db",
    "question": "how many ferries",
    "answers": {"all_of": [["7"]]},
    "evidence": {"sql": "SELECT ...", "rows": [[7]], "table": "vessels"},
}


def test_the_questions_are_those_that_were_committed_before_a_model_was_asked() -> None:
    asked = questions()
    assert len({question["id"] for question in asked}) == 300
    assert Counter(question["area"] for question in asked) == {"code": 120, "docs": 90, "db": 90}
    assert {question["workspace"] for question in asked} == set(WORKSPACES)
    assert all(question["id"] == question_id(question["workspace"], question["question"]) for question in asked)
    assert all(right_tool(question, question["call"]["name"]) for question in asked)


def test_questions_that_were_changed_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / QUESTIONS.name
    changed.write_text(QUESTIONS.read_text(encoding="utf-8").replace("How", "how", 1), encoding="utf-8")
    monkeypatch.setattr("server_questions_material.QUESTIONS", changed)
    with pytest.raises(SystemExit, match="is not what was committed"):
        questions()


def test_none_is_a_question_of_the_other_benchmark() -> None:
    overlap = Overlap(question["question"] for name in READABLE for question in part(name))
    assert [question["question"] for question in questions() if overlap.found(question["question"])] == []


@pytest.mark.parametrize(("path", "start", "end", "found"), [
    ("cache/fanout.py", 18, 24, True),
    ("cache/fanout.py", 21, 40, False),
    ("cache/core.py", 18, 24, False),
])  # fmt: skip
def test_code_is_found_where_a_hit_holds_the_line(path: str, start: int, end: int, found: bool) -> None:
    assert finds(CODE, "", {"hits": [{"path": path, "start_line": start, "end_line": end}]}) is found
    assert finds(CODE, "", {"path": path, "start_line": start, "end_line": end, "text": ""}) is found
    assert finds(CODE, "", {"path": path, "symbols": [{"start_line": start, "end_line": end}]}) is found


def test_documentation_is_found_where_a_passage_of_the_page_has_the_fact() -> None:
    there = {"path": "unpublish.md", "text": "until 24 hours have passed"}
    assert finds(DOCS, "", {"hits": [there]})
    assert not finds(DOCS, "", {"hits": [{**there, "path": "publish.md"}]})
    assert not finds(DOCS, "until 24 hours have passed", {"hits": [{**there, "text": "at once"}]})


def test_a_number_among_many_others_is_no_finding() -> None:
    assert finds(ROWS, "7", {})
    assert not finds(ROWS, " ".join(str(number) for number in range(20)), {})
    assert tells(ROWS, "ferries: 7")
    assert not tells(ROWS, "8")


def test_a_source_is_the_page_or_the_table() -> None:
    assert names_source(CODE, "cache/fanout.py:20")
    assert not names_source(CODE, "cache/core.py:20")
    assert names_source(ROWS, "table vessels")
    assert not names_source(ROWS, "table berths")


def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.add({"id": "a", "setting": "none off", "finds": True})
    with path.open("a", encoding="utf-8") as file:
        file.write('{"id": "b", "sett')
    again = Journal(path)
    assert ("a", "none off") in again
    assert ("b", "none off") not in again
    again.add({"id": "b", "setting": "none off", "finds": False})
    assert Journal(path)["b", "none off"] == {"id": "b", "setting": "none off", "finds": False}
    assert [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith('{"id": "b", "setting"')] == [
        json.dumps({"id": "b", "setting": "none off", "finds": False})
    ]


def test_settings_are_compared_on_the_same_questions() -> None:
    right = {"tool": "t", "arguments": "{}", "right_tool": True, "finds": True, "shown": True}
    wrong = {"tool": "u", "arguments": "{}", "right_tool": False, "finds": False, "shown": False}
    found = {"shipped off": [right, right, wrong], "shipped off unforced": [right, wrong, right]}
    asked = [CODE, CODE, DOCS]
    [line] = comparison({name: dict(enumerate(map(dict, rows))) for name, rows in found.items()})
    assert line == {
        "compared": "shipped off / shipped off unforced", "questions": 3, "same call": 1, "right_tool": [1, 1], "finds": [1, 1],
    }  # fmt: skip
    by_area = {area: figures for area, _, _, figures in call_rows(asked, found)}
    assert by_area["all"]["shipped off"]["call finds it"]["share"] == 66.7
    assert by_area["docs"]["shipped off"]["right tool"]["share"] == 0.0
    assert by_area[UNSAID]["shipped off"]["questions"] == 3
    asked[0] = {**CODE, "question": "what does shards=8 mean"}
    by_area = {area: figures for area, _, _, figures in call_rows(asked, found)}
    assert by_area[UNSAID]["shipped off"]["questions"] == 2
