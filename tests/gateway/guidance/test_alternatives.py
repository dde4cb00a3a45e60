from __future__ import annotations

from tests.gateway.guidance.boats import FORMS, TEXT, best, branch, condition, conditions, coverage_of

from portico_engine import CallPrior
from portico_gateway.guidance.alternatives import AlternativeScore, combined_prior, score_alternative
from portico_gateway.guidance.slots import Branch, branches
from portico_gateway.guidance.weights import Weights

KEYS, OPTIONS = Weights().keys, Weights().options


def chosen(score: AlternativeScore, key: str) -> str | None:
    weights = score.values.get(f"find.{key}", {})
    return max(weights, key=weights.__getitem__) if weights and score.keys[key] > 0 else None


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
