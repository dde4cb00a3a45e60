"""Orders in which the rules of a grammar are gone through: depth first, without a stack frame a rule, since hundreds may lead
one to the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from portico_engine.grammar.ir import Grammar, references

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
