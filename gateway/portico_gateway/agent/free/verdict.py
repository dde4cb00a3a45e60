"""How a question of the free loop ended. A model that is trusted with prose is not judged by its words: what it found, what was
refused and what stopped it decide."""

from __future__ import annotations

from portico_gateway.agent.events import Limit
from portico_gateway.agent.judgement import Judgement, Verdict
from portico_gateway.agent.question_run import QuestionRun

WHY: dict[Limit, str] = {
    "steps": "the limit on steps was reached",
    "seconds": "the limit on time was reached",
    "tokens": "the limit on tokens was reached",
    "repeats": "the same call gave the same result again and again",
    "context": "what was found filled the context",
    "denied": "calls were denied again and again",
}


def judge(run: QuestionRun, answer: str, limit: Limit | None, *, whole: bool) -> Judgement:
    """An answer counts where it is `whole` and something was found, or the model needed no call. What it said otherwise is a
    reason."""
    reasons = (WHY[limit],) if limit is not None else ()
    if answer and whole and (run.found or not run.tool_calls):
        return Judgement(Verdict.ANSWERED, reasons=reasons)
    if answer:
        reasons = (*reasons, f"the model said: {answer}")
    if run.found:
        return Judgement(Verdict.NO_ANSWER, reasons=reasons or ("the model wrote no answer",))
    denied = any(call.denied for call in run.tool_calls)
    return Judgement(Verdict.DENIED if denied else Verdict.NOT_FOUND, reasons=reasons)
