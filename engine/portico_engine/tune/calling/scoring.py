"""How right an answer is: does it call, validly, the right tool, with the right values?"""

from __future__ import annotations

from portico_engine.tune.calling.caller import Answer
from portico_engine.tune.calling.task import Task
from portico_engine.tune.data.row_checks import satisfies
from portico_engine.tune.data.said_calls import SaidCall, plain, same_calls

_RIGHT_TOOL = 0.25  # of a call's worth; the values are the rest


def is_right(task: Task, answer: Answer) -> bool:
    """The very calls, and no others; or none where none is right."""
    return answer.calls is not None and same_calls(answer.calls, task.calls)


def names_right(task: Task, answer: Answer) -> bool:
    """The right tools, whatever is said to them."""
    return answer.calls is not None and sorted(call.name for call in answer.calls) == sorted(call.name for call in task.calls)


def verified_reward(task: Task, answer: Answer) -> float:
    """From -1 to 1: 1 for the very calls; -1 for what is cut or no valid call; 0 for calling where nothing fits, or the
    reverse, or other tools; between, the right tool and the share of right values.
    """
    schemas = {tool.name: tool.parameters for tool in task.tools}
    calls = answer.calls
    if calls is None or any(call.name not in schemas or not satisfies(call.arguments, schemas[call.name]) for call in calls):
        return -1.0
    if same_calls(calls, task.calls):
        return 1.0
    if not task.calls or len(calls) != len(task.calls):
        return 0.0
    left = list(calls)
    total = 0.0
    for wanted in task.calls:
        best = max(left, key=lambda call: _worth(wanted, call), default=None)
        if best is not None:
            total += _worth(wanted, best)
            left.remove(best)
    return total / len(task.calls)


def _worth(wanted: SaidCall, call: SaidCall) -> float:
    if wanted.name != call.name:
        return 0.0
    keys = {*wanted.arguments, *call.arguments}
    missing = object()
    right = sum(plain(wanted.arguments.get(key, missing)) == plain(call.arguments.get(key, missing)) for key in keys)
    return _RIGHT_TOOL + (1 - _RIGHT_TOOL) * (right / len(keys) if keys else 1.0)
