"""Values as JSON that every parser takes, whatever is in them: what isn't finite is null, a lone surrogate is U+FFFD."""

from __future__ import annotations

import json
import math
from typing import Any

from fastapi.responses import JSONResponse

from portico_servers.common.unicode_text import plain_text


def json_text(value: Any) -> str:
    """Compact JSON that UTF-8 can encode."""
    try:
        text = _dumps(value)
    except ValueError:
        text = _dumps(_finite(value))
    return plain_text(text)


class StrictJsonResponse(JSONResponse):
    """A response of `json_text`."""

    def render(self, content: Any) -> bytes:
        return json_text(content).encode()


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _finite(each) for key, each in value.items()}
        case list() | tuple():
            return [_finite(each) for each in value]
        case _:
            return value
