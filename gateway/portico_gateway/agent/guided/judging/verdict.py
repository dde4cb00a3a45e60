"""Whether an answer is given: what its call and its place account for, how sure it is, and what is said where it is not.

It decides from what the loop has gathered; it calls nothing and prints nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from portico_engine import Tool
from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.guided.answers.answer_generation import QuotedAnswer
from portico_gateway.agent.guided.answers.companions import LINES
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate, is_source
from portico_gateway.agent.guided.extraction.source_code.expected import KIND_WORDS
from portico_gateway.agent.guided.judging.confidence import confidence, features_of
from portico_gateway.agent.guided.judging.coverage import Evidence, argument_texts, covered, passed, phrases_of, units
from portico_gateway.agent.guided.judging.search_features import absent_words
from portico_gateway.agent.guided.part_run import PartRun
from portico_gateway.agent.guided.questions.answer_type import (
    asked_attribute,
    asks_count,
    asks_when,
    lacks_number,
    lists_columns,
    names_nobody,
    says_when,
    undone,
)
from portico_gateway.agent.guided.questions.plan import joined
from portico_gateway.agent.judgement import Coverage, Judgement, Place, Verdict
from portico_gateway.agent.question_run import QuestionRun
from portico_gateway.guidance.copying.text.spoken_arithmetic import expressions
from portico_gateway.guidance.question import Question, read_question
from portico_gateway.guidance.question_readings import QuestionReading
from portico_gateway.guidance.stemming import stems_of
from portico_gateway.guidance.tool_retrieval import TextEmbedding, WordInformation, uninformed
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS, Weights

MAX_NEAREST = 3
SHORT_LINES = 8  # a text of so many is one place,
AROUND_LINES = 3  # in a longer one, what is so near to a passage stands around it
OF_THE_KIND = 0.8  # a place's fit from which on it is of the kind that is asked for
LONGEST_ACRONYM = 5  # letters
_CODE = re.compile(r"\w_\w|[a-z\d][A-Z]|\w[.:]\w|[A-Za-z]\d")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_DESCRIBED = re.compile(r"[A-Za-z]+-(?:like|ish|style)|(?:on/off|yes/no|and/or|true/false|either/or)", re.IGNORECASE)
_PLACE_FIELDS = tuple("root library path uri title title_trail symbol kind text table sql anchor container".split())


def judge(
    run: QuestionRun,
    answer: QuotedAnswer | None,
    embed: TextEmbedding,
    tools: Mapping[str, Tool],
    weights: Weights = DEFAULT_WEIGHTS,
    others: Sequence[QuotedAnswer] = (),
    information: WordInformation = uninformed,
) -> Judgement:
    """The judgement of a quoted answer, or of there being none. `tools`: by name, those that were called; `others`: what else
    was chosen for the same question; `information`: how much a word says."""
    incomplete = tuple(dict.fromkeys(note for call in run.tool_calls if (note := _incomplete(call))))
    question = read_question(run.question)
    if any(call.denied for call in run.tool_calls):
        return Judgement(Verdict.DENIED, reasons=_errors(run), incomplete=incomplete)
    if answer is None or not answer.text.strip():
        coverage = covered(question, Evidence(()), embed, weights.coverage)
        return Judgement(Verdict.NOT_FOUND, coverage, reasons=_errors(run), incomplete=incomplete)
    if (reading := reading_of(run, answer)) is not None:
        return judge_reading(run, answer, reading, weights)
    evidence = evidence_of(answer, tools, question)
    evidence = replace(evidence, texts=(*evidence.texts, *_spoken(question, answer)))
    coverage = covered(question, evidence, embed, weights.coverage)
    features = features_of(run, question, answer, coverage, others, information)
    sure = confidence(features, weights.confidence)
    left = must_be_used(question, coverage, in_code=is_source(answer.candidate), in_documents=answer.passages > 0)
    asked = asked_attribute(question)
    if is_source(answer.candidate):  # a default is seen in code, and not said
        asked = frozenset(word for word in asked if not KIND_WORDS.issuperset(stems_of(word)))
    left += [word for word in absent_words(coverage, run.tool_calls) if word.lower() in asked and word not in left]
    first = answer.parts[0].text if answer.parts else answer.text
    if not answer.parts and (verb := undone(question, coverage.unused, first)) is not None and verb not in left:
        left.append(verb)
    reasons = tuple(_reasons(left, run.said, coverage, sure, weights.confidence.threshold))
    if asks_when(question) and not says_when(first):
        reasons = ("what was found says no date", *reasons)
    if features["other"] and names_nobody(question, first):
        reasons = ("what was found names nobody", *reasons)
    if features["other"] and lists_columns(question, first):
        reasons = ("what was found only names columns", *reasons)
    if asks_count(question) and not answer.several and lacks_number(question, first):
        reasons = ("what was found says no number", *reasons)
    return Judgement(
        Verdict.NO_ANSWER if reasons else Verdict.ANSWERED,
        coverage,
        sure,
        reasons,
        nearest(answer, run.tool_calls) if reasons else (),
        incomplete,
        answer.text,
        features,
    )


def judge_free(
    run: QuestionRun, answer: str, embed: TextEmbedding, tools: Mapping[str, Tool], weights: Weights = DEFAULT_WEIGHTS
) -> Judgement:
    """The judgement of an answer in the model's own words: everything that was found accounts for words. No confidence."""
    found = tuple(call for call in run.tool_calls if call.result.found)
    judged = judge(run, QuotedAnswer(answer, None, found) if found else None, embed, tools, weights)
    if judged.verdict in (Verdict.DENIED, Verdict.NOT_FOUND):
        return judged
    left = must_be_used(read_question(run.question), judged.coverage)
    verdict = Verdict.NO_ANSWER if left else Verdict.ANSWERED
    return replace(judged, verdict=verdict, confidence=None, reasons=tuple(_about(left)), features={})


