from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from portico_engine import CallPrior, Tool
from portico_gateway.guidance.argument_priors import ArgumentPriors, LazyPriors
from portico_gateway.guidance.question import Question, read_question
from portico_gateway.guidance.weights import Weights

WEIGHTS = Weights()
KEYS, OPTIONS, VALUES, RETRIEVAL = WEIGHTS.keys, WEIGHTS.options, WEIGHTS.values, WEIGHTS.retrieval


def nothing(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.zeros((len(texts), 4), np.float32)


TOOL = Tool(
    "db__rows",
    "Rows.",
    {
        "type": "object",
        "properties": {
            "table": {"enum": ["orders", "customers"]},
            "aggregate": {"enum": ["count", "max"], "description": 'count: "how many"; max: "highest", "the most"'},
            "filters": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"column": {"enum": ["status"]}, "value": {"enum": ["pending", "paid"]}},
                    "required": ["column", "value"],
                },
            },
            "group_by": {"enum": ["status"], "description": 'Said as "per", "each".'},
            "cursor": {"type": "string"},
        },
        "required": ["table", "aggregate"],
    },
)


def keys(question: str) -> dict[str, float]:
    return dict(ArgumentPriors(nothing).prior(TOOL, read_question(question)).keys[""])


def test_priors_are_made_when_they_are_looked_at() -> None:
    asked: list[str] = []

    class Counting(ArgumentPriors):
        def prior(self, tool: Tool, question: Question) -> CallPrior:
            asked.append(tool.name)
            return super().prior(tool, question)

    tools = [TOOL, Tool("docs__list", "List pages.", {"type": "object", "properties": {}})]
    priors = LazyPriors(Counting(nothing), tools, read_question("How many orders are paid?"))
    assert priors["docs__list"] == CallPrior({"": {}})
    assert asked == ["docs__list"]


def test_required_keys_weigh_nothing_and_optional_ones_cost_unless_spoken_for() -> None:
    found = keys("How many orders are pending?")
    assert found == {
        "table": 0.0,
        "aggregate": 0.0,
        "filters": KEYS.spoken_for,
        "group_by": KEYS.optional,
        "cursor": KEYS.optional,
    }


def test_words_that_a_description_quotes_speak_for_its_key() -> None:
    assert keys("Count the orders per status.")["group_by"] == KEYS.spoken_for


def test_words_that_a_description_quotes_for_an_option_speak_for_the_option() -> None:
    values = ArgumentPriors(nothing).prior(TOOL, read_question("Who has the most orders?")).values["aggregate"]
    assert values == {"count": 0.0, "max": OPTIONS.named}


def test_an_option_that_the_question_names_is_preferred() -> None:
    values = ArgumentPriors(nothing).prior(TOOL, read_question("Which orders are paid?")).values
    assert values["table"] == {"orders": OPTIONS.named + OPTIONS.head_noun, "customers": 0.0}
    assert values["filters.value"] == {"pending": 0.0, "paid": OPTIONS.named}


def test_a_query_is_the_topic_and_a_path_is_a_path() -> None:
    tool = Tool(
        "t", "T.", {"properties": {"query": {"type": "string"}, "path": {"type": "string"}}, "required": ["query", "path"]}
    )
    values = ArgumentPriors(nothing).prior(tool, read_question("Where is the KV block freed in kv/pool.py?")).values
    assert values["query"] == {"KV block freed kv/pool.py": VALUES.string}
    assert values["path"] == {"kv/pool.py": VALUES.string}


def test_strings_are_weighed_as_json_writes_them() -> None:
    tool = Tool("t", "T.", {"properties": {"value": {"type": "string"}}, "required": ["value"]})
    values = ArgumentPriors(nothing).prior(tool, read_question("Find 'a\\b' now")).values["value"]
    assert "a\\\\b" in values


def test_two_tools_that_differ_in_the_order_of_their_keys_alone_are_read_apart() -> None:
    """The order in which keys are written is a schema's own, and a prior's keys stand in it."""
    common = {"limit": {"type": "integer"}, "cursor": {"type": "string"}}
    tables = [{"table": {"const": name}, **common} for name in ("orders", "customers")]

    def tool(*, reverse: bool) -> Tool:
        ordered = [dict(reversed(of.items())) if reverse else of for of in tables]
        branches = [{"type": "object", "properties": of, "required": ["table"]} for of in ordered]
        return Tool("rows", "Rows.", {"anyOf": branches})

    priors, question = ArgumentPriors(nothing), read_question("how many orders?")
    forward, backward = (list(priors.prior(tool(reverse=reverse), question).keys[""]) for reverse in (False, True))
    assert forward
    assert backward == forward[::-1]
