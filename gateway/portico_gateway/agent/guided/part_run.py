"""One part of a question under way: its calls, what was tried, the best answer so far. It decides nothing about answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.guided.answers.answer_generation import QuotedAnswer, with_definition, with_other
from portico_gateway.agent.guided.questions.elliptical_question import CompletedQuestion
from portico_gateway.agent.judgement import Judgement, Verdict
from portico_gateway.agent.question_run import QuestionRun

CLEARLY = 0.2  # (probability) by which one answer is surer than another that then is no rival
Judge = Callable[[QuotedAnswer, Sequence[QuotedAnswer]], Judgement]  # of an answer, beside others


class PartRun:
    """The state of one part."""

    def __init__(self, question: str, completed: CompletedQuestion | None = None) -> None:
        """`completed`: the part goes on from the last question, and this is what of."""
        self.run = QuestionRun(question)
        self.completed = completed
        self.tried: set[str] = set()  # tools that the model has chosen
        self.unsure = 0  # results that were looked at and don't answer
        self.drafts: list[QuotedAnswer] = []  # one a result that was looked at
        self.answer: QuotedAnswer | None = None
        self.judgement = Judgement(Verdict.NOT_FOUND)

    def consider(self, answer: QuotedAnswer | None, judge: Judge) -> None:
        """Keep the best of the answers so far. All are judged again: each speaks for or against the others."""
        if answer is None:
            return
        self.drafts.append(answer)
        judgements = [judge(draft, [other for other in self.drafts if other is not draft]) for draft in self.drafts]
        self.unsure += not judgements[-1].answered
        self.answer, self.judgement = max(zip(self.drafts, judgements, strict=True), key=lambda pair: _rank(pair[1]))
        self._tell_other(judge, judgements)

    def _tell_other(self, judge: Judge, judgements: Sequence[Judgement]) -> None:
        """Where another tool has found something of another kind, the best of it is told, too: nobody knows which is right."""
        assert self.answer is not None
        pairs = sorted(zip(self.drafts, judgements, strict=True), key=lambda pair: _rank(pair[1]), reverse=True)
        for other, its in pairs:
            if other is self.answer:
                continue
            rivals = (self.judgement.confidence or 0.0) - (its.confidence or 0.0) <= CLEARLY
            if (both := with_other(self.answer, other, rivals=rivals)) is not None:
                self.answer, self.judgement = both, judge(both, [draft for draft in self.drafts if draft is not self.answer])
                return

    def follow(self, told: str, call: ToolCallFinished, judge: Judge) -> None:
        """Tell what a call has found of a value of the answer, right behind its place. It makes an answer no less sure."""
        assert self.answer is not None
        answer = with_definition(self.answer, told, call)
        its = judge(answer, [draft for draft in self.drafts if draft is not self.answer])
        kept = self.judgement if _rank(self.judgement) > _rank(its) else its
        self.answer, self.judgement = answer, replace(kept, draft=answer.text)

    @property
    def calls(self) -> Sequence[ToolCallFinished]:
        """Those that the answer rests on."""
        return (*self.answer.calls, *self.answer.beside) if self.answer else ()


def _rank(judgement: Judgement) -> tuple[bool, float]:
    return judgement.answered, judgement.confidence or 0.0
