"""What pydantic minds in a body, as one error: a sentence, and the path of the field that the client wrote. It knows no API."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from portico_gateway.http.errors import ApiError

_LONGEST_NAME = 80  # characters of a client's name that an error repeats
_LONGEST_VALUE = 60  # characters of an offending value that an error repeats
_MOST_NAMES = 8  # unknown fields that are named beside the first
_LONGEST_GUESS = 40  # characters of a name that is compared with the fields': no field has more, and comparing isn't linear


def invalid_body(problems: Sequence[Any], sent: Any, schema: type[BaseModel] | None) -> ApiError:
    """The deepest of pydantic's problems with the body that was `sent`, which is the one nearest to the mistake. `schema` is
    what the body should have been, for names that are nearly its fields'."""
    first = max(problems, key=lambda problem: len(problem["loc"]))
    where = _field(first["loc"], sent, missing=first["type"] == "missing")
    param = ".".join(where) or None
    reason = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if first["type"] == "missing":
        message = f"{param}: this field is required"
    elif first["type"] == "extra_forbidden":
        close = _close_field(str(first["loc"][-1]), schema)
        message = f"{param}: this field is not known here; " + (f"did you mean {close[0]!r}?" if close else "leave it out")
        if others := _others_unknown(problems, first):
            message += f"; nor {'is' if len(others) == 1 else 'are'} {', '.join(others)}"
    elif first["type"] == "union_tag_invalid":
        context = first["ctx"]
        message = f"{param}: the type {_short(str(context['tag']))!r} is not taken here; it takes {context['expected_tags']}"
    elif first["type"] in ("model_type", "model_attributes_type") and not param:
        message = "the body must be a JSON object"
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
        where.append(_short(str(part)))
    return [*where, str(loc[-1])] if missing and loc else where


def _others_unknown(problems: Sequence[Any], first: Any) -> list[str]:
    """The body's other fields that are not known either, so that a client that sends several is put right at once; a few of
    many. Those of a part may belong to another arm of its union."""
    unknown = [each for each in problems if each["type"] == "extra_forbidden" and len(each["loc"]) == 1 and each is not first]
    names = [_short(str(each["loc"][0])) for each in unknown[:_MOST_NAMES]]
    return names if len(unknown) <= _MOST_NAMES else [*names, f"{len(unknown) - _MOST_NAMES} more"]


def _close_field(name: str, schema: type[BaseModel] | None) -> list[str]:
    """The field that was meant, if one is near. Only the error's own name is looked up, however many are wrong."""
    if schema is None or len(name) > _LONGEST_GUESS:
        return []
    return difflib.get_close_matches(name, schema.model_fields, n=1)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."


def _given(value: Any) -> str:
    """The offending value, where it is short enough to help."""
    if value is None or isinstance(value, dict | list) or (isinstance(value, str) and len(value) > _LONGEST_VALUE):
        return ""
    text = json.dumps(value, default=str)
    return f" (is {text})" if len(text) <= _LONGEST_VALUE else ""
