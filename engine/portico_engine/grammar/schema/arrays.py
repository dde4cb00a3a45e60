"""Arrays of one clause, as IR: item by item up to the last index that a keyword names, then a repetition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portico_engine.grammar.ir import EMPTY, NEVER, Never, Node, Ref, alt, optional, repeat, seq, text
from portico_engine.grammar.schema.formula import ARRAY, Clause, Constraint, Goal, goal_of

if TYPE_CHECKING:
    from portico_engine.grammar.schema.build import Builder

_MAX_COUNTED = 512  # states of the automaton that counts `contains`


@dataclass(slots=True)
class _ItemConstraints:
    """What the constraints of one clause say of an array's items, sorted out."""

    least: int
    most: int | None
    prefixes: list[tuple[int, tuple[object, bool]]]
    rests: list[tuple[int, tuple[object, bool]]]
    contains: list[Constraint]

    def goal_at(self, index: int) -> Goal:
        subs = [sub for at, sub in self.prefixes if at == index] + [sub for first, sub in self.rests if first <= index]
        return goal_of(subs)  # type: ignore[arg-type]

    @property
    def uniform_from(self) -> int:
        """The first index from which every item has the same goal."""
        counted: list[int] = [constraint.value[3] for constraint in self.contains]
        return max((*(at + 1 for at, _ in self.prefixes), *(first for first, _ in self.rests), *counted, 0))


def array(builder: Builder, clause: Clause, pointer: str, hint: str) -> Node:
    """`[` items `]`."""
    constraints = clause.of(ARRAY)
    on_items = _item_constraints(constraints)
    excluded = [v for constraint in constraints if constraint.kind == "not-in" for v in constraint.value if isinstance(v, list)]
    if excluded:
        at = next(constraint.pointer for constraint in constraints if constraint.kind == "not-in")
        if not (excluded == [[]] and on_items.least <= 1):
            builder.loosen(at, at.rsplit("/", 1)[-1], "the arrays that it excludes")
        else:
            on_items.least = 1
    if on_items.most is not None and on_items.least > on_items.most:
        return builder.never(pointer, f"minItems {on_items.least} is above maxItems {on_items.most}")
    _unique(builder, constraints, on_items)
    bounded = on_items.most
    if bounded is None and builder.bounds is not None:
        bounded = max(builder.bounds.array, on_items.least, on_items.uniform_from)
    items = (
        _contained(builder, on_items, bounded, hint) if on_items.contains else _plain(builder, on_items, bounded, hint, pointer)
    )
    if isinstance(items, Never):
        return builder.never(pointer, "an item that must be there can't be")
    return seq(text("["), items, text("]"))


def _item_constraints(constraints: tuple[Constraint, ...]) -> _ItemConstraints:
    on_items = _ItemConstraints(0, None, [], [], [])
    for constraint in constraints:
        match constraint.kind:
            case "min-items":
                on_items.least = max(on_items.least, constraint.value)
            case "max-items":
                on_items.most = constraint.value if on_items.most is None else min(on_items.most, constraint.value)
            case "prefix":
                on_items.prefixes.append(constraint.value)
            case "rest":
                on_items.rests.append(constraint.value)
            case "contains" if constraint.value[1] > 0 or constraint.value[2] is not None:
                on_items.contains.append(constraint)
    return on_items


def _unique(builder: Builder, constraints: tuple[Constraint, ...], on_items: _ItemConstraints) -> None:
    for constraint in constraints:
        if constraint.kind == "unique" and (on_items.most is None or on_items.most > 1):
            builder.loosen(constraint.pointer, "uniqueItems", "arrays with equal items, too")


def _plain(builder: Builder, on_items: _ItemConstraints, most: int | None, hint: str, pointer: str) -> Node:
    """Items without `contains`."""
    comma = text(",")
    uniform = on_items.uniform_from if most is None else min(on_items.uniform_from, most)
    head = [builder.goal(on_items.goal_at(i), f"{hint}/{i}") for i in range(uniform)]
    for index, node in enumerate(head):
        if isinstance(node, Never):  # an array must end before it
            if on_items.least > index:
                return NEVER
            head, uniform, most = head[:index], index, index
            break
    tail: Node = EMPTY
    if most is None or most > uniform:
        item = builder.goal(on_items.goal_at(uniform), f"{hint}/item")
        low, high = max(on_items.least - uniform, 0), None if most is None else most - uniform
        if isinstance(item, Never):
            if low:
                return NEVER
        else:
            if on_items.most is None and most is not None:
                builder.bound(pointer, "array", most)
            if not head:
                return _list(item, low, high)
            tail = repeat(seq(comma, item), low, high)
    for index in range(len(head) - 1, -1, -1):
        item = seq(comma, head[index]) if index else head[index]
        tail = seq(item, tail)
        if on_items.least <= index:
            tail = optional(tail)
        if index % 8 == 0 and index:
            tail = builder.rule(f"{hint}/from-{index}", tail)
    return tail


