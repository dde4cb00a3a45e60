"""Which rules can begin with themselves, and by which path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from portico_engine.grammar import ir


def left_recursion(rules: Mapping[str, ir.Node]) -> Iterator[tuple[str, list[str]]]:
    """Rules that begin with themselves, each with its path from itself to itself; every cycle is told once."""
    empty = _nullable_rules(rules)
    begins = {name: list(dict.fromkeys(_beginnings(body, empty))) for name, body in rules.items()}
    finished: set[str] = set()
    for start in rules:
        path: list[str] = []
        stack: list[tuple[str, int]] = [(start, 0)]
        while stack:
            name, edge = stack.pop()
            if edge == 0:
                if name in finished:
                    continue
                path.append(name)
            if edge == len(begins[name]):
                finished.add(name)
                path.pop()
                continue
            stack.append((name, edge + 1))
            target = begins[name][edge]
            if target in path:
                yield target, [*path[path.index(target) :], target]
            elif target in begins and target not in finished:
                stack.append((target, 0))


def _nullable_rules(rules: Mapping[str, ir.Node]) -> frozenset[str]:
    known: set[str] = set()
    changed = True
    while changed:
        changed = False
        for name, body in rules.items():
            if name not in known and _nullable(body, known):
                known.add(name)
                changed = True
    return frozenset(known)


def _nullable(node: ir.Node, known: set[str] | frozenset[str]) -> bool:
    match node:
        case ir.Empty():
            return True
        case ir.Ref(name):
            return name in known
        case ir.Seq(parts) | ir.And(parts):
            return all(_nullable(part, known) for part in parts)
        case ir.Not(item):
            return not _nullable(item, known)
        case ir.Alt(options):
            return any(_nullable(option, known) for option in options)
        case ir.Repeat(item, low):
            return low == 0 or _nullable(item, known)
        case _:
            return False


def _beginnings(node: ir.Node, empty: frozenset[str]) -> Iterator[str]:
    """Rules that a match of the node may begin with."""
    match node:
        case ir.Ref(name):
            yield name
        case ir.Seq(parts):
            for part in parts:
                yield from _beginnings(part, empty)
                if not _nullable(part, empty):
                    break
        case ir.Alt(options):
            for option in options:
                yield from _beginnings(option, empty)
        case ir.Repeat(item):
            yield from _beginnings(item, empty)
