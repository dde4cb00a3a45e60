"""Property names of one clause on objects: which are declared, what each value must satisfy, and the classes of names beyond
them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

from portico_engine.grammar.ir import NEVER, And, Never, Node, Not, alt, seq, text
from portico_engine.grammar.regular.strings import is_text, quoted
from portico_engine.grammar.schema.formula import STRING, Clause, Constraint, Goal, PropertyApplicators, SignedSchema, goal_of
from portico_engine.grammar.schema.scalars import string_language
from portico_engine.grammar.schema.values import applied_part, applied_schemas, satisfies, satisfies_constraint

if TYPE_CHECKING:
    from portico_engine.grammar.schema.build import Builder

_MAX_PATTERNS = 5  # names are split into the classes that so many patterns make


@dataclass(slots=True)
class PropertyConstraints:
    """What the constraints of one clause say of an object's properties, sorted out."""

    pointer: str
    applicators: list[PropertyApplicators] = field(default_factory=list)
    required: dict[str, None] = field(default_factory=dict)
    names: list[SignedSchema] = field(default_factory=list)
    least: int = 0
    most: int | None = None
    declared: dict[str, Goal] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    some: list[Constraint] = field(default_factory=list)  # a property must be there that fails its Sub
    failing: tuple[
        tuple[Constraint, ...], ...
    ] = ()  # of them, those that undeclared properties must satisfy: those of each, in order


def property_constraints(builder: Builder, constraints: tuple[Constraint, ...], pointer: str) -> PropertyConstraints:
    properties = PropertyConstraints(pointer)
    for constraint in constraints:
        match constraint.kind:
            case "properties":
                properties.applicators.append(constraint.value)
            case "required":
                properties.required.update(dict.fromkeys(constraint.value))
            case "absent":
                properties.absent.update(constraint.value)
            case "names":
                properties.names.append(constraint.value)
            case "min-properties":
                properties.least = max(properties.least, constraint.value)
            case "max-properties":
                properties.most = constraint.value if properties.most is None else min(properties.most, constraint.value)
            case "some":
                properties.some.append(constraint)
            case "not-in":
                if any(isinstance(value, dict) for value in constraint.value):
                    _exclude(builder, properties, constraint)
    _declare(builder, properties)
    return properties


def _exclude(builder: Builder, properties: PropertyConstraints, constraint: Constraint) -> None:
    excluded = [value for value in constraint.value if isinstance(value, dict)]
    if excluded == [{}]:
        properties.least = max(properties.least, 1)
    else:
        builder.loosen(constraint.pointer, constraint.pointer.rsplit("/", 1)[-1], "the objects that it excludes")


def _declare(builder: Builder, properties: PropertyConstraints) -> None:
    """Names in the schema's order, those that are only required after them, then those that propertyNames lists."""
    listed = _listed_names(builder, properties)
    known = dict.fromkeys(name for applicators in properties.applicators for name in applicators.named)
    known.update(properties.required)
    known.update(dict.fromkeys(listed or ()))
    for name in known:
        if (
            name in properties.absent
            or not is_text(name)
            or not all(satisfies(builder.expander, sub, name) for sub in properties.names)
        ):
            continue
        properties.declared[name] = goal_of(
            sub for applicators in properties.applicators for sub in applied_schemas(applicators, name)
        )


def _listed_names(builder: Builder, properties: PropertyConstraints) -> list[str] | None:
    """Every name there can be, where propertyNames lists them; None where it doesn't."""
    if not properties.names:
        return None
    out: dict[str, None] = {}
    for clause in builder.clauses(tuple(properties.names)):
        if STRING not in clause.types:
            continue
        listed = [constraint for constraint in clause.constraints if constraint.kind == "in"]
        if not listed:
            return None
        out.update(
            (value, None)
            for value in listed[0].value
            if isinstance(value, str)
            and all(satisfies_constraint(builder.expander, constraint, value) for constraint in clause.constraints)
        )
    return list(out)


def extra_pairs(builder: Builder, properties: PropertyConstraints, hint: str) -> tuple[Node, int | None]:
    """One pair whose name isn't declared, and how many of them there may be. NEVER where none may be."""
    if _listed_names(builder, properties) is not None:
        return NEVER, 0
    says_nothing = all(applicators.additional is None for applicators in properties.applicators)
    closed = False
    if builder.bounds is not None and not builder.bounds.open_objects and properties.applicators and says_nothing:
        closed = properties.least <= len(properties.declared)
        if closed:
            builder.bound(properties.pointer, "object", 0)
    pairs = _classes(builder, properties, closed, hint)
    if not pairs:
        return NEVER, 0
    high = None
    if builder.bounds is not None:
        high = max(builder.bounds.object, properties.least)
        if properties.most is None:
            builder.bound(properties.pointer, "object", high)
    return builder.rule(f"{hint}/other", alt(*pairs.values())), high


def failing_pairs(builder: Builder, properties: PropertyConstraints, hint: str) -> list[tuple[Node, ...]]:
    """Ways to write the pairs that `properties.failing` asks for, whose names aren't declared. Two pairs of a way have names
    of two classes, and so two names."""
    every = [_classes(builder, properties, False, f"{hint}/failing", constraints) for constraints in properties.failing]
    if len(every) == 1:
        return [(alt(*every[0].values()),)] if every[0] else []
    ways = product(*(pairs.items() for pairs in every))
    return [tuple(pair for _, pair in way) for way in ways if len({names for names, _ in way}) == len(way)]


