"""The check after the call: does a value satisfy a schema? jsonschema, read as ECMA-262 and JSON Schema mean it.

`pattern` and `patternProperties` are ECMA-262's, in bounded time (Python's `re` raises on `\\p{L}`, takes "12\\n" for
`^[0-9]+$` and Arabic digits for `\\d`), `multipleOf` on exact decimals, formats are asserted, `nullable` is understood, and
equal means JSON's equal. A check that raises is a failed check, and so is one that has taken a bound of steps: definitions that
each use the next one twice take exponential time. But for patterns it is independent of the compiler, so that one can hold the
other to its word. Where time matters to others, `isolated` has it done apart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from jsonschema import exceptions, validators

from portico_engine.faults import raise_if_end
from portico_engine.grammar.ecma.search import finds
from portico_engine.grammar.schema import keywords as read
from portico_engine.grammar.schema.document import SchemaDialect, dialect_of
from portico_engine.grammar.schema.mending import mend
from portico_engine.grammar.schema.values import is_multiple

Keyword: TypeAlias = Callable[[Any, Any, Any, Any], Iterable[exceptions.ValidationError] | None]

MOST_STEPS = 20_000  # keywords that are looked at in one check, long ones counted by their parts: some 0.3 s
_PARTS_A_STEP = 16  # of an enum, of required, of properties ...
_BASES = {
    SchemaDialect.DRAFT_4: validators.Draft4Validator,
    SchemaDialect.DRAFT_6: validators.Draft6Validator,
    SchemaDialect.DRAFT_7: validators.Draft7Validator,
    SchemaDialect.DRAFT_2019: validators.Draft201909Validator,
    SchemaDialect.DRAFT_2020: validators.Draft202012Validator,
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which a value fails its schema."""

    pointer: str  # JSON pointer into the value
    keyword: str
    message: str


class _TooCostly(Exception):
    """A check met its bound."""


