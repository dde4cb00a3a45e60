"""Files of rows, and sets that are refused: nothing here trains, and no library for training is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from portico_engine import Tool
from portico_engine.errors import EngineError
from portico_engine.tune.data.row_checks import UnfitData
from portico_engine.tune.data.row_file import PairRow, RatedRow, read_rows, write_rows
from portico_engine.tune.data.rows import Row
from portico_engine.tune.runs.run_data import run_rows

LIGHT = Tool("light", "Switches.", {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]})
OVEN = Tool("oven", "Heats.", {"type": "object", "properties": {"heat": {"type": "integer"}}})
HEAT = '{"name":"oven","arguments":{"heat":7}}'
ON, OFF = '{"name":"light","arguments":{"on":true}}', '{"name":"light","arguments":{"on":false}}'


def prompt(number: int) -> list[dict[str, str]]:
    return [{"role": "system", "content": "light(on)"}, {"role": "user", "content": f"{number} on"}]


def supervised(count: int = 20) -> list[Row]:
    return [Row(prompt(n), ON, "here", "MIT", tools=(LIGHT,)) for n in range(count)]


def pairs(count: int = 20) -> list[PairRow]:
    return [PairRow(prompt(n), ON, OFF, "here", "MIT", (LIGHT,)) for n in range(count)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([*pairs(98), PairRow(prompt(99), ON, "Nothing of that.", "", "", (LIGHT,))], None),
        (
            [*pairs(97), *[PairRow(prompt(n), ON, HEAT, "", "", (LIGHT, OVEN)) for n in range(97, 100)]],
            r"3 of 100 rows are faulty \(3 a pair of unrelated answers\)",
        ),
        ([*pairs(97), *pairs(3)], r"3 of 100 rows are faulty \(3 twice\)"),
        ([*pairs(97), *[PairRow(prompt(n), ON, ON, "", "", (LIGHT,)) for n in range(97, 100)]], "3 a pair of the same answer"),
    ],
)
def test_pairs_that_teach_nothing_are_counted_shown_and_refused(tmp_path: Path, rows: list[PairRow], said: str | None) -> None:
    write_rows(tmp_path / "pairs.jsonl", rows)
    heard: list[str] = []
    if said is None:
        assert len(run_rows(tmp_path / "pairs.jsonl", small=True, say=heard.append).train) > 80
        return
    with pytest.raises(UnfitData, match=said):
        run_rows(tmp_path / "pairs.jsonl", small=True, say=heard.append)
    assert heard[0].startswith("left out: 3 ")


def test_few_rows_are_refused_unless_they_are_meant(tmp_path: Path) -> None:
    write_rows(tmp_path / "few.jsonl", supervised(40))
    with pytest.raises(UnfitData, match="40 rows teach a model to repeat them; 500 is the least"):
        run_rows(tmp_path / "few.jsonl", small=False, say=lambda line: None)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: "),
        ('{"prompt":[]}', "'completion' is missing"),
        ('{"prompt":[{"role":"user","content":"a"}],"chosen":"b"}', "'rejected' is missing"),
        ('{"prompt":[{"role":"user","content":"a"}],"completion":"b","label":1}', "label is neither true nor false"),
        ('{"prompt":[{"role":"boss","content":"a"}],"completion":"b"}', "a message has the role 'boss'"),
        ("[1]", "it is no object"),
        ("[" * 5000, "line 2: "),
    ],
)
def test_a_line_that_is_no_row_is_named_with_what_it_must_be(tmp_path: Path, line: str, said: str) -> None:
    write_rows(tmp_path / "rows.jsonl", supervised(1))
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(EngineError, match=said) as caught:
        run_rows(tmp_path / "rows.jsonl", small=True, say=lambda line: None)
    assert "rows.jsonl, line 2" in str(caught.value)


def test_rows_come_back_from_their_file_as_they_were(tmp_path: Path) -> None:
    rows = [*supervised(1), *pairs(1), RatedRow(prompt(0), OFF, False, "here", "MIT", (LIGHT,))]
    assert write_rows(tmp_path / "rows.jsonl", rows) == 3
    assert read_rows(tmp_path / "rows.jsonl") == rows
