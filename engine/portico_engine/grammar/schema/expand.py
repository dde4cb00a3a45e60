"""Subschema -> formula. Every in-place keyword ($ref, allOf, anyOf, oneOf, not, if) is resolved, every negation pushed into
constraints. It is one method for each keyword that applies subschemas; assertions.py has the others.
"""

from __future__ import annotations

from collections.abc import Callable

from portico_engine.errors import InvalidSchema
from portico_engine.grammar.schema import keywords as read
from portico_engine.grammar.schema.assertions import ASSERTIONS, TYPES, OnLoosened, names_required
from portico_engine.grammar.schema.disjoint import surely_disjoint
from portico_engine.grammar.schema.document import SchemaDialect, SchemaDocument, SchemaNode
from portico_engine.grammar.schema.formula import (
    ARRAY,
    FALSE,
    OBJECT,
    TRUE,
    AllOf,
    AnyOf,
    Constraint,
    Formula,
    PropertyApplicators,
    SignedSchema,
    Types,
)

_ARRAY, _OBJECT = frozenset({ARRAY}), frozenset({OBJECT})


class Expander:
    """Formulas of one document's subschemas, made once each. `note` records what can't be expressed."""

    def __init__(self, document: SchemaDocument, note: OnLoosened) -> None:
        self.document = document
        self.note = note
        self._formulas: dict[tuple[int, bool], Formula] = {}
        self._open: dict[tuple[int, bool], str] = {}
        self._kept: list[SchemaNode] = []  # ids stay valid while the nodes live

    def formula(self, sub: SignedSchema) -> Formula:
        """The formula of a subschema (or of its negation)."""
        node, positive = sub
        key = (id(node), positive)
        known = self._formulas.get(key)
        if known is not None:
            return known
        if key in self._open:
            raise InvalidSchema(node.pointer, "the schema refers to itself without a value in between: there is no base case")
        self._open[key] = node.pointer
        self._kept.append(node)
        try:
            made = self._make(node, positive)
        finally:
            del self._open[key]
        self._formulas[key] = made
        return made

    def _make(self, node: SchemaNode, positive: bool) -> Formula:
        schema = node.value
        if isinstance(schema, bool):
            return TRUE if schema is positive else FALSE
        if not isinstance(schema, dict):
            raise InvalidSchema(node.pointer, f"a schema is an object or true or false, not {read.short_repr(schema)}")
        if "$ref" in schema and node.dialect < SchemaDialect.DRAFT_2019:
            return self._reference(node, "$ref", positive)
        parts: list[Formula] = []
        for keyword in schema:
            handler = _HANDLERS.get(keyword)
            if handler is not None and node.dialect >= _SINCE.get(keyword, SchemaDialect.DRAFT_4):
                part = handler(self, node, keyword, positive)
                if part is not None:
                    parts.append(part)
        return AllOf(tuple(parts)) if positive else AnyOf(tuple(parts), node.pointer, "not")

    def plain_types(self, sub: SignedSchema) -> frozenset[str] | None:
        """The types of a subschema that says nothing else, as most do; None where there is more to it."""
        node, positive = sub
        schema = node.value
        if not positive or not isinstance(schema, dict) or not isinstance(schema.get("type"), str) or "nullable" in schema:
            return None
        if any(keyword in _HANDLERS for keyword in schema if keyword != "type"):
            return None
        return TYPES.get(schema["type"])

    def sub(self, node: SchemaNode, *path: str | int, positive: bool = True) -> SignedSchema:
        return self.document.child(node, *path), positive

    # --- applicators in place ----------------------------------------------------------------------------------------------

    def _reference(self, node: SchemaNode, keyword: str, positive: bool) -> Formula:
        reference = read.string(node.pointer, keyword, node.value[keyword])
        return self.formula((self.document.resolve(node, reference, read.pointer(node.pointer, keyword)), positive))

    def _all_of(self, node: SchemaNode, keyword: str, positive: bool) -> Formula:
        return self._combined(node, keyword, positive, conjunction=positive)

    def _any_of(self, node: SchemaNode, keyword: str, positive: bool) -> Formula:
        return self._combined(node, keyword, positive, conjunction=not positive)

    def _combined(self, node: SchemaNode, keyword: str, positive: bool, *, conjunction: bool) -> Formula:
        branches = read.schemas(node.pointer, keyword, node.value[keyword])
        parts = tuple(self.formula(self.sub(node, keyword, i, positive=positive)) for i in range(len(branches)))
        return AllOf(parts) if conjunction else AnyOf(parts, read.pointer(node.pointer, keyword), keyword)

    def _one_of(self, node: SchemaNode, keyword: str, positive: bool) -> Formula:
        count = len(read.schemas(node.pointer, keyword, node.value[keyword]))
        branches = [self.sub(node, keyword, i) for i in range(count)]
        return self._exactly_one(branches, read.pointer(node.pointer, keyword), positive)

    def _exactly_one(self, branches: list[SignedSchema], pointer: str, positive: bool) -> Formula:
        yes = [self.formula(branch) for branch in branches]
        overlaps: dict[int, list[int]] = {i: [] for i in range(len(branches))}
        for i, first in enumerate(yes):
            for j in range(i + 1, len(yes)):
                if not surely_disjoint(self, first, yes[j]):
                    overlaps[i].append(j)
                    overlaps[j].append(i)
        if not positive:  # none of them, or two that overlap
            none = AllOf(tuple(self.formula((node, False)) for node, _ in branches))
            pairs = [AllOf((yes[i], yes[j])) for i in overlaps for j in overlaps[i] if i < j]
            return AnyOf((none, *pairs), pointer, "oneOf")
        options: list[Formula] = []
        for i, formula in enumerate(yes):
            others = [self.formula((branches[j][0], False)) for j in overlaps[i]]
            options.append(AllOf((formula, *others)) if others else formula)
        return AnyOf(tuple(options), pointer, "oneOf")

    def _not(self, node: SchemaNode, keyword: str, positive: bool) -> Formula:
        return self.formula(self.sub(node, keyword, positive=not positive))

    def _if(self, node: SchemaNode, keyword: str, positive: bool) -> Formula | None:
        schema = node.value
        if "then" not in schema and "else" not in schema:
            return None
        yes, no = self.formula(self.sub(node, "if")), self.formula(self.sub(node, "if", positive=False))
        then = self.formula(self.sub(node, "then", positive=positive)) if "then" in schema else (TRUE if positive else FALSE)
        other = self.formula(self.sub(node, "else", positive=positive)) if "else" in schema else (TRUE if positive else FALSE)
        return AnyOf((AllOf((yes, then)), AllOf((no, other))), read.pointer(node.pointer, keyword), "if")

    # --- arrays ------------------------------------------------------------------------------------------------------------

    def _items(self, node: SchemaNode, keyword: str, positive: bool) -> Formula | None:
        schema, at = node.value, read.pointer(node.pointer, keyword)
        if isinstance(schema[keyword], list):
            if keyword == "items" and node.dialect >= SchemaDialect.DRAFT_2020:
                raise InvalidSchema(at, "items is one schema in draft 2020-12; a list of them is prefixItems")
            constraints = [
                Constraint(_ARRAY, "prefix", (i, self.sub(node, keyword, i, positive=positive)), f"{at}/{i}")
                for i in range(len(schema[keyword]))
            ]
            if positive:
                return AllOf(tuple(constraints))
            longer = [Constraint(_ARRAY, "min-items", i + 1, at) for i in range(len(constraints))]
            return AnyOf(tuple(AllOf((Types(_ARRAY), a, b)) for a, b in zip(constraints, longer, strict=True)), at, "not")
        first = 0
        if keyword == "additionalItems":
            if not isinstance(schema.get("items"), list):
                return None
            first = len(schema["items"])
        elif isinstance(schema.get("prefixItems"), list) and node.dialect >= SchemaDialect.DRAFT_2020:
            first = len(schema["prefixItems"])
        if positive:
            return Constraint(_ARRAY, "rest", (first, self.sub(node, keyword)), at)
        return AllOf(
            (Types(_ARRAY), Constraint(_ARRAY, "contains", (self.sub(node, keyword, positive=False), 1, None, first), at))
        )

    def _prefix_items(self, node: SchemaNode, keyword: str, positive: bool) -> Formula | None:
        if not isinstance(node.value[keyword], list):
            raise InvalidSchema(read.pointer(node.pointer, keyword), "prefixItems must be a list of schemas")
        return self._items(node, keyword, positive) if node.dialect >= SchemaDialect.DRAFT_2020 else None

    def _contains(self, node: SchemaNode, keyword: str, positive: bool) -> Formula:
        schema, at = node.value, read.pointer(node.pointer, keyword)
        counted = node.dialect >= SchemaDialect.DRAFT_2019
        least = read.count(node.pointer, "minContains", schema["minContains"]) if counted and "minContains" in schema else 1
        most = read.count(node.pointer, "maxContains", schema["maxContains"]) if counted and "maxContains" in schema else None
        item = self.sub(node, keyword)
        if positive:
            return Constraint(_ARRAY, "contains", (item, least, most, 0), at)
        fewer = Constraint(_ARRAY, "contains", (item, 0, least - 1, 0), at) if least else FALSE
        more = Constraint(_ARRAY, "contains", (item, most + 1, None, 0), at) if most is not None else FALSE
        return AllOf((Types(_ARRAY), AnyOf((fewer, more), at, "not")))

    # --- objects -----------------------------------------------------------------------------------------------------------

    def _properties(self, node: SchemaNode, keyword: str, positive: bool) -> Formula | None:
        """properties, patternProperties and additionalProperties together, at the first of them."""
        schema = node.value
        present = [k for k in schema if k in ("properties", "patternProperties", "additionalProperties")]
        if keyword != present[0]:
            return None
        named = read.mapping(node.pointer, "properties", schema.get("properties", {}))
        patterns = read.mapping(node.pointer, "patternProperties", schema.get("patternProperties", {}))
        applicators = PropertyApplicators(
            {name: self.sub(node, "properties", name) for name in named},
            tuple((pattern, self.sub(node, "patternProperties", pattern)) for pattern in patterns),
            self.sub(node, "additionalProperties") if "additionalProperties" in schema else None,
            node.pointer,
        )
        if positive:
            return Constraint(_OBJECT, "properties", applicators, read.pointer(node.pointer, keyword))
        options: list[Formula] = []
        for name in named:
            at = read.pointer(read.pointer(node.pointer, "properties"), name)
            failing = PropertyApplicators({name: self.sub(node, "properties", name, positive=False)}, (), None, node.pointer)
            options.append(
                AllOf(
                    (
                        Types(_OBJECT),
                        Constraint(_OBJECT, "required", (name,), at),
                        Constraint(_OBJECT, "properties", failing, at),
                    )
                )
            )
        for index in range(len(patterns) + (applicators.additional is not None)):
            at = read.pointer(node.pointer, "patternProperties" if index < len(patterns) else "additionalProperties")
            options.append(AllOf((Types(_OBJECT), Constraint(_OBJECT, "some", (applicators, index), at))))
        return AnyOf(tuple(options), read.pointer(node.pointer, keyword), "not")

    def _dependent(self, node: SchemaNode, keyword: str, positive: bool) -> Formula:
        """dependentRequired, dependentSchemas, and dependencies, which is both."""
        parts: list[Formula] = []
        for name, wanted in read.mapping(node.pointer, keyword, node.value[keyword]).items():
            at = read.pointer(read.pointer(node.pointer, keyword), name)
            if isinstance(wanted, str):
                wanted = [wanted]
            if isinstance(wanted, list):
                then = names_required(read.names(node.pointer, keyword, wanted), at, positive)
            else:
                then = self.formula(self.sub(node, keyword, name, positive=positive))
            present = Constraint(_OBJECT, "required", (name,), at)
            if positive:
                absent = Constraint(_OBJECT, "absent", (name,), at)
                parts.append(AnyOf((absent, AllOf((Types(_OBJECT), present, then))), at, keyword))
            else:
                parts.append(AllOf((Types(_OBJECT), present, then)))
        return AllOf(tuple(parts)) if positive else AnyOf(tuple(parts), read.pointer(node.pointer, keyword), "not")

    def _property_names(self, node: SchemaNode, keyword: str, positive: bool) -> Formula:
        at = read.pointer(node.pointer, keyword)
        if positive:
            return Constraint(_OBJECT, "names", self.sub(node, keyword), at)
        self.note(at, keyword, "objects whose names all satisfy it, too")
        return AllOf((Types(_OBJECT), Constraint(_OBJECT, "min-properties", 1, at)))

    def _unsupported(self, node: SchemaNode, keyword: str, positive: bool) -> Formula:
        self.note(read.pointer(node.pointer, keyword), keyword, "anything, as if the keyword were not there")
        return TRUE


