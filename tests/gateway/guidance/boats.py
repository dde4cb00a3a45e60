"""A made-up schema with alternatives, and what questions say of it: nothing here knows databases."""

from __future__ import annotations

from typing import Any

from portico_gateway.guidance.alternatives import AlternativeScore, score_alternative
from portico_gateway.guidance.question import tokens_of, values_of
from portico_gateway.guidance.slots import branch_vocabulary, branches
from portico_gateway.guidance.stemming import stems_of
from portico_gateway.guidance.word_coverage import WordCoverage


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
