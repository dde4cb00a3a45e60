"""Questions as people put them: from any schema, with values that the tool takes and that stand in the question."""

from __future__ import annotations

import hashlib
import os
import random
import re
import subprocess
import sys
from typing import Any

import pytest

from portico_engine import Tool
from portico_engine.tune.data.row_checks import RowChecks, satisfies
from portico_engine.tune.data.rows import Row
from portico_engine.tune.data.spoken_questions import plain_verb, say_tool, stated_value
from portico_engine.tune.data.tool_questions import Origin, questions_over

ORIGIN = Origin("here", "MIT")


def tool(name: str, about: str, required: list[str], **properties: Any) -> Tool:
    return Tool(name, about, {"type": "object", "properties": properties, "required": required})


TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
LIGHTS = [
    tool("lamp_switch", "Switches a lamp on or off", ["lamp_id", "on"], lamp_id=TEXT, on={"type": "boolean"}),
    tool("lamp_list", "Lists the lamps of a room", [], room=TEXT, limit={**WHOLE, "default": 10}),
    tool("lamp_note", "Records a note about a lamp", ["lamp_id", "text"], lamp_id=TEXT, text=TEXT),
]


@pytest.mark.parametrize(
    ("said", "plain"),
    [("Shows", "show"), ("Switches", "switch"), ("Copies", "copy"), ("List", "list"), ("Processes", "process"),
     ("Access", "access"), ("Records", "record"), ("GETS", "GETS"), ("Focus", "focus"), ("Fixes", "fix")],
)  # fmt: skip
def test_a_verb_of_the_third_person_becomes_a_request(said: str, plain: str) -> None:
    assert plain_verb(said) == plain


def test_values_stand_in_the_question_and_are_what_the_tool_takes() -> None:
    rng = random.Random(1)
    for one in LIGHTS * 60:
        made = say_tool(one, rng)
        assert made is not None
        question, arguments = made
        assert satisfies(arguments, one.parameters)
        assert all(str(value) in question for value in arguments.values() if not isinstance(value, bool | int))
        assert "witches a lamp" not in question


def test_a_value_that_is_known_by_its_word_alone_has_its_word_where_another_looks_like_it() -> None:
    rng = random.Random(2)
    move = tool("move", "Moves a card to a board", ["card_id", "board_id"], card_id=TEXT, board_id=TEXT)
    made = [found for _ in range(100) if (found := say_tool(move, rng)) is not None]
    labelled = sum(f"card {said['card_id']}" in asked or f"card id {said['card_id']}" in asked for asked, said in made)
    assert len(made) == 100
    assert labelled > 80


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ({"type": "string", "description": "The time in the format '1234567890.123456'."}, r"\d{10}\.\d{6}"),
        ({"type": "string", "description": "One of 'local', 'remote' or 'all'."}, r"local|remote|all"),
        ({"type": "string", "description": "ISO 8601, e.g. '2024-01-15'"}, r"\d{4}-\d\d-\d\d"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "description": "A commit sha"}, r"[0-9a-f]{7}|\S+"),
    ],
)
def test_a_parameter_of_an_unknown_name_takes_what_its_description_shows(schema: dict[str, Any], pattern: str) -> None:
    rng = random.Random(3)
    for _ in range(20):
        stated = stated_value("thing", schema, rng)
        assert stated is not None
        assert re.fullmatch(pattern, stated.value)


def test_a_number_is_never_its_own_default() -> None:
    rng = random.Random(4)
    values = {made.value for _ in range(200) if (made := stated_value("limit", {**WHOLE, "default": 10}, rng)) is not None}
    assert 10 not in values
    assert len(values) > 5


def test_an_object_without_a_shape_is_not_made_up() -> None:
    assert stated_value("fields", {"type": "object", "additionalProperties": {}}, random.Random(5)) is None
    assert say_tool(tool("make", "Makes a record", ["fields"], fields={"type": "object"}), random.Random(5)) is None
    assert say_tool(tool("odd", "", []), random.Random(5)) is None


def rows(**shares: float) -> list[Row]:
    return list(questions_over(LIGHTS, lambda tools: "\n".join(t.name for t in tools), 200, seed=7, origin=ORIGIN, **shares))


def test_rows_that_offer_all_tools_offer_them_in_order_and_keep_their_names() -> None:
    made = rows(renamed=1.0, spoken=1.0, listed=1.0)
    names = [tool.name for tool in LIGHTS]
    for row in made:
        offered = [tool.name for tool in row.tools]
        assert offered == [name for name in names if name in offered]
    assert len(list(RowChecks().sound(made))) > 0.95 * len(made)


def test_questions_of_others_are_answered_by_no_call() -> None:
    none = [row for row in rows(listed=1.0) if not row.completion.startswith(("{", "["))]
    assert len(none) == 12
    assert all({tool.name for tool in row.tools} <= {tool.name for tool in LIGHTS} for row in none)


def test_what_was_made_before_is_made_as_before() -> None:
    """The default adapter's rows don't change because a catalog's do."""
    text = "\n".join(row.as_json() for row in rows())
    assert hashlib.sha256(text.encode()).hexdigest().startswith("d9060219fa9df2d3")


def test_rows_are_the_same_in_every_process() -> None:
    """Or a run that was killed could not go on: names of servers are drawn in the order of the tools, not of a set."""
    script = (
        "from portico_engine import Tool; from portico_engine.tune.data.tool_questions import Origin, questions_over;"
        "tools = [Tool(f's{n % 3}__list_{n}', f'Lists things {n}', {'type': 'object', 'properties': {}}) for n in range(9)];"
        "made = questions_over(tools, str, 60, seed=1, origin=Origin('', ''), spoken=0.7, listed=1.0, renamed=1.0);"
        "print([row.as_json() for row in made])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