_Handler = Callable[[Expander, SchemaNode, str, bool], Formula | None]


def _asserting(assertion: Callable[[SchemaNode, str, bool, OnLoosened], Formula | None]) -> _Handler:
    return lambda expander, node, keyword, positive: assertion(node, keyword, positive, expander.note)


_HANDLERS: dict[str, _Handler] = {
    "$ref": Expander._reference,
    "$dynamicRef": Expander._unsupported,
    "$recursiveRef": Expander._unsupported,
    "allOf": Expander._all_of,
    "anyOf": Expander._any_of,
    "oneOf": Expander._one_of,
    "not": Expander._not,
    "if": Expander._if,
    **{keyword: _asserting(assertion) for keyword, assertion in ASSERTIONS.items()},
    "items": Expander._items,
    "prefixItems": Expander._prefix_items,
    "additionalItems": Expander._items,
    "contains": Expander._contains,
    "properties": Expander._properties,
    "patternProperties": Expander._properties,
    "additionalProperties": Expander._properties,
    "dependentRequired": Expander._dependent,
    "dependentSchemas": Expander._dependent,
    "dependencies": Expander._dependent,
    "propertyNames": Expander._property_names,
    "unevaluatedProperties": Expander._unsupported,
    "unevaluatedItems": Expander._unsupported,
}
# The draft that brought a keyword. (`dependencies` is read in every draft: tools write it under 2020-12 still.)
_SINCE = {
    **dict.fromkeys(("const", "contains", "propertyNames"), SchemaDialect.DRAFT_6),
    "if": SchemaDialect.DRAFT_7,
    **dict.fromkeys(
        ("dependentRequired", "dependentSchemas", "unevaluatedItems", "unevaluatedProperties"), SchemaDialect.DRAFT_2019
    ),
}