def _reasons(must: Sequence[str], said: str | None, coverage: Coverage, sure: float, threshold: float) -> Iterator[str]:
    left = [word for word in must if said is None or word.lower() in said.lower()]
    left = left if coverage.used else list(coverage.unused)
    yield from _about(left)
    if sure < threshold:
        yield f"it is not sure to be the answer ({sure:.0%})"


def _about(left: Sequence[str]) -> Iterator[str]:
    if left:
        yield f"nothing that was found is about {', '.join(left)}"


def too_long(words: int, most: int) -> Judgement:
    """The judgement of a question that is not asked at all."""
    reason = (
        f"the question has {words:,} words, and this model is asked {most:,} at most: ask about one thing, or a larger model"
    )
    return Judgement(Verdict.NO_ANSWER, reasons=(reason,))


def unspoken(judgement: Judgement, language: str) -> Judgement:
    """The judgement of a question in another language that got no answer: that comes first, as what a person can change."""
    reason = f"no tool here speaks {language}: of the question, names, numbers and common words were understood; ask in English"
    return replace(judgement, reasons=(reason, *judgement.reasons))


def reading_of(run: QuestionRun, answer: QuotedAnswer) -> QuestionReading | None:
    """How the server reads the question whose own reading was the last call; None where the model wrote another."""
    call = answer.calls[-1] if answer.calls else None
    reading = run.proposal(call.tool) if call is not None else None
    return reading if call is not None and reading is not None and dict(reading.arguments) == call.arguments else None


def judge_reading(run: QuestionRun, answer: QuotedAnswer, reading: QuestionReading, weights: Weights) -> Judgement:
    """A server knows best which words its reading accounts for; where it accounts for all of them, the answer is given."""
    incomplete = tuple(dict.fromkeys(note for call in run.tool_calls if (note := _incomplete(call))))
    coverage = Coverage(reading.used, reading.unused)
    if reading.unused:
        near, reasons = nearest(answer, run.tool_calls), tuple(_about(reading.unused))
        sure = weights.readings.some_words
        return Judgement(Verdict.NO_ANSWER, coverage, sure, reasons, near, incomplete, answer.text)
    return Judgement(Verdict.ANSWERED, coverage, weights.readings.sure, (), (), incomplete, answer.text)


def must_be_used(question: Question, coverage: Coverage, *, in_code: bool = False, in_documents: bool = False) -> list[str]:
    """The values and names of the question that no call and no place accounts for. `in_code`: what somebody would pass to
    code need not stand there, the 42 of dumps(42), nor an acronym, nor what is only described, a Decimal-like thing; and where
    the place has a name of the question that is spelled as code is, no other name need: a user's Debian. `in_documents`: nor
    need a quotation of several words, which is an asker's own example."""
    exact = {unit.text for unit in units(question) if unit.exact}
    left = [word for word in coverage.unused if word in exact]
    if in_documents:
        own = {value.text for value in question.values if "quoted" in value.kinds and " " in value.text}
        return [word for word in left if word not in own]
    if not in_code:
        return left
    own_example = passed(question)
    left = [word for word in left if word not in own_example and not _is_acronym(word) and not _DESCRIBED.fullmatch(word)]
    return [word for word in left if _CODE.search(word)] if any(map(_CODE.search, coverage.used)) else left


def _is_acronym(word: str) -> bool:
    return word.isalpha() and word.isupper() and 2 <= len(word) <= LONGEST_ACRONYM


