"""Property names of one object case: which are declared, what each value must satisfy, and the classes of names beyond them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

from portico_engine.grammar.ir import NEVER, And, Never, Node, Not, alt, seq, text
from portico_engine.grammar.schema.expand import Applied
from portico_engine.grammar.schema.formula import STRING, Atom, Case, Goal, Sub
from portico_engine.grammar.schema.scalars import string_language
from portico_engine.grammar.schema.values import atom_holds, satisfies, subs_for
from portico_engine.grammar.strings import quoted

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
                builder.loosen(atom.pointer, "not", "objects none of whose other properties fails it, too")
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
        if name in shape.absent or not all(satisfies(builder.expander, sub, name) for sub in shape.names):
            continue
        shape.declared[name] = tuple(dict.fromkeys(sub for applied in shape.applied for sub in subs_for(applied, name)))


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
    pairs = [pair for pair in _classes(builder, shape, closed, hint) if not isinstance(pair, Never)]
    if not pairs:
        return NEVER, 0
    high = None
    if builder.bounds is not None:
        high = max(builder.bounds.object, shape.least)
        if shape.most is None:
            builder.bound(shape.pointer, "object", high)
    return builder.rule(f"{hint}/other", alt(*pairs)), high


def _classes(builder: Builder, shape: Shape, closed: bool, hint: str) -> list[Node]:
    """A pair for each class of undeclared names: those that match the same patterns."""
    patterns = list(dict.fromkeys(pattern for applied in shape.applied for pattern, _ in applied.patterns))
    if len(patterns) > _MAX_PATTERNS:
        builder.loosen(
            f"{shape.pointer}/patternProperties", "patternProperties", "names that match two patterns need satisfy one only"
        )
        combos = [tuple(i == j for j in range(len(patterns))) for i in range(-1, len(patterns))]
    else:
        combos = list(product((True, False), repeat=len(patterns)))
    out = []
    for combo in combos:
        if closed and not any(combo):
            continue
        matched = {pattern for pattern, yes in zip(patterns, combo, strict=True) if yes}
        exact = not any(combo) or len(patterns) <= _MAX_PATTERNS
        out.append(_class_pair(builder, shape, matched, [p for p in patterns if p not in matched] if exact else [], hint))
    return out


def _class_pair(builder: Builder, shape: Shape, matched: set[str], unmatched: list[str], hint: str) -> Node:
    goal: list[Sub] = []
    for applied in shape.applied:
        subs = [sub for pattern, sub in applied.patterns if pattern in matched]
        goal += subs if subs or applied.additional is None else [applied.additional]
    if any(sub[0].value is False and sub[1] for sub in goal):
        return NEVER
    at = shape.pointer
    strings = frozenset({STRING})
    atoms = [Atom(strings, "pattern", pattern, f"{at}/patternProperties") for pattern in sorted(matched)]
    atoms += [Atom(strings, "not-pattern", pattern, f"{at}/patternProperties") for pattern in unmatched]
    key = _names(builder, shape, atoms)
    taken = [*shape.declared, *shape.absent]
    if isinstance(key, Never):
        return NEVER
    if taken:
        key = And((key, Not(alt(*map(text, taken)))))
    value = builder.goal(tuple(dict.fromkeys(goal)), f"{hint}/other-value")
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
        rest = [atom for atom in (*case.atoms, *atoms)]
        kept = [v for v in listed[0].value if isinstance(v, str) and all(atom_holds(builder.expander, a, v) for a in rest)]
        return alt(*map(text, kept))
    return string_language(builder, (*case.of(STRING), *atoms), f"{pointer}/propertyNames")
