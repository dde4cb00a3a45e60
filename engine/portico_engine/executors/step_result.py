"""A step's result, put together from what its logits gave: sampled tokens and scores of targets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from math import isnan

from portico_engine.plan import Row, StepResult
from portico_engine.sampling import SampledToken, TopLogprobs


def assemble_result(
    rows: Sequence[Row], scores: Iterable[float], sampled: Iterable[SampledToken | None], damaged: Collection[int] = ()
) -> StepResult:
    """`scores` of the rows with targets, `sampled` of the others, an entry for each of their `logits_indices`, in plan order.

    A row one of whose samples is None has failed, as one of whose scores is no number and those in `damaged` have: the entries
    of what would have been sampled are empty.
    """
    scores, sampled = iter(scores), iter(sampled)
    tokens: list[tuple[int, ...]] = []
    logprobs: list[tuple[float, ...]] = []
    top_logprobs: list[tuple[TopLogprobs, ...]] = []
    failed: list[int] = []
    for i, row in enumerate(rows):
        if row.targets:
            tokens.append(row.targets)
            logprobs.append(tuple(next(scores) for _ in row.targets))
            top_logprobs.append(())
            if i in damaged or any(map(isnan, logprobs[-1])):
                failed.append(i)
            continue
        of_row = [next(sampled) for _ in row.logits_indices]
        good = [each for each in of_row if each is not None]
        if len(good) < len(of_row) or i in damaged:
            failed.append(i)
            good = []
        tokens.append(tuple(each.token for each in good))
        logprobs.append(tuple(each.logprob for each in good))
        top_logprobs.append(tuple(each.top_logprobs for each in good))
    return StepResult(tuple(tokens), tuple(logprobs), tuple(top_logprobs), tuple(failed))
