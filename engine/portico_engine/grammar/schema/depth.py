"""Rules after the build: which can end at all, which are reachable, and how deep recursion may go.

It works on the IR alone and knows no schema.
"""

from __future__ import annotations

from collections.abc import Mapping

from portico_engine.grammar.bounds import Meter
from portico_engine.grammar.ir import NEVER, Alt, Never, Node, Ref, Repeat, Seq, alt, reachable, references, repeat, seq

_MORE_LEVELS = (1, 2, 4, 8)  # times the bound, where no value is that shallow


def prune(rules: Mapping[str, Node], start: str) -> dict[str, Node]:
    """The rules that are reachable from `start` and can produce a finite string; without `start` where it can't."""
    alive = _productive(rules)
    kept = {name: drop(node, alive) for name, node in rules.items() if name in alive}
    return reachable(kept, start) if start in kept else {}


def _productive(rules: Mapping[str, Node]) -> set[str]:
    waiting: dict[str, list[str]] = {}
    for name, node in rules.items():
        for used in references(node):
            waiting.setdefault(used, []).append(name)
    alive: set[str] = set()
    todo = list(rules)
    while todo:
        name = todo.pop()
        if name not in alive and produces(rules[name], alive):
            alive.add(name)
            todo.extend(waiting.get(name, ()))
    return alive


def produces(node: Node, alive: set[str]) -> bool:
    """Can `node` end, if the rules in `alive` can? (Intersections were checked when they were made.)"""
    match node:
        case Ref(name):
            return name in alive
        case Seq(parts):
            return all(produces(part, alive) for part in parts)
        case Alt(options):
            return any(produces(option, alive) for option in options)
        case Repeat(item, low):
            return low == 0 or produces(item, alive)
        case _:
            return type(node) is not Never


def drop(node: Node, alive: set[str]) -> Node:
    """`node` without what can't end."""
    match node:
        case Ref(name):
            return node if name in alive else NEVER
        case Seq(parts):
            return seq(*(drop(part, alive) for part in parts))
        case Alt(options):
            return alt(*(drop(option, alive) for option in options))
        case Repeat(item, low, high):
            return repeat(drop(item, alive), low, high)
        case _:
            return node


def unroll(rules: dict[str, Node], start: str, levels: int, meter: Meter) -> tuple[dict[str, Node], int | None]:
    """Recursion at most `levels` deep, and the levels used; None where nothing recurs.

    Where no string of `start` is that shallow, more levels are taken.
    """
    groups, heads = _cycles(rules)
    if not groups:
        return rules, None
    for factor in _MORE_LEVELS:
        flat = prune(_Unroller(rules, groups, heads, levels * factor - 1, meter).run(start), start)
        if flat:
            return flat, levels * factor
    return rules, None


def _cycles(rules: Mapping[str, Node]) -> tuple[dict[str, int], set[str]]:
    """Of the rules that can reach themselves: the number of each one's strongly connected component, and those at which a
    cycle is entered, so that every cycle passes one (Tarjan's algorithm, without recursion; SIAM J. Comput. 1(2), 1972).
    """
    heads: set[str] = set()
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    on_stack: dict[str, None] = {}
    groups: dict[str, int] = {}
    edges = {name: list(dict.fromkeys(references(node))) for name, node in rules.items()}
    for root in rules:
        if root in index:
            continue
        work = [(root, iter(edges[root]))]
        index[root] = low[root] = len(index)
        on_stack[root] = None
        on_path = {root}
        while work:
            name, successors = work[-1]
            for other in successors:
                if other not in index:
                    index[other] = low[other] = len(index)
                    on_stack[other] = None
                    work.append((other, iter(edges[other])))
                    on_path.add(other)
                    break
                if other in on_path:
                    heads.add(other)
                if other in on_stack:
                    low[name] = min(low[name], index[other])
            else:
                work.pop()
                on_path.discard(name)
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    members = []
                    while True:
                        member = on_stack.popitem()[0]
                        members.append(member)
                        if member == name:
                            break
                    if len(members) > 1 or name in edges[name]:
                        groups.update((member, index[name]) for member in members)
    return groups, heads


class _Unroller:
    """Copies of recursive rules by how many levels are left below them, at most `levels`."""

    def __init__(
        self, rules: Mapping[str, Node], groups: Mapping[str, int], heads: set[str], levels: int, meter: Meter
    ) -> None:
        self.rules, self.groups, self.heads, self.levels, self.meter = rules, groups, heads, levels, meter
        self.out: dict[str, Node] = {}
        self.todo: list[tuple[str, int]] = []

    def run(self, start: str) -> dict[str, Node]:
        self._want(start, None, self.levels)
        while self.todo:
            name, left = self.todo.pop()
            self.meter.count(16)
            self.out[self._name(name, left)] = self._copy(self.rules[name], self.groups.get(name), left)
        return self.out

    def _name(self, name: str, left: int) -> str:
        return name if name not in self.groups or left == self.levels else f"{name}-d{left}"

    def _want(self, name: str, group: int | None, left: int) -> Node:
        """The copy of `name` that is referred to from a rule of `group` with `left` levels below."""
        own = self.groups.get(name)
        if own is None or own != group:
            left = self.levels
        elif name in self.heads:
            left -= 1
        if left < 0:
            return NEVER
        copy = self._name(name, left)
        if copy not in self.out:
            self.out[copy] = NEVER
            self.todo.append((name, left))
        return Ref(copy)

    def _copy(self, node: Node, group: int | None, left: int) -> Node:
        match node:
            case Ref(name):
                return self._want(name, group, left)
            case Seq(parts):
                return seq(*(self._copy(part, group, left) for part in parts))
            case Alt(options):
                return alt(*(self._copy(option, group, left) for option in options))
            case Repeat(item, low, high):
                return repeat(self._copy(item, group, left), low, high)
            case _:
                return node
