"""Orders in which the rules of a grammar are gone through, so that hundreds that lead one to the next fill no stack.

llguidance's compiler goes from a rule into those that the rule refers to, one stack frame in the next, and a stack that
overflows ends the process (about 2,000 plain rules, or 300 with nested groups, on 8 MB). A rule that was compiled before is not
gone into. So where rules lead far down, the start refers to all of them first, the lowest before those that refer to them,
behind a lexeme that no text has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from portico_engine.errors import GrammarTooLarge
from portico_engine.grammar.ir import Grammar, references

_DEEP = 64  # rules one in the next that are left to the compiler
_TOO_DEEP = 200  # of a circle of rules, where no order helps

Calls = Mapping[str, Sequence[str]]  # the rules that a rule refers to, in the order in which they stand there


class Descent(NamedTuple):
    """Going into rules from some of them: each after those that it refers to (on a circle the first met comes last), how many
    were one in the next at most, and whether any refers back to one that it was reached from."""

    finished: list[str]
    deepest: int
    circular: bool


def descend(calls: Calls, starts: Iterable[str]) -> Descent:
    """Depth first, each rule once, in the order in which they are referred to."""
    finished: list[str] = []
    deepest, circular = 0, False
    done: dict[str, bool] = {}  # False: begun
    for start in starts:
        path: list[tuple[str, Iterator[str]]] = []
        following: str | None = None if start in done else start
        while following is not None or path:
            if following is not None:
                done[following] = False
                path.append((following, iter(calls.get(following, ()))))
                deepest = max(deepest, len(path))
            name, rest = path[-1]
            following = None
            for called in rest:
                if called not in done:
                    following = called
                    break
                circular = circular or not done[called]
            else:
                path.pop()
                done[name] = True
                finished.append(name)
    return Descent(finished, deepest, circular)


def bottom_up(grammar: Grammar) -> list[str]:
    """The rules that the start reaches, each after those that it refers to."""
    return descend({name: references(node) for name, node in grammar.rules.items()}, [grammar.start]).finished


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
