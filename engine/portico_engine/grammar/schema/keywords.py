"""Reading keyword values: each reader returns the value in one shape, or raises InvalidSchema naming the keyword and what
would be right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from portico_engine.errors import GrammarTooLarge, InvalidSchema
from portico_engine.grammar.bounds import MAX_COUNT, MAX_DIGITS


def pointer(at: str, keyword: str) -> str:
    """The JSON pointer one step below `at`."""
    return f"{at}/{escape(keyword)}"


def is_index(step: str) -> bool:
    """Is a step of a JSON pointer one of a list, as RFC 6901 writes it?"""
    return step.isascii() and step.isdigit() and len(step) < 10


def escape(key: str | int) -> str:
    """One step of a JSON pointer."""
    return str(key).replace("~", "~0").replace("/", "~1")


def count(at: str, keyword: str, value: Any) -> int:
    """A whole number of 0 or more (`2.0` is one)."""
    whole = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value == int(value)
    if not whole or value < 0:
        raise InvalidSchema(pointer(at, keyword), f"{keyword} must be a whole number of 0 or more, not {short_repr(value)}")
    return min(int(value), MAX_COUNT)


def number(at: str, keyword: str, value: Any) -> Decimal:
    """An exact decimal: what the number's JSON text says."""
    if isinstance(value, bool) or not isinstance(value, int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise InvalidSchema(pointer(at, keyword), f"{keyword} must be a number, not {short_repr(value)}")
    if isinstance(value, int) and abs(value).bit_length() > MAX_DIGITS * 3.33:
        raise GrammarTooLarge(f"{pointer(at, keyword)} has more than {MAX_DIGITS:,} digits (the limit on a number)")
    return exact(value)


def exact(value: int | float) -> Decimal:
    return Decimal(value) if isinstance(value, int) else Decimal(repr(value))


def names(at: str, keyword: str, value: Any) -> tuple[str, ...]:
    """A list of property names, without repetitions."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidSchema(pointer(at, keyword), f"{keyword} must be a list of property names, not {short_repr(value)}")
    return tuple(dict.fromkeys(value))


def mapping(at: str, keyword: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidSchema(pointer(at, keyword), f"{keyword} must be an object, not {short_repr(value)}")
    return value


def schemas(at: str, keyword: str, value: Any) -> list[Any]:
    """A non-empty list of schemas."""
    if not isinstance(value, list) or not value:
        raise InvalidSchema(pointer(at, keyword), f"{keyword} must be a non-empty list of schemas, not {short_repr(value)}")
    return value


def string(at: str, keyword: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidSchema(pointer(at, keyword), f"{keyword} must be a string, not {short_repr(value)}")
    return value


def short_repr(value: Any) -> str:
    if isinstance(value, int) and abs(value).bit_length() > 200:
        return "a number of more than 60 digits"
    if isinstance(value, str | list | dict) and len(value) > 60:
        return f"{type(value).__name__} of {len(value):,}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
