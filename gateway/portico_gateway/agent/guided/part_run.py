"""One part of a question under way: its calls, what was tried, the best answer so far. It decides nothing about answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.guided.answer_generation import QuotedAnswer
from portico_gateway.agent.guided.elliptical_question import CompletedQuestion
from portico_gateway.agent.judgement import Judgement, Verdict
from portico_gateway.agent.question_run import QuestionRun

Judge = Callable[[QuotedAnswer, Sequence[QuotedAnswer]], Judgement]  # of an answer, beside others


class PartRun:
    """The state of one part."""

    def __init__(self, question: str, completed: CompletedQuestion | None = None) -> None:
        """`completed`: the part goes on from the last question, and this is what of."""
        self.run = QuestionRun(question)
        self.completed = completed
        self.tried: set[str] = set()  # tools that the model has chosen
        self.unsure = 0  # results that were looked at and don't answer
        self.answer: QuotedAnswer | None = None
        self.others: list[QuotedAnswer] = []  # that were considered, too
        self.judgement = Judgement(Verdict.NOT_FOUND)

    def consider(self, answer: QuotedAnswer | None, judge: Judge) -> None:
        """Keep the answer where it is better than the one before, each judged by what the other says."""
        if answer is None:
            return
        before = self.answer
        judgement = judge(answer, [*self.others, *([before] if before else ())])
        self.unsure += not judgement.answered
        if before is not None:
            self.judgement = judge(before, [*self.others, answer])
        if before is None or _rank(judgement) > _rank(self.judgement):
            self.answer, self.judgement = answer, judgement
        if before is not None:
            self.others.append(before if self.answer is answer else answer)

    @property
    def calls(self) -> Sequence[ToolCallFinished]:
        """Those that the answer rests on."""
        return self.answer.calls if self.answer else ()


def _rank(judgement: Judgement) -> tuple[bool, float]:
    return judgement.answered, judgement.confidence or 0.0
