from __future__ import annotations

from portico_engine.executors.step_result import assemble_result
from portico_engine.plan import Row, StepResult
from portico_engine.sampling import SampledToken


def row(*logits_indices: int, targets: tuple[int, ...] = ()) -> Row:
    return Row(0, (5, 6, 7), 0, (0,), logits_indices, targets=targets)


def test_scores_and_samples_go_to_their_rows_in_plan_order() -> None:
    rows = (row(2), row(0, 2, targets=(8, 9)), row(), row(1, 2))
    a, b, c = (SampledToken(token, -float(token), ((token, -0.5),)) for token in (1, 2, 3))
    assert assemble_result(rows, [-0.25, -0.75], [a, b, c]) == StepResult(
        tokens=((1,), (8, 9), (), (2, 3)),
        logprobs=((-1.0,), (-0.25, -0.75), (), (-2.0, -3.0)),
        top_logprobs=((((1, -0.5),),), (), (), (((2, -0.5),), ((3, -0.5),))),
        failed_rows=(),
    )


def test_a_row_with_a_sample_that_failed_has_no_entries_and_the_next_keeps_its_own() -> None:
    a, b = SampledToken(1, 0.0, ()), SampledToken(2, 0.0, ())
    result = assemble_result((row(0, 1), row(2)), [], [a, None, b])
    assert result == StepResult(((), (2,)), ((), (0.0,)), ((), ((),)), (0,))


def test_a_plan_without_rows_has_an_empty_result() -> None:
    assert assemble_result((), [], []) == StepResult((), (), (), ())
