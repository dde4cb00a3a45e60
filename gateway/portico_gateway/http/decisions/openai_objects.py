"""Decided questions as OpenAI's decision."""

from __future__ import annotations

from collections.abc import Sequence

from portico_gateway.http.decisions.calibration import confidence
from portico_gateway.http.decisions.decide import NOT_CALIBRATED, Decided
from portico_gateway.http.decisions.openai_body import ChoiceQuestion, DecisionRequest, PredicateQuestion, ScoreQuestion
from portico_gateway.http.wire import Json


def decision_object(body: DecisionRequest, decided: Decided, warnings: Sequence[str]) -> Json:
    """Answers in the order of the questions."""
    said = [*warnings, *([] if decided.is_calibrated else [NOT_CALIBRATED])]
    answers = [_answer(*each) for each in zip(body.questions, decided.probabilities, strict=True)]
    usage = {
        "input_tokens": decided.input_tokens,
        "input_tokens_details": {"cached_tokens": decided.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": decided.input_tokens,
    }
    return {"model": body.model, "answers": answers, "usage": usage, **({"warnings": said} if said else {})}


def _answer(question: PredicateQuestion | ChoiceQuestion | ScoreQuestion, probabilities: tuple[float, ...]) -> Json:
    head: Json = {"type": question.type, "name": question.name}
    match question:
        case PredicateQuestion():
            return {**head, "probability": probabilities[0]}
        case ChoiceQuestion():
            values = [each.value for each in question.choices]
            listed = [{"value": value, "probability": p} for value, p in zip(values, probabilities, strict=True)]
            best = values[probabilities.index(max(probabilities))]
            return {**head, "choice": best, "confidence": confidence(probabilities), "probabilities": listed}
        case ScoreQuestion():
            levels = [
                {"value": value, "label": level.label, "probability": p}
                for value, (level, p) in enumerate(zip(question.levels, probabilities, strict=True))
            ]
            expected = sum(value * p for value, p in enumerate(probabilities))
            return {**head, "score": expected, "confidence": confidence(probabilities), "probabilities": levels}
