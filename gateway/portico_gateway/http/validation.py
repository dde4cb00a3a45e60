"""What pydantic minds in a body, as one error: a sentence, and the path of the field that the client wrote. It knows no API."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from portico_gateway.http.errors import ApiError


def invalid_body(problems: Sequence[Any], sent: Any, schema: type[BaseModel] | None) -> ApiError:
    """The deepest of pydantic's problems with the body that was `sent`, which is the one nearest to the mistake. `schema` is
    what the body should have been, for names that are nearly its fields'."""
    first = max(problems, key=lambda problem: len(problem["loc"]))
    where = _field(first["loc"][1:], sent, missing=first["type"] == "missing")
    param = ".".join(where) or None
    reason = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if first["type"] == "json_invalid":
        detail = (first.get("ctx") or {}).get("error", reason)
        return ApiError(400, f"the body is not valid JSON: {detail} at character {first['loc'][-1]}", code="invalid_json")
    if first["type"] == "missing":
        message = (
            f"{param}: this field is required" if param else "the body is missing; send JSON with content-type application/json"
        )
    elif first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(where[-1], schema.model_fields, n=1) if schema is not None else []
        message = f"{param}: this field is not known here" + (f"; did you mean {close[0]!r}?" if close else "")
    elif first["type"] == "union_tag_invalid":
        context = first["ctx"]
        message = f"{param}: the type {context['tag']!r} is not taken here; it takes {context['expected_tags']}"
    else:
        message = f"{param}: {reason}{_given(first.get('input'))}" if param else reason
    return ApiError(400, message, param=param)


def _field(loc: Sequence[str | int], sent: Any, *, missing: bool) -> list[str]:
    """The path of a field in what was sent, without what pydantic adds for the arms of a union and the tags of one. Of a field
    that is `missing` the last part isn't in there."""
    where: list[str] = []
    value = sent
    for part in loc:
        match value:
            case dict() if part in value:
                value = value[part]
            case list() if isinstance(part, int):
                value = value[part]
            case _:
                continue
        where.append(str(part))
    return [*where, str(loc[-1])] if missing and loc else where


def _given(value: Any) -> str:
    """The offending value, where it is short enough to help."""
    if value is None or isinstance(value, dict | list):
        return ""
    text = json.dumps(value, default=str)
    return f" (is {text})" if len(text) <= 60 else ""
