"""How sure it is that a quoted answer is right: features of how it came about, and a logistic model over them.

The coefficients are `ConfidenceWeights`, fitted by `benchmarks/answers_calibration.py`. It decides nothing: `verdict.py` does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.guided.answers.answer_generation import QuotedAnswer
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate, is_source
from portico_gateway.agent.guided.extraction.source_code.messages import holds_message, messages
from portico_gateway.agent.guided.judging.coverage import Unit, argument_texts, units
from portico_gateway.agent.guided.judging.search_features import (
    UNINFORMED,
    of_information,
    of_names,
    of_others,
    of_words,
)
from portico_gateway.agent.guided.questions.answer_type import AnswerType, asked_for, asked_words, fits
from portico_gateway.agent.guided.questions.plan import parts
from portico_gateway.agent.judgement import Coverage
from portico_gateway.agent.question_run import QuestionRun
from portico_gateway.guidance.copying.text.spoken_arithmetic import expressions
from portico_gateway.guidance.question import Question
from portico_gateway.guidance.stemming import stems_of
from portico_gateway.guidance.tool_retrieval import WordInformation, uninformed
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS, ConfidenceWeights


def confidence(features: Mapping[str, float], weights: ConfidenceWeights = DEFAULT_WEIGHTS.confidence) -> float:
    """The probability that the answer is right, 0 to 1."""
    names = [field.name for field in fields(weights) if field.name in features]
    logit = weights.bias + sum(getattr(weights, name) * features[name] for name in names)
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, logit))))


def features_of(
    run: QuestionRun,
    question: Question,
    answer: QuotedAnswer,
    coverage: Coverage,
    others: Sequence[QuotedAnswer] = (),
    information: WordInformation = uninformed,
) -> dict[str, float]:
    """What may tell whether an answer is right, each about 0 to 1. `others`: what else was chosen for the same question."""
    words, shape = _of_coverage(list(units(question)), coverage), _of_shape(answer.calls, run.tool_calls)
    searched = bool(shape["code"] or shape["prose"])
    return {
        **_of_model(run, answer),
        **words,
        **shape,
        **_of_place(answer.candidate),
        **_of_passages(answer),
        **_of_sources(question, answer),
        **_of_text(question, answer),
        **_of_any_text(words, shape, answer),
        "rows_unused": shape["rows"] * (1.0 - coverage.share),
        **of_words(question, answer, coverage, run.tool_calls),
        **of_others(question, answer, others),
        **(of_information(question, answer, coverage, run.tool_calls, information) if searched else UNINFORMED),
        **of_names(question, answer),
        "both_told": float(bool(answer.beside)),
        "several": float(answer.several),
        "whole": float(answer.whole),
        "computed": float(_is_computed(question, answer)),
        "asked_unused": float(bool(asked_words(question) & {word.lower() for word in coverage.unused})),
    }


def _is_computed(question: Question, answer: QuotedAnswer) -> bool:
    """Is it the number that a formula gives, in which the question's numbers all are?"""
    given = {text for call in answer.calls for text in argument_texts(call.arguments)}
    said = [expression for expression in expressions(question.text) if expression.text in given]
    numbers = [value for value in question.values if "number" in value.kinds]
    rest = question.text
    for expression in said:
        rest = rest.replace(question.text[expression.start : expression.end], " ")
    return bool(said) and not any(value.text in rest for value in numbers) and _is_number(answer.text)


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True


def _of_model(run: QuestionRun, answer: QuotedAnswer) -> dict[str, float]:
    calls = run.call_logprobs or [0.0]
    return {
        "call_logprob": max(-10.0, calls[-1]) / 10,
        "answer_logprob": max(-10.0, answer.logprob) / 10,
        "margin": max(-5.0, min(5.0, answer.margin)) / 5,
        "weight": max(0.0, min(12.0, answer.weight)) / 12,
        "file_margin": max(-5.0, min(5.0, answer.file_margin)) / 5,
        "only_candidate": float(answer.candidates == 1),
    }


def _of_coverage(every: Sequence[Unit], coverage: Coverage) -> dict[str, float]:
    exact = {unit.text for unit in every if unit.exact}
    unused_exact = sum(word in exact for word in coverage.unused)
    return {
        "coverage": coverage.share,
        "unused_words": min(5, len(coverage.unused) - unused_exact) / 5,
        "unused_values": min(3, unused_exact) / 3,
        "used_values": min(3, sum(word in exact for word in coverage.used)) / 3,
    }


