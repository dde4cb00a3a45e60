"""A tool's schema with mistakes in it, read as far as it can be: what has a meaning is put right, what has none is left out.

One unreadable keyword costs that keyword, and not the tool. The grammar of a call and the check after it go by the same mended
schema. It changes nothing in a schema that is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from portico_engine.errors import GrammarError
from portico_engine.grammar.compiled import Loosened
from portico_engine.grammar.schema import keywords as read
from portico_engine.grammar.schema.assertions import TYPES
from portico_engine.grammar.schema.references import REFERENCES, Names, circles

_NO_MEANING = object()
_DEEPEST = 160  # levels, as far as any schema is compiled
_TYPE_NAMES = {
    **dict.fromkeys(("int", "long", "int32", "int64", "uint", "short", "bigint"), "integer"),
    **dict.fromkeys(("float", "double", "decimal", "num"), "number"),
    **dict.fromkeys(("str", "text", "char"), "string"),
    "bool": "boolean",
    **dict.fromkeys(("dict", "map", "struct"), "object"),
    **dict.fromkeys(("list", "tuple"), "array"),
    **dict.fromkeys(("none", "nonetype", "nil", "undefined"), "null"),
}
_COUNTS = frozenset("minLength maxLength minItems maxItems minProperties maxProperties minContains maxContains".split())
_LIMITS = frozenset({"minimum", "maximum"})
_SCHEMAS = frozenset(
    "not if then else contains additionalProperties additionalItems propertyNames "
    "unevaluatedItems unevaluatedProperties".split()
)
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})


@dataclass(frozen=True, slots=True)
class MendedSchema:
    """A schema without mistakes that could be seen, the keywords that were left out, and what was read as meant."""

    schema: Any
    loosened: tuple[Loosened, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Mender:
    root: Any
    tool: str
    names: Names | None = None  # looked for at the first reference: most schemas have none
    loosened: list[Loosened] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def left_out(self, pointer: str, keyword: str, why: str) -> object:
        self.loosened.append(Loosened(self.tool, pointer, keyword, f"anything, since it can't be read: {why}"))
        return _NO_MEANING

    def meant(self, pointer: str, as_what: str) -> None:
        self.notes.append(f"{self.tool}{pointer} is read as {as_what}")

    def schema(self, value: Any, at: str, depth: int) -> Any:
        """A schema in the place of one."""
        if isinstance(value, bool) or depth > _DEEPEST:
            return value
        if isinstance(value, str) and (name := _type_name(value)):
            self.meant(at, f'{{"type": "{name}"}}')
            return {"type": name}
        if not isinstance(value, dict):
            self.left_out(at, at.rsplit("/", 1)[-1], f"a schema is an object, true or false, not {read.short_repr(value)}")
            return True
        out: dict[str, Any] = {}
        for keyword, item in value.items():
            mended = self._keyword(keyword, item, value, at, depth)
            if mended is not _NO_MEANING:
                out[keyword] = mended
        self._flags_of_properties(value, out, at)
        return out

    def _keyword(self, keyword: str, item: Any, schema: dict[str, Any], at: str, depth: int) -> Any:
        here = read.pointer(at, keyword)
        if (mend := _KEYWORDS.get(keyword)) is not None:
            return mend(self, item, here)
        if keyword in _COUNTS or keyword in _LIMITS or keyword in ("exclusiveMinimum", "exclusiveMaximum", "multipleOf"):
            return self._number(keyword, item, here)
        if keyword in _SCHEMAS:
            return self.schema(item, here, depth + 1)
        if keyword == "items":
            return self._items(item, schema, here, depth)
        if keyword in _LISTS:
            if not isinstance(item, list) or (not item and keyword != "prefixItems"):
                return self.left_out(here, keyword, f"{keyword} is a list of schemas, not {read.short_repr(item)}")
            return [self.schema(one, f"{here}/{index}", depth + 1) for index, one in enumerate(item)]
        if keyword in _MAPS:
            return self._map(keyword, item, here, depth)
        return item

    # --- by keyword ----------------------------------------------------------------------------------------------------

    def type(self, value: Any, at: str) -> Any:
        listed = value if isinstance(value, list) else [value]
        names = []
        for one in listed:
            name = _type_name(one)
            if name is None:
                return self.left_out(at, "type", f"{read.short_repr(one)} is no type")
            names.append(name)
        if names == listed:
            return value
        self.meant(at, ", ".join(names))
        return names if isinstance(value, list) else names[0]

    def enum(self, value: Any, at: str) -> Any:
        if isinstance(value, list):
            return value
        return self.left_out(at, "enum", f"enum is a list of values, not {read.short_repr(value)}")

    def required(self, value: Any, at: str) -> Any:
        if isinstance(value, bool):  # draft-03's flag: read with the object whose property it is
            return _NO_MEANING
        if isinstance(value, str):
            self.meant(at, f'["{value}"]')
            return [value]
        if not isinstance(value, list):
            return self.left_out(at, "required", f"required is a list of names, not {read.short_repr(value)}")
        names = [name for name in value if isinstance(name, str)]
        if len(names) < len(value):
            self.left_out(at, "required", "some of it are no names")
        return names

    def pattern(self, value: Any, at: str) -> Any:
        why = _why_no_pattern(value)
        return value if why is None else self.left_out(at, "pattern", why)

    def string(self, value: Any, at: str) -> Any:
        return value if isinstance(value, str) else self.left_out(at, at.rsplit("/", 1)[-1], "it is no string")

    def flag(self, value: Any, at: str) -> Any:
        return value if isinstance(value, bool) else self.left_out(at, at.rsplit("/", 1)[-1], "it is neither true nor false")

    def reference(self, value: Any, at: str) -> Any:
        keyword = at.rsplit("/", 1)[-1]
        if not isinstance(value, str):
            return self.left_out(at, keyword, f"a reference is a string, not {read.short_repr(value)}")
        names = self.names = self.names or Names(self.root)
        if names.target(value) is not None or names.resources:
            return value
        if not value.startswith("#"):
            if "json-schema.org/" in value:
                return value
            return self.left_out(at, keyword, f"{read.short_repr(value)} is outside this schema, and nothing is fetched")
        for old, new in (("#/definitions/", "#/$defs/"), ("#/$defs/", "#/definitions/"), ("#/components/schemas/", "#/$defs/")):
            other = new + value.removeprefix(old)
            if value.startswith(old) and names.target(other) is not None:
                self.meant(at, other)
                return other
        return self.left_out(at, keyword, f"{read.short_repr(value)} leads to nothing in this schema")

    def dependent_required(self, value: Any, at: str) -> Any:
        if isinstance(value, dict) and all(
            isinstance(names, list) and all(isinstance(name, str) for name in names) for names in value.values()
        ):
            return value
        return self.left_out(at, "dependentRequired", "it is no object of lists of names")

    def _number(self, keyword: str, value: Any, at: str) -> Any:
        if keyword.startswith("exclusive") and isinstance(value, bool):
            return value
        if isinstance(value, str):
            try:
                number: int | float = float(value) if len(value) < 40 else float("nan")
            except ValueError:
                return self.left_out(at, keyword, f"{read.short_repr(value)} is no number")
            value = int(number) if number == number and abs(number) < 1e300 and number == int(number) else number
            self.meant(at, str(value))
        try:
            if keyword in _COUNTS:
                read.count("", keyword, value)
            elif read.number("", keyword, value) <= 0 and keyword == "multipleOf":
                return self.left_out(at, keyword, f"multipleOf is above 0, not {read.short_repr(value)}")
        except (GrammarError, OverflowError) as error:
            return self.left_out(at, keyword, getattr(error, "reason", str(error)))
        return value

    def _items(self, value: Any, schema: dict[str, Any], at: str, depth: int) -> Any:
        if not isinstance(value, list):
            return self.schema(value, at, depth + 1)
        if not value:
            return self.left_out(at, "items", "an empty list of schemas says nothing")
        if isinstance(self.root, dict) and "2020-12" in str(self.root.get("$schema")):
            return self.left_out(at, "items", "items is one schema in draft 2020-12")
        return [self.schema(one, f"{at}/{index}", depth + 1) for index, one in enumerate(value)]

    def _map(self, keyword: str, value: Any, at: str, depth: int) -> Any:
        if not isinstance(value, dict):
            return self.left_out(at, keyword, f"{keyword} is an object, not {read.short_repr(value)}")
        out = {}
        for name, sub in value.items():
            here = read.pointer(at, name)
            if keyword == "patternProperties" and (why := _why_no_pattern(name)) is not None:
                self.left_out(here, keyword, why)
            elif keyword == "properties" and name == "required" and _names(sub) and _names(sub) <= value.keys():
                continue  # a list that slipped into the properties: read with the object
            else:
                out[name] = self.schema(sub, here, depth + 1)
        return out

    def _flags_of_properties(self, schema: dict[str, Any], out: dict[str, Any], at: str) -> None:
        """draft-03's `required: true` in a property, and a list of names among the properties, are this object's `required`."""
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return
        names = [name for name, sub in properties.items() if isinstance(sub, dict) and sub.get("required") is True]
        slipped = _names(properties.get("required"))
        names += sorted(slipped) if slipped and slipped <= properties.keys() else []
        known = out.get("required", [])
        missing = [name for name in names if name not in known]
        if missing:
            self.meant(at, f"requiring {', '.join(missing)}")
            out["required"] = [*known, *missing]


_Mend = Callable[[_Mender, Any, str], Any]
_KEYWORDS: Mapping[str, _Mend] = {
    "type": _Mender.type,
    "enum": _Mender.enum,
    "required": _Mender.required,
    "pattern": _Mender.pattern,
    "format": _Mender.string,
    **dict.fromkeys(REFERENCES, _Mender.reference),
    "uniqueItems": _Mender.flag,
    "dependentRequired": _Mender.dependent_required,
}


def mend(schema: Any, tool: str = "") -> MendedSchema:
    """The schema as it can be read. A new value; the one that was given stays as it is."""
    mender = _Mender(schema, tool)
    mended = mender.schema(schema, "", 0)
    if mender.names is not None:
        mended = _without_circles(mended, mender)
    if not mender.loosened and not mender.notes and mended == schema:
        return MendedSchema(schema)
    return MendedSchema(mended, tuple(mender.loosened), tuple(mender.notes))


def _without_circles(schema: Any, mender: _Mender) -> Any:
    """Without the references that lead back to what is being asked. A choice that consists of such a reference alone is none; a
    condition or a negation that does says nothing."""
    if not circles(schema):
        return schema
    schema = deepcopy(schema)  # where no keyword is read it is the caller's still
    found = {(id(circle.schema), circle.keyword) for circle in circles(schema)}
    emptied: set[int] = set()
    for at, sub in list(_objects(schema)):
        for keyword in [keyword for keyword in sub if (id(sub), keyword) in found]:
            mender.left_out(read.pointer(at, keyword), keyword, "it leads back to itself")
            del sub[keyword]
            if not sub:
                emptied.add(id(sub))
    for _, sub in list(_objects(schema)):
        for keyword in ("not", "if"):
            if id(sub.get(keyword)) in emptied:
                del sub[keyword]
        for keyword in ("anyOf", "oneOf"):
            choices = sub.get(keyword)
            if isinstance(choices, list) and not all(id(choice) in emptied for choice in choices):
                choices[:] = [False if id(choice) in emptied else choice for choice in choices]
    return schema


def _objects(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object of the document, and where it stands first."""
    stack, known = [("", schema)], set()
    while stack:
        at, item = stack.pop()
        if not isinstance(item, dict | list) or id(item) in known:
            continue
        known.add(id(item))
        if isinstance(item, dict):
            yield at, item
        below = item.items() if isinstance(item, dict) else enumerate(item)
        stack.extend((f"{at}/{read.escape(key)}", value) for key, value in below)


def _type_name(name: Any) -> str | None:
    if not isinstance(name, str):
        return None
    if name in TYPES or name == "any":
        return name
    low = name.lower()
    return low if low in TYPES else _TYPE_NAMES.get(low)


def _names(value: Any) -> set[str]:
    return set(value) if isinstance(value, list) and value and all(isinstance(name, str) for name in value) else set()


def _why_no_pattern(pattern: Any) -> str | None:
    from portico_engine.grammar.ecma.parser import check_pattern

    return check_pattern(pattern) if isinstance(pattern, str) else f"a pattern is a string, not {read.short_repr(pattern)}"
