"""Property names of one object case: which are declared, what each value must satisfy, and the classes of names beyond them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

from portico_engine.grammar.ir import NEVER, And, Never, Node, Not, alt, seq, text
from portico_engine.grammar.regular.strings import is_text, quoted
from portico_engine.grammar.schema.expand import Applied
from portico_engine.grammar.schema.formula import STRING, Atom, Case, Goal, Sub, goal_of
from portico_engine.grammar.schema.scalars import string_language
from portico_engine.grammar.schema.values import atom_holds, part_for, satisfies, subs_for

if TYPE_CHECKING:
    from portico_engine.grammar.schema.build import Builder

_MAX_PATTERNS = 5  # names are split into the classes that so many patterns make


@dataclass(slots=True)
class Shape:
    """What the atoms of one object case say, sorted out."""

    pointer: str
    applied: list[Applied] = field(default_factory=list)
    required: dict[str, None] = field(default_factory=dict)
    names: list[Sub] = field(default_factory=list)
    least: int = 0
    most: int | None = None
    declared: dict[str, Goal] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    some: list[Atom] = field(default_factory=list)  # a property must be there that fails its Sub
    failing: tuple[
        tuple[Atom, ...], ...
    ] = ()  # of them, those that undeclared properties must satisfy: those of each, in order


def shape_of(builder: Builder, atoms: tuple[Atom, ...], pointer: str) -> Shape:
    shape = Shape(pointer)
    for atom in atoms:
        match atom.kind:
            case "properties":
                shape.applied.append(atom.value)
            case "required":
                shape.required.update(dict.fromkeys(atom.value))
            case "absent":
                shape.absent.update(atom.value)
            case "names":
                shape.names.append(atom.value)
            case "min-properties":
                shape.least = max(shape.least, atom.value)
            case "max-properties":
                shape.most = atom.value if shape.most is None else min(shape.most, atom.value)
            case "some":
                shape.some.append(atom)
            case "not-in":
                if any(isinstance(value, dict) for value in atom.value):
                    _exclude(builder, shape, atom)
    _declare(builder, shape)
    return shape


def _exclude(builder: Builder, shape: Shape, atom: Atom) -> None:
    excluded = [value for value in atom.value if isinstance(value, dict)]
    if excluded == [{}]:
        shape.least = max(shape.least, 1)
    else:
        builder.loosen(atom.pointer, atom.pointer.rsplit("/", 1)[-1], "the objects that it excludes")


def _declare(builder: Builder, shape: Shape) -> None:
    """Names in the schema's order, those that are only required after them, then those that propertyNames lists."""
    listed = _listed_names(builder, shape)
    known = dict.fromkeys(name for applied in shape.applied for name in applied.named)
    known.update(shape.required)
    known.update(dict.fromkeys(listed or ()))
    for name in known:
        if name in shape.absent or not is_text(name) or not all(satisfies(builder.expander, sub, name) for sub in shape.names):
            continue
        shape.declared[name] = goal_of(sub for applied in shape.applied for sub in subs_for(applied, name))


def _listed_names(builder: Builder, shape: Shape) -> list[str] | None:
    """Every name there can be, where propertyNames lists them; None where it doesn't."""
    if not shape.names:
        return None
    out: dict[str, None] = {}
    for case in builder.cases(tuple(shape.names)):
        if STRING not in case.types:
            continue
        listed = [atom for atom in case.atoms if atom.kind == "in"]
        if not listed:
            return None
        out.update(
            (value, None)
            for value in listed[0].value
            if isinstance(value, str) and all(atom_holds(builder.expander, atom, value) for atom in case.atoms)
        )
    return list(out)


def extra_pairs(builder: Builder, shape: Shape, hint: str) -> tuple[Node, int | None]:
    """One pair whose name isn't declared, and how many of them there may be. NEVER where none may be."""
    if _listed_names(builder, shape) is not None:
        return NEVER, 0
    says_nothing = all(applied.additional is None for applied in shape.applied)
    closed = False
    if builder.bounds is not None and not builder.bounds.open_objects and shape.applied and says_nothing:
        closed = shape.least <= len(shape.declared)
        if closed:
            builder.bound(shape.pointer, "object", 0)
    pairs = _classes(builder, shape, closed, hint)
    if not pairs:
        return NEVER, 0
    high = None
    if builder.bounds is not None:
        high = max(builder.bounds.object, shape.least)
        if shape.most is None:
            builder.bound(shape.pointer, "object", high)
    return builder.rule(f"{hint}/other", alt(*pairs.values())), high


def failing_pairs(builder: Builder, shape: Shape, hint: str) -> list[tuple[Node, ...]]:
    """Ways to write the pairs that `shape.failing` asks for, whose names aren't declared. Two pairs of a way have names of two
    classes, and so two names."""
    every = [_classes(builder, shape, False, f"{hint}/failing", atoms) for atoms in shape.failing]
    if len(every) == 1:
        return [(alt(*every[0].values()),)] if every[0] else []
    ways = product(*(pairs.items() for pairs in every))
    return [tuple(pair for _, pair in way) for way in ways if len({names for names, _ in way}) == len(way)]


