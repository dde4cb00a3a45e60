"""Our own tools and questions: what the notation says, and that every call holds what its question states."""

from __future__ import annotations

import random

import jsonschema
import pytest

from portico_engine.tune.data.sources.own import own_examples, own_specs
from portico_engine.tune.data.spec_file import read_specs

HEAD = "book(city: string@city, nights?: integer@2..9, breakfast?: boolean, kind?: single|double) - Book a room."


def test_a_question_states_what_its_call_holds_and_nothing_else() -> None:
    (spec,) = read_specs(
        f"{HEAD}\n> A[ {{kind}}] room in {{city}}[ for {{nights}} nights][{{breakfast?, with food|, no food}}]"
    )
    rng = random.Random(1)
    seen = set()
    for _ in range(200):
        question, arguments = spec.ask(rng)
        assert arguments["city"] in question
        assert ("nights" in question) == ("nights" in arguments)
        assert (", with food" in question) == (arguments.get("breakfast") is True)
        assert (", no food" in question) == (arguments.get("breakfast") is False)
        seen.add(tuple(arguments))
    assert len(seen) == 8  # each optional part there or not


def test_several_calls_share_all_but_what_the_question_lists() -> None:
    (spec,) = read_specs(f"{HEAD}\n> A room in {{city}} for {{nights}} nights")
    for seed in range(40):
        made = spec.ask_several(random.Random(seed))
        assert made is not None
        question, calls = made
        assert len(calls) > 1
        assert len({tuple(call.items()) for call in calls}) == len(calls)
        assert all(call["city"] in question for call in calls)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("not a tool\n> a question", "neither a tool nor a question: not a tool"),
        (f"{HEAD}\n> A room[ in {{city}}]", "book: this question does not state city"),
    ],
)
def test_a_line_that_is_none_of_the_notation_is_named(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        list(read_specs(text))


def test_all_of_our_questions_have_calls_that_their_tools_take_however_described() -> None:
    schemas: dict[str, jsonschema.Draft202012Validator] = {}
    tools, described = set(), 0
    for example in own_examples(random.Random(2), each=12, several=4, described=0.8):
        for call in example.calls:
            described += any("description" in about for about in call.tool.parameters["properties"].values())
            validator = schemas.setdefault(repr(call.tool), jsonschema.Draft202012Validator(call.tool.parameters))
            assert validator.is_valid(call.arguments), (example.question, call.arguments, call.tool.parameters)
            tools.add(call.tool.name)
        assert (example.origin, example.licence) == ("portico", "Apache-2.0")
    assert len(tools) == len(own_specs()) > 100
    assert described > 1000
