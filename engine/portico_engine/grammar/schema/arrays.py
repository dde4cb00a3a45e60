"""Arrays of one case, as IR: item by item up to the last index that a keyword names, then a repetition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portico_engine.grammar.ir import EMPTY, NEVER, Never, Node, alt, optional, repeat, seq, text
from portico_engine.grammar.schema.formula import ARRAY, Atom, Case, Goal, goal_of

if TYPE_CHECKING:
    from portico_engine.grammar.schema.build import Builder

_MAX_COUNTED = 512  # states of the automaton that counts `contains`


@dataclass(slots=True)
class _Shape:
    least: int
    most: int | None
    prefixes: list[tuple[int, tuple[object, bool]]]
    rests: list[tuple[int, tuple[object, bool]]]
    contains: list[Atom]

    def goal_at(self, index: int) -> Goal:
        subs = [sub for at, sub in self.prefixes if at == index] + [sub for first, sub in self.rests if first <= index]
        return goal_of(subs)  # type: ignore[arg-type]

    @property
    def uniform_from(self) -> int:
        """The first index from which every item has the same goal."""
        counted: list[int] = [atom.value[3] for atom in self.contains]
        return max((*(at + 1 for at, _ in self.prefixes), *(first for first, _ in self.rests), *counted, 0))


def array(builder: Builder, case: Case, pointer: str, hint: str) -> Node:
    """`[` items `]`."""
    atoms = case.of(ARRAY)
    shape = _shape(atoms)
    excluded = [v for atom in atoms if atom.kind == "not-in" for v in atom.value if isinstance(v, list)]
    if excluded:
        at = next(atom.pointer for atom in atoms if atom.kind == "not-in")
        if not (excluded == [[]] and shape.least <= 1):
            builder.loosen(at, at.rsplit("/", 1)[-1], "the arrays that it excludes")
        else:
            shape.least = 1
    if shape.most is not None and shape.least > shape.most:
        return builder.never(pointer, f"minItems {shape.least} is above maxItems {shape.most}")
    _unique(builder, atoms, shape)
    bounded = shape.most
    if bounded is None and builder.bounds is not None:
        bounded = max(builder.bounds.array, shape.least, shape.uniform_from)
    items = _contained(builder, shape, bounded, hint) if shape.contains else _plain(builder, shape, bounded, hint, pointer)
    if isinstance(items, Never):
        return builder.never(pointer, "an item that must be there can't be")
    return seq(text("["), items, text("]"))


def _shape(atoms: tuple[Atom, ...]) -> _Shape:
    shape = _Shape(0, None, [], [], [])
    for atom in atoms:
        match atom.kind:
            case "min-items":
                shape.least = max(shape.least, atom.value)
            case "max-items":
                shape.most = atom.value if shape.most is None else min(shape.most, atom.value)
            case "prefix":
                shape.prefixes.append(atom.value)
            case "rest":
                shape.rests.append(atom.value)
            case "contains" if atom.value[1] > 0 or atom.value[2] is not None:
                shape.contains.append(atom)
    return shape


def _unique(builder: Builder, atoms: tuple[Atom, ...], shape: _Shape) -> None:
    for atom in atoms:
        if atom.kind == "unique" and (shape.most is None or shape.most > 1):
            builder.loosen(atom.pointer, "uniqueItems", "arrays with equal items, too")


def _plain(builder: Builder, shape: _Shape, most: int | None, hint: str, pointer: str) -> Node:
    """Items without `contains`."""
    comma = text(",")
    uniform = shape.uniform_from if most is None else min(shape.uniform_from, most)
    head = [builder.goal(shape.goal_at(i), f"{hint}/{i}") for i in range(uniform)]
    for index, node in enumerate(head):
        if isinstance(node, Never):  # an array must end before it
            if shape.least > index:
                return NEVER
            head, uniform, most = head[:index], index, index
            break
    tail: Node = EMPTY
    if most is None or most > uniform:
        item = builder.goal(shape.goal_at(uniform), f"{hint}/item")
        low, high = max(shape.least - uniform, 0), None if most is None else most - uniform
        if isinstance(item, Never):
            if low:
                return NEVER
        else:
            if shape.most is None and most is not None:
                builder.bound(pointer, "array", most)
            if not head:
                return _list(item, low, high)
            tail = repeat(seq(comma, item), low, high)
    for index in range(len(head) - 1, -1, -1):
        item = seq(comma, head[index]) if index else head[index]
        tail = seq(item, tail)
        if shape.least <= index:
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


def _contained(builder: Builder, shape: _Shape, most: int | None, hint: str) -> Node:
    """Items with `contains`, as right-linear rules over (index, how many of each kind so far)."""
    return _Counter(builder, shape, most, hint).start()


class _Counter:
    """States are (index up to where all are alike, counts up to where they no longer matter)."""

    def __init__(self, builder: Builder, shape: _Shape, most: int | None, hint: str) -> None:
        self.builder, self.shape, self.most, self.hint = builder, shape, most, hint
        self.uniform = shape.uniform_from
        caps = [(a.value[1] if a.value[2] is None else a.value[2] + 1) for a in shape.contains]
        # The index is counted on only where a limit on the length is in force.
        self.counted = max(shape.least, self.uniform, 1) if most is None else max(most, 1)
        states = self.counted + 1
        for cap in caps:
            states *= cap + 1
        if states > _MAX_COUNTED:
            for atom in shape.contains:
                if atom.value[2] is not None or atom.value[1] > 1 or len(shape.contains) > 1:
                    builder.loosen(atom.pointer, "contains", "any number of such items")
            kept = [a for a in shape.contains if a.value[2] is None and a.value[1] == 1][:1]
            shape.contains = kept
            caps = [1] * len(kept)
        self.caps = caps
        self.rules: dict[tuple[int, tuple[int, ...]], Node] = {}

    def start(self) -> Node:
        return self._state(0, (0,) * len(self.caps))

    def _state(self, index: int, counts: tuple[int, ...]) -> Node:
        """What may follow once `index` items are written."""
        from portico_engine.grammar.ir import Ref

        index = min(index, self.counted + 1 if self.most is not None else self.counted)
        key = (index, counts)
        if key in self.rules:
            return self.rules[key]
        name = self.builder.new_name(f"{self.hint}/contains")
        self.rules[key] = Ref(name)
        options: list[Node] = []
        if index >= self.shape.least and self._done(counts):
            options.append(EMPTY)
        if self.most is None or index < self.most:
            options += self._steps(index, counts)
        self.builder.rules[name] = alt(*options)
        self.builder.early.add(name)
        self.builder.meter.count(8)
        return self.rules[key]

    def _done(self, counts: tuple[int, ...]) -> bool:
        return all(
            n >= atom.value[1] and (atom.value[2] is None or n <= atom.value[2])
            for n, atom in zip(counts, self.shape.contains, strict=True)
        )

    def _steps(self, index: int, counts: tuple[int, ...]) -> list[Node]:
        """One item more: for each combination of which `contains` it counts for."""
        comma = text(",") if index else EMPTY
        base = self.shape.goal_at(min(index, self.uniform))
        out: list[Node] = []
        combos: list[tuple[tuple[int, ...], Goal]] = [(counts, base)]
        for i, atom in enumerate(self.shape.contains):
            sub, _, most, first = atom.value
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
            if any(atom.value[2] is not None and n > atom.value[2] for n, atom in zip(now, self.shape.contains, strict=True)):
                continue
            item = self.builder.goal(goal_of(goal), f"{self.hint}/item")
            if not isinstance(item, Never):
                out.append(seq(comma, item, self._state(index + 1, now)))
        return out
