"""Whether an answer is given: what its call and its place account for, how sure it is, and what is said where it is not.

It decides from what the loop has gathered; it calls nothing and prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.guided.answer_generation import QuotedAnswer
from portico_gateway.agent.guided.coverage import Evidence, argument_texts, covered, units
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate
from portico_gateway.agent.judgement import Coverage, Judgement, Place, Verdict
from portico_gateway.agent.question_run import QuestionRun
from portico_gateway.guidance.question import Question, read_question
from portico_gateway.guidance.tool_retrieval import TextEmbedding

MAX_NEAREST = 3
_PLACE_FIELDS = ("path", "uri", "title", "title_trail", "symbol", "kind", "text", "table", "sql", "anchor", "container")


def judge(run: QuestionRun, answer: QuotedAnswer | None, embed: TextEmbedding) -> Judgement:
    """The judgement of a quoted answer, or of there being none."""
    incomplete = tuple(dict.fromkeys(note for call in run.tool_calls if (note := _incomplete(call))))
    if any(call.denied for call in run.tool_calls):
        return Judgement(Verdict.DENIED, reasons=_errors(run), incomplete=incomplete)
    question = read_question(run.question)
    if answer is None or not answer.text.strip():
        return Judgement(Verdict.NOT_FOUND, covered(question, Evidence(()), embed), reasons=_errors(run), incomplete=incomplete)
    coverage = covered(question, evidence_of(run.tool_calls, answer.call, answer.candidate), embed)
    if left := must_be_used(question, coverage):
        reasons = (f"nothing that was found is about {', '.join(left)}",)
        near = nearest(answer, run.tool_calls)
        return Judgement(Verdict.NO_ANSWER, coverage, reasons=reasons, nearest=near, incomplete=incomplete)
    return Judgement(Verdict.ANSWERED, coverage, incomplete=incomplete)


def must_be_used(question: Question, coverage: Coverage) -> list[str]:
    """The values and names of the question that no call and no place accounts for."""
    exact = {unit.text for unit in units(question) if unit.exact}
    return [word for word in coverage.unused if word in exact]


def judge_free(run: QuestionRun, answer: str, embed: TextEmbedding) -> Judgement:
    """The judgement of an answer in the model's own words: everything that was found accounts for words."""
    return judge(run, QuotedAnswer(answer, None, None) if run.found else None, embed)


def evidence_of(
    calls: Sequence[ToolCallFinished], chosen: ToolCallFinished | None, candidate: AnswerCandidate | None
) -> Evidence:
    """What of the calls, and of the place of the answer, may account for words."""
    found = [call for call in calls if call.result.found]
    texts = [text for call in found for text in argument_texts(call.arguments)]
    if candidate is not None:
        texts += [candidate.text, *_place(candidate)]
    if candidate is None or candidate.citation is None:
        texts += [call.result.text for call in ([chosen] if chosen else found)]
    return Evidence(tuple(texts), tuple(call.tool for call in found))


def nearest(answer: QuotedAnswer | None, calls: Sequence[ToolCallFinished]) -> tuple[Place, ...]:
    """The places that came nearest: the chosen one, then the first that were found."""
    places: dict[str, Place] = {}
    if answer is not None and answer.candidate is not None:
        label = answer.candidate.citation.label if answer.candidate.citation else ""
        places[label] = Place(label, answer.text)
    for call in calls:
        for citation in call.result.citations if call.result.found else ():
            places.setdefault(citation.label, Place(citation.label, citation.quote))
    return tuple(places.values())[:MAX_NEAREST]


def _place(candidate: AnswerCandidate) -> Iterator[str]:
    fields = candidate.citation.fields if candidate.citation else {}
    for name in _PLACE_FIELDS:
        value = fields.get(name)
        if isinstance(value, str):
            yield value
        elif isinstance(value, Sequence):
            yield from map(str, value)


def _incomplete(call: ToolCallFinished) -> str:
    """What a result says of having been searched only in part."""
    data = call.result.data or {}
    if data.get("complete") is not False:
        return ""
    note = data.get("note")
    return f"{call.tool}: {note}" if isinstance(note, str) and note else f"{call.tool}: searched only in part"


def _errors(run: QuestionRun) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{call.tool}: {call.error}" for call in run.tool_calls if call.error))
