"""A sample of MaskBench and of the official suite: nothing that the report doesn't name is accepted wrongly. The benchmark
does all."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.engine.grammar.schemas import DATA, checking, takes_value

from portico_engine.errors import EngineError, Unsatisfiable

MASKBENCH = DATA / "maskbench-10pct.jsonl.gz"
SUITE = DATA / "json-schema-test-suite" / "tests" / "draft2020-12"


def judge(schema: Any, tests: list[dict[str, Any]], state: Counter[str]) -> list[str]:
    """Counts right decisions; returns what was accepted wrongly without being reported."""
    try:
        grammar = checking(schema)
    except Unsatisfiable:
        state["refused"] += any(test["valid"] for test in tests)
        return []
    except EngineError:
        state["refused"] += 1
        return []
    out = []
    passed = True
    for test in tests:
        accepted = takes_value(grammar, schema, test["data"])
        passed &= accepted or not test["valid"]
        if accepted and not test["valid"] and not grammar.report.loosened:
            out.append(test["description"])
    state["passed"] += passed
    state["loosened"] += bool(grammar.report.loosened)
    return out


@pytest.mark.skipif(not MASKBENCH.is_file(), reason="MaskBench's sample is not in ../shared/data")
def test_a_sample_of_maskbench_passes_and_accepts_nothing_wrong() -> None:
    with gzip.open(MASKBENCH, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines][::24]
    state: Counter[str] = Counter()
    wrong = [(row["name"], found) for row in rows for found in judge(row["schema"], row["tests"], state)]
    assert wrong == []
    assert state["passed"] >= 0.95 * len(rows), state
    assert state["loosened"] <= 0.07 * len(rows), state


@pytest.mark.skipif(not SUITE.is_dir(), reason="the official suite is not in ../shared/data")
@pytest.mark.parametrize(
    "keyword",
    (
        "additionalProperties allOf anyOf const contains dependentRequired enum if-then-else items maxItems maxLength minimum "
        "minProperties multipleOf not oneOf pattern patternProperties prefixItems properties propertyNames required type "
        "uniqueItems"
    ).split(),
)
def test_the_official_suite_accepts_nothing_wrong_unreported(keyword: str) -> None:
    state: Counter[str] = Counter()
    for group in json.loads(Path(SUITE / f"{keyword}.json").read_text(encoding="utf-8")):
        assert judge(group["schema"], group["tests"], state) == [], group["description"]
    assert state["passed"]
