"""A body's bytes as the object of its wire schema, or why it is none. Pure and picklable: it runs here or in a child process.

JSON is RFC 8259's: `NaN` and `Infinity` are no JSON, and a number that overflows (`1e999`) would become one. Of a member that
comes twice the last one counts. Bytes that are no UTF-8 become U+FFFD, and so do lone surrogates.
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from portico_gateway.http.errors import ApiError
from portico_gateway.http.validation import invalid_body
from portico_servers.common.unicode_text import plain_value

Body = TypeVar("Body", bound=BaseModel)
MAX_DIGITS = 400  # of an integer; the largest float has 309, and Python takes quadratic time for thousands


class Refusal(NamedTuple):
    """An ApiError that can cross to another process."""

    status: int
    message: str
    param: str | None
    code: str | None

    def error(self) -> ApiError:
        return ApiError(self.status, self.message, param=self.param, code=self.code)


class BadNumber(ValueError):
    """A number that JSON doesn't have, or that nothing here can hold."""


def parse_body(schema: type[Body], body: bytes) -> Body | Refusal:
    """What `schema` makes of the body. The bounds of `measure.py` must hold."""
    text = body.decode("utf-8-sig", "replace")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        return _no_json(f"{error.msg} at character {error.pos}")
    except BadNumber as error:
        return _no_json(str(error))
    if "\\ud" in text or "\\uD" in text:  # most have no escape of half a pair, and need not be walked
        value = plain_value(value)
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        refused = invalid_body(error.errors(include_url=False), value, schema)
        return Refusal(refused.status, str(refused), refused.param, refused.code)


def _no_json(why: str) -> Refusal:
    return Refusal(400, f"the body is not valid JSON: {why}", None, "invalid_json")


def _constant(name: str) -> Any:
    raise BadNumber(f"{name} is no number in JSON")


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise BadNumber(f"the number {_short(digits)} is too large")
    return value


def _int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise BadNumber(f"the number {_short(digits)} has {len(digits)} digits; at most {MAX_DIGITS} are taken")
    return int(digits)


def _short(digits: str) -> str:
    return digits if len(digits) <= 30 else f"{digits[:30]}..."


_DECODER = json.JSONDecoder(parse_constant=_constant, parse_float=_float, parse_int=_int)
