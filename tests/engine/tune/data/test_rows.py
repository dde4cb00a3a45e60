"""Rows: an example among other tools."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

import pytest

from portico_engine import Tool
from portico_engine.tune.data.example import Example
from portico_engine.tune.data.row_checks import RowChecks
from portico_engine.tune.data.rows import Neighbours, Row, RowMaker
from portico_engine.tune.data.sources.own import own_examples, own_specs

EXAMPLES = list(own_examples(random.Random(3), each=3, several=1))
SINGLE = [example for example in EXAMPLES if len(example.calls) == 1]


def names(tools: Sequence[Tool]) -> str:
    return "\n".join(tool.name for tool in tools)


@pytest.fixture
def maker() -> RowMaker:
    return RowMaker(Neighbours([spec.tool for spec in own_specs()]), [names], [1], seed=5)


def called(row: Row) -> list[str]:
    said = json.loads(row.completion)
    return [call["name"] for call in (said if isinstance(said, list) else [said])]


def test_rows_of_every_form_are_sound_and_call_tools_that_their_prompt_names(maker: RowMaker) -> None:
    rows = [maker.row(example) for example in EXAMPLES]
    rows += [maker.joined(random.Random(at).sample(SINGLE, 3)) for at in range(100)]
    checks = RowChecks()
    assert len(list(checks.sound(rows))) > 0.99 * len(rows)
    assert set(checks.faults) <= {"twice"}
    assert all(set(called(row)) <= set(row.prompt[0]["content"].split("\n")) for row in rows)


def test_several_calls_are_an_array_in_the_order_of_the_questions(maker: RowMaker) -> None:
    three = SINGLE[0], SINGLE[40], SINGLE[80]
    row = maker.joined(three)
    assert len(called(row)) == 3
    assert row.completion.startswith('[{"name":')


def test_without_its_tools_a_question_is_answered_by_no_call_and_always_with_the_same_beginning(maker: RowMaker) -> None:
    """Were there several beginnings, each would have a part of the probability, and a call won against every one."""
    rows = [maker.unanswered(example) for example in SINGLE[:80]]
    rows += [row for example in SINGLE if (row := maker.nearly(example)) is not None]
    rows += [maker.kin_only(example, [own_specs()[7].tool]) for example in SINGLE[:20]]
    assert len(rows) > 120
    assert all(row.completion.startswith("None of these tools ") for row in rows)


def test_a_row_tells_its_origin_and_licence_and_where_loss_begins(maker: RowMaker) -> None:
    rows = [json.loads(maker.row(example).as_json()) for example in SINGLE]
    assert {(row["origin"], row["licence"]) for row in rows} == {("portico", "Apache-2.0")}
    given = [row for row in rows if "given" in row]
    assert given
    assert all(row["completion"][0]["content"].startswith(row["given"]) for row in given)


def test_an_example_of_no_call_keeps_the_tools_that_were_offered(maker: RowMaker) -> None:
    offered = (own_specs()[0].tool,)
    row = maker.row(Example("Sing me a song.", (), "here", "MIT", offered=offered))
    assert len(row.tools) == 1
    assert row.completion.startswith("None")
