"""Orders in which the rules of a grammar are gone through, so that hundreds that lead one to the next fill no stack.

llguidance's compiler goes from a rule into those that the rule refers to, one stack frame in the next, and a stack that
overflows ends the process (about 2,000 plain rules, or 300 with nested groups, on 8 MB). A rule that was compiled before is not
gone into. So where rules lead far down, the start refers to all of them first, the lowest before those that refer to them,
behind a lexeme that no text has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from portico_engine.errors import GrammarTooLarge
from portico_engine.grammar.ir import Grammar, references

_DEEP = 64  # rules one in the next that are left to the compiler
_TOO_DEEP = 200  # of a circle of rules, where no order helps

Calls = Mapping[str, Sequence[str]]  # the rules that a rule refers to, in the order in which they stand there


def bottom_up(grammar: Grammar) -> list[str]:
    """The rules that the start reaches, each after those that it refers to; on a circle, the first met comes last."""
    finished: list[str] = []
    _descend({name: list(references(node)) for name, node in grammar.rules.items()}, [grammar.start], finished)
    return finished


def compiled_first(calls: Calls, start: str) -> list[str]:
    """Rules to refer to before all others; none where the compiler's own order will do. Raises GrammarTooLarge."""
    finished: list[str] = []
    if len(calls) <= _DEEP or _descend(calls, [start], finished) <= _DEEP:
        return []
    if _descend(calls, finished, []) > _TOO_DEEP:
        raise GrammarTooLarge(f"more than {_TOO_DEEP} rules lead one to the next and back to the first; split the circle")
    return finished


def _descend(calls: Calls, starts: Iterable[str], finished: list[str]) -> int:
    """Go into all rules as the compiler does; how deep that is. `finished` gets the rules as they are done."""
    deepest = 0
    seen: set[str] = set()
    for start in starts:
        if start in seen:
            continue
        seen.add(start)
        path: list[tuple[str, Iterator[str]]] = [(start, iter(calls.get(start, ())))]
        while path:
            deepest = max(deepest, len(path))
            name, rest = path[-1]
            following = next((called for called in rest if called not in seen), None)
            if following is None:
                finished.append(name)
                path.pop()
            else:
                seen.add(following)
                path.append((following, iter(calls.get(following, ()))))
    return deepest
