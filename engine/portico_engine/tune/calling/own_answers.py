"""A model's own answers, as a user who knows better would leave them: kept, or put right.

Answers are sampled under the grammar, several to a question. Those that are right teach what the model can do already
(rejection sampling, Yuan et al. 2023, arXiv:2308.01825); those that are wrong make pairs with what is right, and are the
model's own mistakes, not invented ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from portico_engine.tune.calling.caller import ToolCaller
from portico_engine.tune.calling.scoring import is_right
from portico_engine.tune.calling.task import Task
from portico_engine.tune.data.row_file import PairRow
from portico_engine.tune.data.rows import Row


def own_answers(
    caller: ToolCaller, tasks: Sequence[Task], rows: Sequence[Row], *, each: int, seed: int, temperature: float = 1.0
) -> Iterator[Row | PairRow]:
    """`each` answers a task: the task's row for one that is right; a pair for one that isn't, once where several say the same.
    Words where a call is right make a pair like a call where words are: with one of them alone a model learns to call nothing,
    or anything. What was cut short is passed over. `rows` holds each task's row, known by its question.
    """
    of_question = {row.question: row for row in rows}
    for task, answers in zip(tasks, caller.ask(tasks, each=each, temperature=temperature, seed=seed), strict=True):
        row = of_question[task.question]
        said: set[str] = set()
        for answer in answers:
            if is_right(task, answer):
                yield row
            elif answer.calls is not None and answer.text not in said:
                said.add(answer.text)
                yield PairRow(row.prompt, row.completion, answer.text, row.origin, row.licence, row.tools)