def witnesses(properties: PropertyConstraints, constraint: Constraint) -> list[PropertyConstraints]:
    """The ways to satisfy a `some`: by each declared property that it is about, by one that isn't declared, or by one of those
    that have to satisfy others."""
    applicators, index = constraint.value
    out = []
    rest = [other for other in properties.some if other is not constraint]
    for name, goal in properties.declared.items():
        for sub in applied_part(applicators, index, name):
            declared = {**properties.declared, name: goal_of((*goal, (sub[0], not sub[1])))}
            out.append(replace(properties, declared=declared, required={**properties.required, name: None}, some=rest))
    before = properties.failing
    for at in range(len(before) + 1):
        out.append(replace(properties, failing=(*before[:at], (constraint,), *before[at:]), some=rest))
    for at, constraints in enumerate(before):
        out.append(replace(properties, failing=(*before[:at], (*constraints, constraint), *before[at + 1 :]), some=rest))
    return out


def _classes(
    builder: Builder, properties: PropertyConstraints, closed: bool, hint: str, failing: tuple[Constraint, ...] = ()
) -> dict[tuple[bool, ...], Node]:
    """A pair for each class of undeclared names: those that match the same patterns. `failing` keeps those that satisfy all of
    it."""
    patterns = list(dict.fromkeys(pattern for applicators in properties.applicators for pattern, _ in applicators.patterns))
    if failing:
        asked = (constraint for constraints in properties.failing for constraint in constraints)
        patterns = list(
            dict.fromkeys((*patterns, *(pattern for constraint in asked for pattern, _ in constraint.value[0].patterns)))
        )
    if len(patterns) > _MAX_PATTERNS:
        builder.loosen(
            f"{properties.pointer}/patternProperties",
            "patternProperties",
            "names that match two patterns need satisfy one only",
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
        pair = _class_pair(builder, properties, matched, unmatched, hint, failing)
        if not isinstance(pair, Never):
            out[combo] = pair
    return out


def _failing_part(constraint: Constraint, matched: set[str]) -> SignedSchema | None:
    """What an undeclared property must fail, where its name is of the class that the constraint is about."""
    applicators, index = constraint.value
    if index < len(applicators.patterns):
        pattern, sub = applicators.patterns[index]
        return sub if pattern in matched else None
    return None if any(pattern in matched for pattern, _ in applicators.patterns) else applicators.additional


def _class_pair(
    builder: Builder,
    properties: PropertyConstraints,
    matched: set[str],
    unmatched: list[str],
    hint: str,
    failing: tuple[Constraint, ...],
) -> Node:
    goal: list[SignedSchema] = []
    for applicators in properties.applicators:
        subs = [sub for pattern, sub in applicators.patterns if pattern in matched]
        goal += subs if subs or applicators.additional is None else [applicators.additional]
    for constraint in failing:
        part = _failing_part(constraint, matched)
        if part is None:
            return NEVER
        goal.append((part[0], not part[1]))
    if any(sub[0].value is False and sub[1] for sub in goal):
        return NEVER
    at = properties.pointer
    strings = frozenset({STRING})
    constraints = [Constraint(strings, "pattern", pattern, f"{at}/patternProperties") for pattern in sorted(matched)]
    constraints += [Constraint(strings, "not-pattern", pattern, f"{at}/patternProperties") for pattern in unmatched]
    key = _names(builder, properties, constraints)
    taken = [*properties.declared, *properties.absent]
    for constraint in failing:
        applicators, index = constraint.value
        if index >= len(applicators.patterns):
            taken += [name for name in applicators.named if name not in properties.declared]
    if isinstance(key, Never):
        return NEVER
    if taken:
        key = And((key, Not(alt(*map(text, filter(is_text, taken))))))
    value = builder.goal(goal_of(goal), f"{hint}/other-value")
    return NEVER if isinstance(value, Never) else seq(quoted(key), text(":"), value)


def _names(builder: Builder, properties: PropertyConstraints, constraints: list[Constraint]) -> Node:
    """The language of names under `constraints` and propertyNames."""
    if not properties.names:
        return string_language(builder, tuple(constraints), f"{properties.pointer}/propertyNames")
    languages = []
    for clause in builder.clauses(tuple(properties.names)):
        if STRING in clause.types:
            languages.append(_name_language(builder, clause, constraints, properties.pointer))
    return alt(*languages)


def _name_language(builder: Builder, clause: Clause, constraints: list[Constraint], pointer: str) -> Node:
    listed = [constraint for constraint in clause.constraints if constraint.kind == "in"]
    if listed:
        rest = (*clause.constraints, *constraints)
        texts = [v for v in listed[0].value if isinstance(v, str) and is_text(v)]
        kept = [v for v in texts if all(satisfies_constraint(builder.expander, a, v) for a in rest)]
        return alt(*map(text, kept))
    return string_language(builder, (*clause.of(STRING), *constraints), f"{pointer}/propertyNames")