class _Steps(threading.local):
    """What the check that this thread is in may still take."""

    left: float = 0

    def take(self, value: Any) -> None:
        """For a keyword of this value. Raises _TooCostly."""
        self.left -= 1 + (len(value) // _PARTS_A_STEP if isinstance(value, list | dict) else 0)
        if self.left < 0:
            raise _TooCostly("it takes too many steps")


_steps = _Steps()


def check_arguments(
    schema: Any, value: Any, *, resources: Mapping[str, Any] | None = None, most_steps: float = MOST_STEPS
) -> list[Violation]:
    """Every violation of `schema` by `value`, in no particular order; empty where it is valid. Never raises, never fetches.

    A schema with mistakes in it is read as the grammar of a call reads it (`schema.mending`).
    """
    return ArgumentChecker(schema, resources=resources, most_steps=most_steps).violations(value)


class ArgumentChecker:
    """One schema, read once, against which many values are checked. Making it never raises; threads may share it."""

    def __init__(self, schema: Any, *, resources: Mapping[str, Any] | None = None, most_steps: float = MOST_STEPS) -> None:
        self._validator: Any = None
        self._most_steps = most_steps
        self._refusal: list[Violation] = []  # where there is no validator
        try:
            self._validator = _validator(mend(schema).schema if resources is None else schema, resources)
        except BaseException as error:  # noqa: BLE001 - see `_unchecked`
            self._refusal = _unchecked(error)

    def violations(self, value: Any) -> list[Violation]:
        """As `check_arguments`."""
        if self._validator is None:
            return list(self._refusal)
        _steps.left = self._most_steps
        try:
            return [
                Violation(_pointer(error.absolute_path), str(error.validator), _short(error.message))
                for error in self._validator.iter_errors(value)
            ]
        except BaseException as error:  # noqa: BLE001 - see `_unchecked`
            return _unchecked(error)


def _unchecked(error: BaseException) -> list[Violation]:
    """What is said where the check itself raises: whatever it is (a bad schema, a dead reference), the call is not valid; and
    native code panics with a BaseException where Python's stack ends within it."""
    if isinstance(error, RecursionError):
        return [Violation("", "$ref", "the value could not be checked: schema or value nest too deeply")]
    raise_if_end(error)
    return [Violation("", "schema", f"the value could not be checked: {_short(str(error))}")]


def _pointer(path: Iterable[str | int]) -> str:
    return "".join(f"/{read.escape(part)}" for part in path)


def _short(message: str) -> str:
    return message if len(message) <= 300 else message[:297] + "..."


def _validator(schema: Any, resources: Mapping[str, Any] | None) -> Any:
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    registry: Any = Registry()
    for uri, contents in (resources or {}).items():
        registry = registry.with_resource(uri, Resource.from_contents(contents, default_specification=DRAFT202012))
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

    return _class(dialect_of(schema))(_in_one_dialect(schema), registry=registry.combine(REGISTRY))


def _in_one_dialect(schema: Any) -> Any:
    """The schema without `$schema` below its root: jsonschema would go on there with a plain validator of that dialect."""

    def inner(value: Any, *, root: bool) -> Any:
        if isinstance(value, list):
            return [inner(item, root=False) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            key: item if key in ("enum", "const") else inner(item, root=False)
            for key, item in value.items()
            if not (key == "$schema" and isinstance(item, str)) or root
        }

    return inner(schema, root=True) if isinstance(schema, dict) else schema


@lru_cache(maxsize=8)
def _class(dialect: SchemaDialect) -> Any:
    base = _BASES[dialect]
    keywords: dict[str, Keyword] = {
        **base.VALIDATORS,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "multipleOf": _multiple_of,
        "uniqueItems": _unique_items,
        "format": _format,
        "type": _type(base.VALIDATORS["type"]),
    }
    return validators.extend(base, {name: _counted(check) for name, check in keywords.items()})


def _counted(check: Keyword) -> Keyword:
    def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Iterable[exceptions.ValidationError] | None:
        _steps.take(value)
        return check(validator, value, instance, schema)

    return counted


def _pattern(validator: Any, pattern: Any, instance: Any, schema: Any) -> Iterator[exceptions.ValidationError]:
    if isinstance(instance, str) and not finds(pattern, instance):
        yield exceptions.ValidationError(f"{_short(repr(instance))} does not match the pattern {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[exceptions.ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, sub in patterns.items():
        for name, item in instance.items():
            if finds(pattern, name):
                yield from validator.descend(item, sub, path=name, schema_path=pattern)


def _additional_properties(validator: Any, additional: Any, instance: Any, schema: Any) -> Iterator[exceptions.ValidationError]:
    if not isinstance(instance, dict):
        return
    named = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    for name, item in instance.items():
        if name in named or any(finds(pattern, name) for pattern in patterns):
            continue
        if additional is False:
            yield exceptions.ValidationError(f"the property {name!r} is not allowed")
        elif isinstance(additional, dict):
            yield from validator.descend(item, additional, path=name)


def _multiple_of(validator: Any, step: Any, instance: Any, schema: Any) -> Iterator[exceptions.ValidationError]:
    if validator.is_type(instance, "number") and not is_multiple(read.exact(instance), read.exact(step)):
        yield exceptions.ValidationError(f"{instance!r} is not a multiple of {step!r}")


def _unique_items(validator: Any, unique: Any, instance: Any, schema: Any) -> Iterator[exceptions.ValidationError]:
    """By hashes: of a thousand objects jsonschema compares each with each."""
    if unique is True and isinstance(instance, list) and len({_key(item) for item in instance}) < len(instance):
        yield exceptions.ValidationError(f"{_short(repr(instance))} has non-unique elements")


def _key(value: Any) -> Any:
    """Equal for what is equal in JSON, where 1 is 1.0 and not true."""
    match value:
        case dict():
            return "object", frozenset((name, _key(item)) for name, item in value.items())
        case list():
            return "array", tuple(map(_key, value))
        case bool():
            return "boolean", value
        case _:
            return value


def _format(validator: Any, name: Any, instance: Any, schema: Any) -> Iterator[exceptions.ValidationError]:
    from portico_engine.grammar.schema.formats import conforms

    if isinstance(instance, str) and isinstance(name, str) and not conforms(name, instance):
        yield exceptions.ValidationError(f"{_short(repr(instance))} is not a {name}")


def _type(base: Any) -> Any:
    def check(validator: Any, types: Any, instance: Any, schema: Any) -> Iterator[exceptions.ValidationError]:
        if instance is None and isinstance(schema, dict) and schema.get("nullable") is True:
            return
        yield from base(validator, types, instance, schema)

    return check
