"""Alternatives, and what a question says of each. The schema is a made-up one: nothing here knows databases."""

from __future__ import annotations

from typing import Any

import pytest

from portico_engine import CallPrior
from portico_gateway.guidance.alternatives import AlternativeScore, combined_prior, score_alternative
from portico_gateway.guidance.question import tokens_of, values_of
from portico_gateway.guidance.slots import Branch, branch_vocabulary, branches
from portico_gateway.guidance.stemming import stems_of
from portico_gateway.guidance.weights import Weights
from portico_gateway.guidance.word_coverage import WordCoverage

KEYS, OPTIONS = Weights().keys, Weights().options


def condition(names: list[str], ops: list[str], value: dict[str, Any]) -> dict[str, Any]:
    properties = {"what": {"enum": names}, "how": {"enum": ops}, "value": value}
    return {"type": "object", "properties": properties, "required": ["what", "how", "value"]}


def branch(thing: str, names: list[str], conditions: list[dict[str, Any]]) -> dict[str, Any]:
    find = {
        "thing": {"const": thing},
        "action": {"description": 'list: "show"; count: "how many"; most: "highest"'},
        "show": {"type": "array", "items": {"enum": names}},
        "where": {
            "type": "array",
            "items": {"anyOf": conditions},
            "description": '>: "over", "more than", "between"; <: "under", "between ... and ..."; null: "no", "without"',
        },
        "by": {"enum": names, "description": 'Said as "per ...", "which ... the most".'},
        "sort": {"enum": names, "description": 'Said as `way`, "the most ...".'},
        "way": {"enum": ["up", "down"], "description": 'up: "cheapest", "oldest"; down: "newest"'},
        "first": {"type": "integer", "description": '"top ..."; 1: `way`'},
    }
    forms = [
        {"properties": {"action": {"const": "list"}, "by": False}},
        {"properties": {"action": {"const": "count"}, "show": False}},
        {"properties": {"action": {"const": "most"}}, "required": ["show"]},
    ]
    return {"properties": find, "required": ["thing", "action"], "anyOf": forms}


TEXT, NUMBER = {"type": ["string", "null"]}, {"type": ["number", "null"]}
SCHEMA = {
    "anyOf": [
        branch(
            "boats",
            ["harbour", "length", "colour", "Owner.name", "Owner.town", "built", "insured", "Owner_id"],
            [
                condition(["harbour", "Owner.name", "Owner.town"], ["=", "!="], TEXT),
                condition(["length", "Owner_id"], ["=", ">", "<"], NUMBER),
                condition(["built"], ["=", ">", "<"], {"type": ["string", "null"], "format": "date"}),
                condition(["insured"], ["="], {"type": "boolean"}),
                condition(["colour"], ["=", "!="], {"enum": ["red", "sea green"]}),
            ],
        ),
        branch("Owner", ["name", "town"], [condition(["name", "town"], ["=", "!="], TEXT)]),
    ]
}
FORMS = branches(SCHEMA, SCHEMA)


def alike(first: str, second: str) -> float:
    """A stand-in for embeddings: the few senses that the questions below need."""
    senses = [{"length", "cheapest", "longer"}, {"built", "oldest"}, {"town", "harbour", "place city town country"}]
    return 0.6 if first != second and any({first, second} <= sense for sense in senses) else 0.0


def coverage_of(question: str) -> WordCoverage:
    tokens = tokens_of(question)
    known = frozenset(stem for text in branch_vocabulary(FORMS) for stem in stems_of(text))
    return WordCoverage(tokens, values_of(question, tokens), alike, known)


def best(question: str) -> AlternativeScore:
    coverage = coverage_of(question)
    return max((score_alternative(form, coverage, "find") for form in FORMS), key=lambda score: score.total)


def conditions(score: AlternativeScore) -> list[tuple[str, str, str]]:
    found = []
    for item in score.items.get("find.where", []):
        names, ops = item.values["find.where.what"], item.values["find.where.how"]
        said = item.values.get("find.where.value") or item.bare["find.where.value"]
        found.append((max(names, key=names.__getitem__), max(ops, key=ops.__getitem__), next(iter(said))))
    return found


def chosen(score: AlternativeScore, key: str) -> str | None:
    weights = score.values.get(f"find.{key}", {})
    return max(weights, key=weights.__getitem__) if weights and score.keys[key] > 0 else None


def test_a_branch_stands_for_its_choices_and_forbidden_keys_are_no_slots() -> None:
    assert [dict(form.choice) for form in FORMS] == [
        {"thing": thing, "action": action} for thing in ("boats", "Owner") for action in ("list", "count", "most")
    ]
    assert ["by" in {slot.name for slot in form.slots} for form in FORMS] == [False, True, True] * 2
    assert branches(SCHEMA["anyOf"][1]["properties"]["where"]["items"]["anyOf"][0], SCHEMA) == []


def test_names_and_values_of_a_list_of_conditions_are_told_apart_whatever_they_are_called() -> None:
    found = next(slot.conditions for slot in FORMS[0].slots if slot.name == "where")
    assert found is not None
    assert (found.subject, found.op, found.value) == ("what", "how", "value")
    assert found.of["colour"].listed == ("red", "sea green")
    assert (found.of["built"].kinds, found.of["length"].ops) == ({"date", "null"}, ("=", ">", "<"))


