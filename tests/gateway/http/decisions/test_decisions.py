"""Typed decisions over an engine with opinions: what it is asked, and what its log-probabilities become."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.http.fake_engine import FakeEngine

from portico_engine import find_model
from portico_engine.weights.gguf_file import GGUFFile
from portico_gateway.http.decisions import calibration
from portico_gateway.http.decisions.calibration import UNCALIBRATED, Calibration, calibration_of, confidence
from portico_gateway.http.decisions.question import choice, predicate, score

pytestmark = pytest.mark.anyio


@dataclass
class OpinionatedEngine(FakeEngine):
    """`opinion(prompt, answer)` is the log-probability of an answer as a whole."""

    opinion: Callable[[str, str], float] = lambda prompt, answer: -1.0
    scored: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def score(self, prompt: Sequence[int], continuations: Sequence[Sequence[int]], salt: bytes = b"") -> list[list[float]]:
        text, answers = bytes(prompt).decode(), [bytes(each).decode() for each in continuations]
        self.scored.append((text, tuple(answers)))
        return [[self.opinion(text, answer), *[0.0] * (len(answer) - 1)] for answer in answers]


def likes(**wanted: float) -> Callable[[str, str], float]:
    """Answers are as likely as `wanted` says behind the state, and all alike behind nothing."""
    return lambda prompt, answer: math.log(wanted.get(answer, 0.01)) if "N/A" not in prompt else -2.0


STATE = "I was charged twice."
PREDICATE = {"type": "predicate", "instructions": "It is about money.", "name": "money"}
CHOICE = {
    "type": "choice",
    "instructions": "Which team?",
    "choices": [{"value": "billing", "description": "payments"}, {"value": "bugs"}, {"value": True}, {"value": "true"}],
}
SCORE = {"type": "score", "instructions": "How urgent?", "levels": [{"label": "low"}, {"label": "mid"}, {"label": "high"}]}


async def decide(serve: Any, engine: Any, **body: Any) -> Any:
    async with serve(engine) as client:
        response = await client.post("/v1/decisions", json={"model": "fake", "input": STATE, **body})
    assert response.status_code == 200, response.text
    return response.json()


async def test_each_kind_of_question_is_answered_in_order_with_probabilities(serve: Any) -> None:
    engine = OpinionatedEngine(
        opinion=likes(Yes=0.8, No=0.2, billing=0.6, bugs=0.2, **{"true": 0.1, '"true"': 0.1, "1": 0.5, "2": 0.5, "0": 1e-9})
    )
    found = await decide(serve, engine, questions=[PREDICATE, CHOICE, SCORE])
    first, second, third = found["answers"]
    assert first == {"type": "predicate", "name": "money", "probability": pytest.approx(0.8)}
    assert second["choice"] == "billing"
    assert [(each["value"], round(each["probability"], 2)) for each in second["probabilities"]] == [
        ("billing", 0.6),
        ("bugs", 0.2),
        (True, 0.1),
        ("true", 0.1),
    ]
    assert third["score"] == pytest.approx(1.5, abs=1e-6)
    assert [each["label"] for each in third["probabilities"]] == ["low", "mid", "high"]
    assert found["usage"]["total_tokens"] == found["usage"]["input_tokens"] > len(STATE)
    assert "not calibrated" in found["warnings"][0]


def test_the_default_model_is_calibrated_wherever_it_was_installed(tmp_path: Path) -> None:
    copy = tmp_path / "copy.gguf"
    shutil.copyfile(find_model(), copy)  # with a time of its own, as every installation gives it
    there, here = GGUFFile(find_model()), GGUFFile(copy)
    assert here.fingerprint() != there.fingerprint()
    assert here.content_digest() == there.content_digest()
    assert calibration_of(here.content_digest()) is not None


async def test_a_model_that_was_calibrated_is_not_warned_of(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = OpinionatedEngine(opinion=likes(Yes=0.8, No=0.2))
    digest = "of a fitted model"
    monkeypatch.setattr(type(engine), "info", replace(engine.info, content_digest=digest))
    monkeypatch.setitem(calibration._FITTED, digest, UNCALIBRATED)  # type: ignore[index]
    found = await decide(serve, engine, questions=[PREDICATE])
    assert "warnings" not in found


async def test_the_state_is_rendered_once_and_computed_once_before_any_question(serve: Any) -> None:
    engine = OpinionatedEngine()
    await decide(serve, engine, questions=[{**PREDICATE, "instructions": f"Claim {n}."} for n in range(20)])
    states = [turns[-1]["content"] for turns in engine.rendered if STATE in turns[-1]["content"]]
    assert len(states) == 2  # the two from which what all questions share is read off
    assert bytes(engine.requests[0].prompt).decode().endswith(f"{STATE}\n\n")
    behind_state = [text for text, _ in engine.scored if STATE in text]
    assert len(behind_state) == 20
    assert all(text.startswith(bytes(engine.requests[0].prompt).decode()) for text in behind_state)


async def test_what_a_model_likes_whatever_it_reads_counts_for_nothing(serve: Any) -> None:
    engine = OpinionatedEngine(opinion=lambda prompt, answer: -0.1 if answer == "Yes" else -4.0)
    found = await decide(serve, engine, questions=[PREDICATE])
    assert found["answers"][0]["probability"] == pytest.approx(0.5)


async def test_what_a_model_thinks_of_answers_by_themselves_is_asked_once_for_a_caller(serve: Any) -> None:
    engine = OpinionatedEngine()
    async with serve(engine) as client:
        for text in ("one", "two", "three"):
            await client.post("/v1/decisions", json={"model": "fake", "input": text, "questions": [PREDICATE]})
    assert len([text for text, _ in engine.scored if "N/A" in text]) == 1
    assert len(engine.scored) == 4


async def test_a_conversation_is_read_as_a_transcript(serve: Any) -> None:
    turns = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}, {"type": "input_json", "data": {"a": 1}}]},
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "nothing"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    ]
    engine = OpinionatedEngine()
    await decide(serve, engine, input=turns, questions=[PREDICATE])
    assert 'developer: Be kind.\nuser: Hi\n{"a":1}\ncall of look: {}\nresult: nothing\nassistant: No.' in engine.scored[0][0]


async def test_system_one_answers_under_the_questions_names(serve: Any) -> None:
    engine = OpinionatedEngine(opinion=likes(Yes=0.3, No=0.7, billing=0.9, other=0.1, **{"0": 0.25, "1": 0.75}))
    questions = {
        "angry": {"type": "noul", "instructions": "The author is angry.", "criteria": {"true": "shouts", "false": "is calm"}},
        "team": {"type": "choice", "instructions": "Which?", "criteria": {"billing": "payments", "other": None}},
        "urgency": {"type": "score", "instructions": "How urgent?", "criteria": ["can wait", "today"]},
    }
    async with serve(engine) as client:
        found = (await client.post("/v1/systemone", json={"state": {"subject": "x"}, "questions": questions})).json()
    assert found["model"] == "fake"
    assert found["answers"]["angry"] == {"type": "noul", "noul": pytest.approx(0.3)}
    team = found["answers"]["team"]
    assert (team["choice"], team["probabilities"]) == ("billing", {"billing": pytest.approx(0.9), "other": pytest.approx(0.1)})
    assert found["answers"]["urgency"]["score"] == pytest.approx(0.75)
    assert found["answers"]["urgency"]["legend"] == {"0": "can wait", "1": "today"}
    assert set(found["usage"]) == {"input_tokens", "output_tokens"}
    assert any('{"subject":"x"}' in text and "- Yes: shouts" in text for text, _ in engine.scored)


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/v1/decisions", {"questions": []}, 400, "questions: "),
        ("/v1/decisions", {"questions": [PREDICATE] * 401}, 400, "questions: "),
        ("/v1/decisions", {"input": "", "questions": [PREDICATE]}, 400, "input: "),
        ("/v1/decisions", {"questions": [{"type": "rank", "instructions": "x"}]}, 400, "questions.0: the type 'rank'"),
        ("/v1/decisions", {"questions": [{**PREDICATE, "instructions": ""}]}, 400, "questions.0.instructions: "),
        ("/v1/decisions", {"questions": [{**CHOICE, "choices": [{"value": "a"}]}]}, 400, "questions.0.choices: "),
        (
            "/v1/decisions",
            {"questions": [{**CHOICE, "choices": [{"value": "a"}] * 2}]},
            400,
            "questions.0: the choice 'a' is there twice",
        ),
        (
            "/v1/decisions",
            {"questions": [{**SCORE, "levels": [{"label": "low", "value": 1}, {"label": "high", "value": 5}]}]},
            400,
            "questions.0.levels.0.value: this field is not known here",
        ),
        (
            "/v1/decisions",
            {"questions": [{**CHOICE, "weights": [1]}]},
            400,
            "questions.0.weights: this field is not known here",
        ),
        ("/v1/decisions", {"questions": [{**PREDICATE, "instructions": "x" * 2000}]}, 400, "questions.0: "),
        ("/v1/decisions", {"input": "x" * 3000, "questions": [PREDICATE]}, 400, ""),
        ("/v1/decisions", {"model": "other", "questions": [PREDICATE]}, 404, "the model 'other' does not exist"),
        (
            "/v1/decisions",
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}], "questions": [PREDICATE]},
            400,
            "input.0.content.0: the type 'input_image' is not taken here",
        ),
        (
            "/v1/decisions",
            {"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}], "questions": [PREDICATE]},
            400,
            "input: an output names the call 'c'",
        ),
        ("/v1/systemone", {"questions": {}}, 400, "questions: "),
        ("/v1/systemone", {"state": "", "questions": {"a": {"type": "noul", "instructions": "x"}}}, 400, "the state is empty"),
        (
            "/v1/systemone",
            {"questions": {"a": {"type": "score", "instructions": "x", "criteria": ["one"]}}},
            400,
            "questions.a.criteria: ",
        ),
        (
            "/v1/systemone",
            {"images": ["aGk="], "questions": {"a": {"type": "noul", "instructions": "x"}}},
            400,
            "images: this model takes text only",
        ),
    ],
)
async def test_bad_input_is_named(serve: Any, path: str, body: dict[str, Any], status: int, message: str) -> None:
    given = {"model": "fake", "input": STATE, **body} if path == "/v1/decisions" else {"state": STATE, **body}
    async with serve(OpinionatedEngine()) as client:
        response = await client.post(path, json=given)
    assert response.status_code == status, response.text
    assert response.json()["error"]["message"].startswith(message)


def test_a_scale_and_a_prior_turn_log_probabilities_into_probabilities() -> None:
    assert Calibration(1.0, 0.0).probabilities([math.log(0.2), math.log(0.6)], [0.0, 0.0]) == pytest.approx((0.25, 0.75))
    assert Calibration(0.0, 0.0).probabilities([-1.0, -9.0], [0.0, 0.0]) == pytest.approx((0.5, 0.5))
    assert Calibration(1.0, 0.5).probabilities([-1.0, -3.0], [-2.0, -6.0]) == pytest.approx((0.5, 0.5))


def test_confidence_is_none_where_all_is_as_likely_and_whole_where_one_is_certain() -> None:
    assert confidence([0.25] * 4) == pytest.approx(0.0)
    assert confidence([1.0, 0.0]) == 1.0
    assert confidence([0.0125, 0.9781, 0.0094]) == pytest.approx(0.89, abs=0.01)


def test_questions_name_their_answers() -> None:
    assert predicate("It rains.").text == "Is this true of the text? It rains.\nAnswer Yes or No."
    assert "- No: dry" in predicate("It rains.", "wet", "dry").text
    assert choice("Which?", ["a", "b"], ["", "second"]).text == "Which?\nAnswer with one of:\n- a\n- b: second"
    assert [option.text for option in score("How?", ["x", "y"]).options] == ["0", "1"]