def _of_shape(led: Sequence[ToolCallFinished], calls: Sequence[ToolCallFinished]) -> dict[str, float]:
    """Of the last of the calls that led to the answer, and of what else was called before."""
    call = led[-1] if led else None
    before = calls[: calls.index(led[0])] if led and led[0] in calls else []
    data: Mapping[str, Any] = (call.result.data if call else None) or {}
    rows, hits = data.get("rows"), data.get("hits")
    in_code = any("start_line" in citation.fields for citation in (call.result.citations if call else ()))
    return {
        "rows": float(isinstance(rows, list)),
        "several_rows": math.log1p(min(100, len(rows) - 1)) / 5 if isinstance(rows, list) and rows else 0.0,
        "code": float(isinstance(hits, list) and in_code),
        "prose": float(isinstance(hits, list) and not in_code),
        "unasked_call": float(call is not None and not any(argument_texts(call.arguments)) and not isinstance(hits, list)),
        "tried_before": min(3, sum(not c.result.found for c in before)) / 3,
        "unsure_before": min(3, sum(c.result.found for c in before)) / 3,
        "other": float(not isinstance(rows, list) and not isinstance(hits, list)),
        "nothing_counted": float(isinstance(rows, list) and _counts_nothing(rows)),
        "noted": float(bool(data.get("note"))),
        "cut": float(call is not None and call.result.truncated),
    }


def _of_any_text(words: Mapping[str, float], shape: Mapping[str, float], answer: QuotedAnswer) -> dict[str, float]:
    """Of a result that is neither rows nor hits: was it asked for just what the question says, and how much of it is told?"""
    exact = words["used_values"] > 0 and words["unused_values"] == 0
    text = answer.call.result.text.strip() if answer.call else ""
    told = min(1.0, len(answer.text) / max(1, len(text)))
    return {"other_exact": shape["other"] * exact * words["coverage"], "other_told": shape["other"] * told}


def _of_place(candidate: AnswerCandidate | None) -> dict[str, float]:
    """What the candidate's reader has measured of its place; 0 where it measures nothing."""
    passage = candidate.features if candidate else None
    source = candidate if candidate and candidate.found is not None and not passage else None
    return {
        "place_found": passage.context_words if passage else 0.0,
        "place_fit": passage.kind if passage else 0.0,
        "source_found": source.found or 0.0 if source else 0.0,
        "source_fit": min(1.0, source.fit or 0.0) if source else 0.0,
        "source_weight": max(0.0, min(20.0, source.weight or 0.0)) / 20 if source else 0.0,
        "passage_says": passage.text_words if passage else 0.0,
        "passage_alike": max(0.0, passage.similar) if passage else 0.0,
        "passage_pairs": passage.pairs if passage else 0.0,
        "first_hits": passage.rank if passage else 0.0,
        "history": passage.history if passage else 0.0,
    }


def _of_passages(answer: QuotedAnswer) -> dict[str, float]:
    """Of the passages of documents, or the places in code, that are printed: their part of the odds, and how many they are."""
    return {
        "passage_share": answer.share if answer.passages else 0.0,
        "passages": answer.passages / 3,
        "source_share": answer.share if answer.places else 0.0,
        "places": answer.places / 3,
    }


def _of_sources(question: Question, answer: QuotedAnswer) -> dict[str, float]:
    """Of the places in code that are told: whether none shows a value of the type that is asked for, half where only others
    than the first do; and whether a message that the question quotes stands there."""
    told = [part for part in answer.parts if is_source(part)] if is_source(answer.candidate) else []
    bare = (0.5 + 0.5 * all(part.lacks_value for part in told)) if told and told[0].lacks_value else 0.0
    said = [message for message in messages(question.text) if any(holds_message(part.text, message) for part in told[:1])]
    return {"lacks_value": bare, "message_there": float(bool(said))}


def _counts_nothing(rows: Sequence[Any]) -> bool:
    cells = [cell for row in rows for cell in (row.values() if isinstance(row, Mapping) else row)]
    return all(cell in (0, None) for cell in cells)


def _of_text(question: Question, answer: QuotedAnswer) -> dict[str, float]:
    kind = asked_for(question)
    asked = {stem for token in question.tokens for stem in stems_of(token.text)}
    shared = asked & set(stems_of(answer.text))
    return {
        "has_type": float(kind is not AnswerType.ANY and fits(question, kind, answer.text)),
        "lacks_type": float(not fits(question, kind, answer.text)),
        "says_words": len(shared) / max(1, len(asked)),
        "several_parts": float(len(parts(question.text)) > 1),
        "length": min(280, len(answer.text)) / 280,
    }