def test_a_key_in_backquotes_lends_its_phrases() -> None:
    lent = next(slot for slot in FORMS[0].slots if slot.name == "sort").phrases[""]
    assert [phrase.parts[0] for phrase in lent] == [("cheapest",), ("oldest",), ("newest",), ("the", "most")]


@pytest.mark.parametrize(
    ("question", "choice", "expected"),
    [
        ("How many boats are red?", ("boats", "count"), [("colour", "=", "red")]),
        ("Show the boats that are not sea green", ("boats", "list"), [("colour", "!=", "sea green")]),
        ("How many boats are over 12?", ("boats", "count"), [("length", ">", "12")]),
        ("How many boats lie in Oslo?", ("boats", "count"), [("harbour", "=", "Oslo")]),
        ("How many boats have an owner from Oslo town?", ("boats", "count"), [("Owner.town", "=", "Oslo")]),
        ("How many boats were built in 1999?", ("boats", "count"), [("built", "=", "1999")]),
        ("How many boats are insured?", ("boats", "count"), [("insured", "=", "true")]),
        ("How many boats are not insured?", ("boats", "count"), [("insured", "=", "false")]),
        ("How many boats have no harbour?", ("boats", "count"), [("harbour", "=", "null")]),
        ("How many boats have a harbour?", ("boats", "count"), [("harbour", "!=", "null")]),
        ("How many owners are there?", ("Owner", "count"), []),
        ("How many boats have a length between 5 and 9?", ("boats", "count"), [("length", ">", "5"), ("length", "<", "9")]),
        ("How many red boats are under 7?", ("boats", "count"), [("colour", "=", "red"), ("length", "<", "7")]),
        ("Show boats with harbour north", ("boats", "list"), [("harbour", "=", "north")]),
        ("How many boats of an owner were sold by pim?", ("boats", "count"), [("Owner.name", "=", "pim")]),
        ("How many wooden boats are there?", ("boats", "count"), [("harbour", "=", "wooden")]),
        ("How many boats have no owner?", ("boats", "count"), [("Owner_id", "=", "null")]),
    ],
)
def test_values_find_their_names(question: str, choice: tuple[str, str], expected: list[tuple[str, str, str]]) -> None:
    score = best(question)
    assert tuple(score.choice.values()) == choice
    assert conditions(score) == expected
    assert (score.keys["where"] > 0) == bool(expected), "nothing is left to compare: no conditions"


def test_a_phrase_speaks_for_a_key_and_its_gap_for_the_option() -> None:
    score = best("How many boats are there per harbour?")
    assert (chosen(score, "by"), score.keys["sort"], score.keys["first"]) == (
        "harbour",
        KEYS.optional,
        KEYS.optional,
    )
    assert chosen(best("How many boats per owner?"), "by") == "Owner.name", (
        "the owner's first name, not the key that refers to it"
    )
    assert best("How many boats are delayed by more than 60?").keys["by"] == KEYS.optional


def test_superlatives_sort_by_what_is_of_their_kind() -> None:
    oldest, cheapest = best("Show the oldest boat"), best("Show the 3 cheapest boats")
    assert (chosen(oldest, "sort"), chosen(oldest, "way"), oldest.bare["find.first"]) == ("built", "up", {"1": 9.0})
    assert (chosen(cheapest, "sort"), cheapest.bare["find.first"]) == ("length", {"3": 9.0})
    assert conditions(cheapest) == [], "the number says how many: no condition is left for it"


def test_words_that_nothing_else_claims_are_names_to_show() -> None:
    score = best("Show the harbour and colour of insured boats")
    assert [item.values["find.show"] for item in score.items["find.show"]] == [
        {"harbour": OPTIONS.match},
        {"colour": OPTIONS.match},
    ]
    assert chosen(best("What is the highest length?"), "show") == "length"


def test_a_value_that_finds_no_name_speaks_against_the_branch() -> None:
    coverage = coverage_of("Owners over 12")
    unused = {tuple(form.choice.values()): score_alternative(form, coverage, "").unused_values for form in FORMS}
    assert unused["Owner", "count"] == 1
    assert unused["boats", "count"] == 0


def test_the_prior_of_all_cases_follows_each_choice() -> None:
    coverage = coverage_of("How many boats are red?")
    prior = combined_prior([score_alternative(form, coverage, "find") for form in FORMS], ["thing", "action"], "find")
    weights = prior.values["find.thing"]
    assert weights["boats"] > weights["Owner"]
    boats = prior.then["find.thing"]["boats"]
    assert boats.values["find.action"]["count"] > boats.values["find.action"]["list"]
    counted = boats.then["find.action"]["count"]
    assert isinstance(counted, CallPrior)
    assert counted.keys["find"]["where"] > 0 > counted.keys["find"]["sort"]
    assert len(counted.items["find.where"]) == 1


def test_names_are_weighed_as_json_writes_them() -> None:
    odd = 'say "hi"'
    schema = {"anyOf": [branch("boats", [odd, "b"], [condition([odd, "b"], ["="], TEXT)]), branch("x", ["y"], [])]}
    forms: list[Branch] = branches(schema, schema)
    coverage = coverage_of("How many boats per say hi?")
    score = score_alternative(
        next(form for form in forms if dict(form.choice) == {"thing": "boats", "action": "count"}), coverage, ""
    )
    assert 'say \\"hi\\"' in score.values["by"]