def _list(item: Node, low: int, high: int | None) -> Node:
    """low..high items with commas between."""
    if high == 0:
        return EMPTY
    some = seq(item, repeat(seq(text(","), item), max(low - 1, 0), None if high is None else high - 1))
    return some if low else optional(some)


def _contained(builder: Builder, on_items: _ItemConstraints, most: int | None, hint: str) -> Node:
    """Items with `contains`, as right-linear rules over (index, how many of each kind so far)."""
    return _Counter(builder, on_items, most, hint).start()


class _Counter:
    """States are (index up to where all are alike, counts up to where they no longer matter)."""

    def __init__(self, builder: Builder, on_items: _ItemConstraints, most: int | None, hint: str) -> None:
        self.builder, self.on_items, self.most, self.hint = builder, on_items, most, hint
        self.uniform = on_items.uniform_from
        caps = [(a.value[1] if a.value[2] is None else a.value[2] + 1) for a in on_items.contains]
        # The index is counted on only where a limit on the length is in force.
        self.counted = max(on_items.least, self.uniform, 1) if most is None else max(most, 1)
        states = self.counted + 1
        for cap in caps:
            states *= cap + 1
        if states > _MAX_COUNTED:
            for constraint in on_items.contains:
                if constraint.value[2] is not None or constraint.value[1] > 1 or len(on_items.contains) > 1:
                    builder.loosen(constraint.pointer, "contains", "any number of such items")
            kept = [a for a in on_items.contains if a.value[2] is None and a.value[1] == 1][:1]
            on_items.contains = kept
            caps = [1] * len(kept)
        self.caps = caps
        self.rules: dict[tuple[int, tuple[int, ...]], Node] = {}

    def start(self) -> Node:
        return self._state(0, (0,) * len(self.caps))

    def _state(self, index: int, counts: tuple[int, ...]) -> Node:
        """What may follow once `index` items are written."""
        index = min(index, self.counted + 1 if self.most is not None else self.counted)
        key = (index, counts)
        if key in self.rules:
            return self.rules[key]
        name = self.builder.new_name(f"{self.hint}/contains")
        self.rules[key] = Ref(name)
        options: list[Node] = []
        if index >= self.on_items.least and self._done(counts):
            options.append(EMPTY)
        if self.most is None or index < self.most:
            options += self._steps(index, counts)
        self.builder.rules[name] = alt(*options)
        self.builder.early.add(name)
        self.builder.meter.count(8)
        return self.rules[key]

    def _done(self, counts: tuple[int, ...]) -> bool:
        return all(
            n >= constraint.value[1] and (constraint.value[2] is None or n <= constraint.value[2])
            for n, constraint in zip(counts, self.on_items.contains, strict=True)
        )

    def _steps(self, index: int, counts: tuple[int, ...]) -> list[Node]:
        """One item more: for each combination of which `contains` it counts for."""
        comma = text(",") if index else EMPTY
        base = self.on_items.goal_at(min(index, self.uniform))
        out: list[Node] = []
        combos: list[tuple[tuple[int, ...], Goal]] = [(counts, base)]
        for i, constraint in enumerate(self.on_items.contains):
            sub, _, most, first = constraint.value
            if index < first or (most is None and counts[i] >= self.caps[i]):
                continue
            combos = [
                option
                for now, goal in combos
                for option in (
                    ((*now[:i], min(now[i] + 1, self.caps[i]), *now[i + 1 :]), (*goal, sub)),
                    (now, (*goal, (sub[0], not sub[1])) if most is not None else goal),
                )
            ]
        for now, goal in combos:
            if any(
                constraint.value[2] is not None and n > constraint.value[2]
                for n, constraint in zip(now, self.on_items.contains, strict=True)
            ):
                continue
            item = self.builder.goal(goal_of(goal), f"{self.hint}/item")
            if not isinstance(item, Never):
                out.append(seq(comma, item, self._state(index + 1, now)))
        return out