def witnesses(shape: Shape, atom: Atom) -> list[Shape]:
    """The ways to satisfy a `some`: by each declared property that it is about, by one that isn't declared, or by one of those
    that have to satisfy others."""
    applied, index = atom.value
    out = []
    rest = [other for other in shape.some if other is not atom]
    for name, goal in shape.declared.items():
        for sub in part_for(applied, index, name):
            declared = {**shape.declared, name: goal_of((*goal, (sub[0], not sub[1])))}
            out.append(replace(shape, declared=declared, required={**shape.required, name: None}, some=rest))
    before = shape.failing
    for at in range(len(before) + 1):
        out.append(replace(shape, failing=(*before[:at], (atom,), *before[at:]), some=rest))
    for at, atoms in enumerate(before):
        out.append(replace(shape, failing=(*before[:at], (*atoms, atom), *before[at + 1 :]), some=rest))
    return out


def _classes(
    builder: Builder, shape: Shape, closed: bool, hint: str, failing: tuple[Atom, ...] = ()
) -> dict[tuple[bool, ...], Node]:
    """A pair for each class of undeclared names: those that match the same patterns. `failing` keeps those that satisfy all of
    it."""
    patterns = list(dict.fromkeys(pattern for applied in shape.applied for pattern, _ in applied.patterns))
    if failing:
        asked = (atom for atoms in shape.failing for atom in atoms)
        patterns = list(dict.fromkeys((*patterns, *(pattern for atom in asked for pattern, _ in atom.value[0].patterns))))
    if len(patterns) > _MAX_PATTERNS:
        builder.loosen(
            f"{shape.pointer}/patternProperties", "patternProperties", "names that match two patterns need satisfy one only"
        )
        combos = [tuple(i == j for j in range(len(patterns))) for i in range(-1, len(patterns))]
    else:
        combos = list(product((True, False), repeat=len(patterns)))
    out: dict[tuple[bool, ...], Node] = {}
    for combo in combos:
        if closed and not any(combo):
            continue
        matched = {pattern for pattern, yes in zip(patterns, combo, strict=True) if yes}
        exact = not any(combo) or len(patterns) <= _MAX_PATTERNS
        unmatched = [pattern for pattern in patterns if pattern not in matched] if exact else []
        pair = _class_pair(builder, shape, matched, unmatched, hint, failing)
        if not isinstance(pair, Never):
            out[combo] = pair
    return out


def _failing_part(atom: Atom, matched: set[str]) -> Sub | None:
    """What an undeclared property must fail, where its name is of the class that the atom is about."""
    applied, index = atom.value
    if index < len(applied.patterns):
        pattern, sub = applied.patterns[index]
        return sub if pattern in matched else None
    return None if any(pattern in matched for pattern, _ in applied.patterns) else applied.additional


def _class_pair(
    builder: Builder, shape: Shape, matched: set[str], unmatched: list[str], hint: str, failing: tuple[Atom, ...]
) -> Node:
    goal: list[Sub] = []
    for applied in shape.applied:
        subs = [sub for pattern, sub in applied.patterns if pattern in matched]
        goal += subs if subs or applied.additional is None else [applied.additional]
    for atom in failing:
        part = _failing_part(atom, matched)
        if part is None:
            return NEVER
        goal.append((part[0], not part[1]))
    if any(sub[0].value is False and sub[1] for sub in goal):
        return NEVER
    at = shape.pointer
    strings = frozenset({STRING})
    atoms = [Atom(strings, "pattern", pattern, f"{at}/patternProperties") for pattern in sorted(matched)]
    atoms += [Atom(strings, "not-pattern", pattern, f"{at}/patternProperties") for pattern in unmatched]
    key = _names(builder, shape, atoms)
    taken = [*shape.declared, *shape.absent]
    for atom in failing:
        applied, index = atom.value
        if index >= len(applied.patterns):
            taken += [name for name in applied.named if name not in shape.declared]
    if isinstance(key, Never):
        return NEVER
    if taken:
        key = And((key, Not(alt(*map(text, filter(is_text, taken))))))
    value = builder.goal(goal_of(goal), f"{hint}/other-value")
    return NEVER if isinstance(value, Never) else seq(quoted(key), text(":"), value)


def _names(builder: Builder, shape: Shape, atoms: list[Atom]) -> Node:
    """The language of names under `atoms` and propertyNames."""
    if not shape.names:
        return string_language(builder, tuple(atoms), f"{shape.pointer}/propertyNames")
    languages = []
    for case in builder.cases(tuple(shape.names)):
        if STRING in case.types:
            languages.append(_name_language(builder, case, atoms, shape.pointer))
    return alt(*languages)


def _name_language(builder: Builder, case: Case, atoms: list[Atom], pointer: str) -> Node:
    listed = [atom for atom in case.atoms if atom.kind == "in"]
    if listed:
        rest = (*case.atoms, *atoms)
        texts = [v for v in listed[0].value if isinstance(v, str) and is_text(v)]
        kept = [v for v in texts if all(atom_holds(builder.expander, a, v) for a in rest)]
        return alt(*map(text, kept))
    return string_language(builder, (*case.of(STRING), *atoms), f"{pointer}/propertyNames")
