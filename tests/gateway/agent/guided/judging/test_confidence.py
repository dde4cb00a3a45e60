from __future__ import annotations

from dataclasses import fields

import pytest

from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.guided.answers.answer_generation import QuotedAnswer
from portico_gateway.agent.guided.judging.confidence import confidence, features_of
from portico_gateway.agent.judgement import Coverage
from portico_gateway.agent.question_run import QuestionRun
from portico_gateway.agent.rendered_results import RenderedResult
from portico_gateway.guidance.question import read_question
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS, ConfidenceWeights

ROWS = {"columns": ["count"], "rows": [[12]], "note": None}


def features(question: str, text: str, coverage: Coverage, data: dict[str, object] | None = None) -> dict[str, float]:
    call = ToolCallFinished("db__rows", {"table": "orders"}, RenderedResult(text, True, data=data), 0.1)
    return features_of(QuestionRun(question), read_question(question), QuotedAnswer(text, None, (call,)), coverage)


def test_every_feature_has_a_coefficient_and_every_coefficient_a_feature() -> None:
    found = features("How many orders?", "count = 12", Coverage(("orders",)), ROWS)
    assert set(found) == {field.name for field in fields(ConfidenceWeights)} - {"bias", "threshold", "sure"}


def test_confidence_is_a_probability_that_grows_with_what_its_coefficients_say() -> None:
    weights = ConfidenceWeights(**{field.name: 0.0 for field in fields(ConfidenceWeights)})
    assert confidence({"coverage": 1.0}, weights) == pytest.approx(0.5)
    weights = ConfidenceWeights(**{f.name: 2.0 if f.name == "coverage" else 0.0 for f in fields(ConfidenceWeights)})
    assert confidence({"coverage": 1.0}, weights) == pytest.approx(0.8808, abs=1e-4)
    assert confidence({"coverage": 1e9}, weights) <= 1.0


def test_an_answer_that_accounts_for_the_question_is_surer_than_one_that_does_not() -> None:
    all_used = features("How many orders were shipped?", "count = 12", Coverage(("orders", "shipped")), ROWS)
    some_used = features("How many orders were shipped?", "count = 12", Coverage(("orders",), ("shipped",)), ROWS)
    assert confidence(all_used, DEFAULT_WEIGHTS.confidence) > confidence(some_used, DEFAULT_WEIGHTS.confidence)


def test_the_shape_of_a_result_is_told_by_its_structure() -> None:
    counted = features("How many orders?", "count = 12", Coverage(("orders",)), ROWS)
    nothing = features("How many orders?", "count = 0", Coverage(("orders",)), {**ROWS, "rows": [[0]], "note": "no such"})
    text = features("How many orders?", "12", Coverage(("orders",)))
    assert (counted["rows"], counted["nothing_counted"], counted["noted"]) == (1.0, 0.0, 0.0)
    assert (nothing["nothing_counted"], nothing["noted"]) == (1.0, 1.0)
    assert (text["rows"], text["other"]) == (0.0, 1.0)


def test_words_that_nothing_of_what_was_searched_has_speak_against_an_answer() -> None:
    def judged(*calls: ToolCallFinished) -> float:
        run = QuestionRun("Which option encrypts the file?")
        run.tool_calls.extend(calls)
        answer = QuotedAnswer("--file", None, calls[:1])
        return confidence(features_of(run, read_question(run.question), answer, Coverage(("file",), ("encrypts",))))

    def searched(tool: str, holding: int) -> ToolCallFinished:
        found: dict[str, object] = {"hits": [], "words": {"encrypts": holding, "file": 9, "option": 9}}
        return ToolCallFinished(tool, {"query": "encrypts"}, RenderedResult("--file", True, data=found), 0.1)

    nowhere, elsewhere = judged(searched("a", 0), searched("b", 0)), judged(searched("a", 0), searched("b", 9))
    assert nowhere < elsewhere


def test_how_much_of_a_question_is_accounted_for_is_measured_of_searches_alone() -> None:
    data: dict[str, object] = {"hits": [], "words": {"file": 9}}
    assert features("Which option opens the file?", "--file", Coverage(("file",), ("opens",)), data)["words"] > 0
    assert features("Which option opens the file?", "--file", Coverage(("file",), ("opens",)))["words"] == 0