def evidence_of(answer: QuotedAnswer, tools: Mapping[str, Tool], question: Question) -> Evidence:
    """What of the calls that led to an answer, and of its place, may account for words. A place in source code that is of the
    kind that is asked for accounts for the words that ask for it: "argument" for a signature."""
    texts = [text for call in answer.calls for text in argument_texts(call.arguments)]
    candidate = answer.candidate
    if candidate is not None:
        texts += [candidate.text, *_place(candidate)]
        if is_source(candidate) and (candidate.fit or 0.0) >= OF_THE_KIND:
            texts += [token.text for token in question.tokens if KIND_WORDS.issuperset(stems_of(token.text))]
        if is_source(candidate):
            texts += _called_through(question.text, candidate)
    if candidate is None:
        texts += [call.result.text for call in answer.calls]
    elif candidate.citation is None and answer.call is not None:
        texts.append(surroundings(answer.call.result.text, candidate.text))
    called = [(tools[call.tool].parameters, call.arguments) for call in answer.calls if call.tool in tools]
    phrases = tuple(phrase for schema, arguments in called for phrase in phrases_of(schema, arguments))
    return Evidence(tuple(texts), tuple(call.tool for call in answer.calls), phrases)


def _called_through(question: str, candidate: AnswerCandidate) -> Iterator[str]:
    """The dotted names of a question that a place is the definition of: `res.json` of what is called `json` there."""
    symbol = candidate.citation.fields.get("symbol") if candidate.citation else None
    around = str(symbol or "").split(".")
    return (name for name in _DOTTED.findall(question) if name.rpartition(".")[2] in around)


def _spoken(question: Question, answer: QuotedAnswer) -> Iterator[str]:
    """What the question says in words for a formula that a call was given: "the square root of 1764" for sqrt(1764)."""
    given = {text for call in answer.calls for text in argument_texts(call.arguments)}
    for expression in expressions(question.text):
        if expression.text in given:
            yield question.text[expression.start : expression.end]


def surroundings(text: str, passage: str) -> str:
    """A passage with the lines around it and the text's first line; the whole text where it is short or has no such passage."""
    lines = text.splitlines()
    squeezed = [" ".join(line.split()) for line in lines]
    wanted = " ".join(passage.rstrip("…").split())
    at = [i for i, line in enumerate(squeezed) if line and (line in wanted or wanted in line)]
    if len(lines) <= SHORT_LINES or not at:
        return text
    return "\n".join([lines[0], *lines[max(0, at[0] - AROUND_LINES) : at[-1] + AROUND_LINES + 1]])


def combined(question: str, done: Sequence[PartRun]) -> tuple[str, Judgement]:
    """The answer to a question from its parts, "" where one of them has none; as sure as the least sure part."""
    judged = [part.judgement for part in done]
    if len(judged) == 1:
        return (judged[0].draft if judged[0].answered else ""), judged[0]
    least = min(judged, key=lambda one: (one.answered, one.confidence or 0.0))
    said = [*dict.fromkeys(word for one in judged for word in one.coverage.used if word.lower() in question.lower())]
    left = [*dict.fromkeys(word for one in judged for word in one.coverage.unused if word not in said)]
    draft = joined(_within_lines(done))
    whole = replace(
        least,
        coverage=Coverage(tuple(said), tuple(left)),
        nearest=() if least.answered else tuple(dict.fromkeys(place for one in judged for place in one.nearest))[:MAX_NEAREST],
        incomplete=tuple(dict.fromkeys(note for one in judged for note in one.incomplete)),
        draft=draft,
    )
    return (draft if whole.answered else ""), whole


def _within_lines(done: Sequence[PartRun]) -> list[str]:
    """What each part tells. Where all of it is more than is read at a glance, what leads to the last part in short: of what is
    told the first, and of that what it is printed as behind another."""
    told = [part.judgement.draft for part in done]
    led = [part.answer.parts if part.answer is not None else () for part in done]
    for leads in (slice(0, -1), slice(0, None)):
        for short in (False, True):
            if sum(bool(line.strip()) for text in told for line in text.splitlines()) <= LINES:
                return told
            for number in range(len(done))[leads]:
                if led[number]:
                    first = led[number][0]
                    told[number] = (first.short or first.text) if short else first.text
    return told


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
    if candidate.citation:
        yield from candidate.citation.texts(_PLACE_FIELDS)


def _incomplete(call: ToolCallFinished) -> str:
    """What a result says of having been searched only in part."""
    data = call.result.data or {}
    if data.get("complete") is not False:
        return ""
    note = data.get("note")
    return f"{call.tool}: {note}" if isinstance(note, str) and note else f"{call.tool}: searched only in part"


def _errors(run: QuestionRun) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{call.tool}: {call.error}" for call in run.tool_calls if call.error))
