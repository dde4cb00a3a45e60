"""The order in which llguidance is led to a grammar's rules, so that hundreds that lead one to the next fill no stack.

llguidance's compiler goes from a rule into those that the rule refers to, one stack frame in the next, and a stack that
overflows ends the process (about 2,000 plain rules, or 300 with nested groups, on 8 MB). A rule that was compiled before is not
gone into. So where rules lead far down, the start refers to all of them first, the lowest before those that refer to them,
behind a lexeme that no text has.
"""

from __future__ import annotations

from portico_engine.errors import GrammarTooLarge
from portico_engine.grammar.rule_order import Calls, descend

_DEEP = 64  # rules one in the next that are left to the compiler
_TOO_DEEP = 200  # of a circle of rules, where no order helps


def compiled_first(calls: Calls, start: str) -> list[str]:
    """Rules to refer to before all others; none where the compiler's own order will do. Raises GrammarTooLarge."""
    if len(calls) <= _DEEP:
        return []
    whole = descend(calls, [start])
    if whole.deepest <= _DEEP:
        return []
    if descend(calls, whole.finished).deepest > _TOO_DEEP:
        raise GrammarTooLarge(f"more than {_TOO_DEEP} rules lead one to the next and back to the first; split the circle")
    return whole.finished
