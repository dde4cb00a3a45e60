"""Training sets that are refused, and rows that are left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portico_engine import Tool
from portico_engine.tune.data.row_checks import RowChecks, UnfitData
from portico_engine.tune.data.rows import Row

TOOL = Tool(
    "add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}, "how": {"enum": ["x"]}}, "required": ["a"]}
)


def row(completion: str, question: str = "Add 2.") -> Row:
    prompt = [{"role": "system", "content": "add"}, {"role": "user", "content": question}]
    return Row(prompt, completion, "here", "MIT", tools=(TOOL,))


@pytest.mark.parametrize(
    ("faulty", "fault"),
    [
        (row('{"name":"subtract","arguments":{"a":2}}'), "of an unknown tool"),
        (row('{"name":"add","arguments":{"a":"2"}}'), "a call that its tool doesn't take"),
        (row('{"name":"add","arguments":{}}'), "a call that its tool doesn't take"),
        (row('{"name":"add","arguments":{"a":2,"b":3}}'), "a call that its tool doesn't take"),
        (row('{"name":"add","arguments":{"a":2,"how":"y"}}'), "a call that its tool doesn't take"),
        (row('[{"name":"add","arguments":{"a":2}},{"name":"no","arguments":{}}]'), "of an unknown tool"),
        (row('{"name":"add","arguments":'), "no JSON"),
        (row('{"tool":"add"}'), "no call"),
        (row(" "), "empty"),
        (row("Nothing.", question=" "), "empty"),
    ],
)
def test_a_faulty_row_is_left_out_and_counted_by_its_fault(faulty: Row, fault: str) -> None:
    checks = RowChecks()
    good = [row('{"name":"add","arguments":{"a":2,"how":"x"}}'), row("None of these tools can do that.")]
    assert list(checks.sound([*good, faulty])) == good
    assert checks.faults == {fault: 1}


def test_a_row_that_is_there_already_is_counted_and_left_out() -> None:
    checks = RowChecks()
    assert len(list(checks.sound([row("No."), row("No."), row("No.", question="Add 3.")]))) == 2
    assert checks.faults == {"twice": 1}


def test_a_set_with_too_many_faults_is_refused_with_each_kind_counted() -> None:
    checks = RowChecks()
    rows = [row("No.", question=f"Add {n}.") for n in range(980)]
    list(checks.sound([*rows, *[row('{"name":"no","arguments":{}}', question=f"{n}") for n in range(20)]]))
    with pytest.raises(UnfitData, match=r"^20 of 1000 rows are faulty \(20 of an unknown tool\); at most 1% may be"):
        checks.refuse_unfit()


def test_a_small_set_is_refused_unless_it_is_meant_so() -> None:
    checks = RowChecks()
    list(checks.sound([replace(row("No."), prompt=row("No.", question=f"{n}").prompt) for n in range(499)]))
    with pytest.raises(UnfitData, match="499 rows teach a model to repeat them; 500 is the least"):
        checks.refuse_unfit()
    checks.refuse_unfit(small=True)
