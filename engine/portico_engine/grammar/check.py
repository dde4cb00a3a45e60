"""The check after the call: does a value satisfy a schema? jsonschema, read as ECMA-262 and JSON Schema mean it.

`pattern` and `patternProperties` are ECMA-262's, in bounded time (Python's `re` raises on `\\p{L}`, takes "12\\n" for
`^[0-9]+$` and Arabic digits for `\\d`), `multipleOf` on exact decimals, formats are asserted, `nullable` is understood, and
equal means JSON's equal. A check that raises is a failed check. But for patterns it is independent of the compiler, so that one
can hold the other to its word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jsonschema import exceptions, validators

from portico_engine.faults import raise_if_end
from portico_engine.grammar.ecma.search import finds
from portico_engine.grammar.schema import keywords as read
from portico_engine.grammar.schema.document import SchemaDialect, dialect_of
from portico_engine.grammar.schema.mending import mend
from portico_engine.grammar.schema.values import is_multiple

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


def check_arguments(schema: Any, value: Any, *, resources: Mapping[str, Any] | None = None) -> list[Violation]:
    """Every violation of `schema` by `value`, in no particular order; empty where it is valid. Never raises, never fetches.

    A schema with mistakes in it is read as the grammar of a call reads it (`schema.mending`).
    """
    return ArgumentChecker(schema, resources=resources).violations(value)


class ArgumentChecker:
    """One schema, read once, against which many values are checked. Making it never raises; threads may share it."""

    def __init__(self, schema: Any, *, resources: Mapping[str, Any] | None = None) -> None:
        self._validator: Any = None
        self._refusal: list[Violation] = []  # where there is no validator
        try:
            self._validator = _validator(mend(schema).schema if resources is None else schema, resources)
        except BaseException as error:  # noqa: BLE001 - see `_unchecked`
            self._refusal = _unchecked(error)

    def violations(self, value: Any) -> list[Violation]:
        """As `check_arguments`."""
        if self._validator is None:
            return list(self._refusal)
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
    return validators.extend(
        _BASES[dialect],
        {
            "pattern": _pattern,
            "patternProperties": _pattern_properties,
            "additionalProperties": _additional_properties,
            "multipleOf": _multiple_of,
            "format": _format,
            "type": _type(_BASES[dialect].VALIDATORS["type"]),
        },
    )


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
