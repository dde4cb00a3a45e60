from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.guided.answers.answer_generation import QuotedAnswer
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate, PassageFeatures
from portico_gateway.agent.guided.part_run import PartRun
from portico_gateway.agent.judgement import Judgement, Verdict
from portico_gateway.agent.rendered_results import RenderedResult


def answer(tool: str, text: str) -> QuotedAnswer:
    return QuotedAnswer(text, None, (ToolCallFinished(tool, {}, RenderedResult(text, True), 0.0),))


def test_answers_are_judged_again_once_there_is_another() -> None:
    part = PartRun("Which option?")
    first, second = answer("docs__search", "--bar"), answer("code__search", "a.py:1: run()")

    def judged(draft: QuotedAnswer, others: Sequence[QuotedAnswer]) -> Judgement:
        agreed = draft is first and list(others) == [second]
        return Judgement(Verdict.ANSWERED if agreed else Verdict.NO_ANSWER, confidence=0.9 if agreed else 0.4)

    part.consider(first, judged)
    assert (part.judgement.verdict, part.unsure) == (Verdict.NO_ANSWER, 1)
    part.consider(second, judged)
    assert part.answer is first
    assert part.judgement.answered


def test_what_another_tool_found_is_told_too_and_its_call_is_one_that_the_answer_rests_on() -> None:
    part = PartRun("Which option?")
    features = PassageFeatures(*[0.5] * 12)
    passage = AnswerCandidate("Use `--bar`.", focus="Use `--bar`.", weight=8.0, features=features)
    place = AnswerCandidate("a.py:1: run(bar)", weight=8.0, found=0.5, fit=1.0)
    drafts = [
        replace(answer(tool, one.text), candidate=one, parts=(one,), printed=1)
        for tool, one in (("docs__search", passage), ("code__search", place))
    ]
    told: list[str] = []

    def judged(draft: QuotedAnswer, others: Sequence[QuotedAnswer]) -> Judgement:
        told.append(draft.own_text)
        return Judgement(Verdict.ANSWERED, confidence=0.9 if draft.own_text == passage.text else 0.4, draft=draft.text)

    for draft in drafts:
        part.consider(draft, judged)
    assert part.judgement.draft == "Use `--bar`.\n\na.py:1: run(bar)"
    assert [call.tool for call in part.calls] == ["docs__search", "code__search"]
    assert told[-1] == "Use `--bar`."  # what the other says is no second voice for it


@pytest.mark.parametrize(("other", "told"), [(0.8, "--bar a.py:1 --baz"), (0.5, "--bar --baz a.py:1")])
def test_an_answer_that_is_clearly_surer_is_told_whole_first(other: float, told: str) -> None:
    part, features = PartRun("Which option?"), PassageFeatures(*[0.5] * 12)
    passages = [AnswerCandidate(text, focus=text, weight=8.0, features=features) for text in ("--bar", "--baz")]
    place = AnswerCandidate("a.py:1", weight=8.0, found=0.5, fit=1.0)

    def judged(draft: QuotedAnswer, others: Sequence[QuotedAnswer]) -> Judgement:
        return Judgement(Verdict.ANSWERED, confidence=0.9 if draft.passages else other, draft=draft.text)

    for tool, found in (("docs__search", passages), ("code__search", [place])):
        whole = replace(answer(tool, "\n\n".join(one.text for one in found)), candidate=found[0], parts=tuple(found))
        part.consider(replace(whole, printed=len(found)), judged)
    assert part.judgement.draft.split() == told.split()


def test_no_answer_changes_nothing() -> None:
    part = PartRun("Which option?")
    part.consider(None, lambda *_: Judgement(Verdict.ANSWERED))
    assert part.answer is None
    assert part.judgement.verdict is Verdict.NOT_FOUND
