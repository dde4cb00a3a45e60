"""What the server and a worker process say to each other, and how it lies on the pipe. It knows neither side.

Frames are a 4-byte big-endian length and that many bytes of JSON.

    {"op": "schema"}                                   -> {"ok": {"tables": [...]}}
    {"op": "run", "sql", "parameters", "limits": {..}} -> {"ok": {"columns", "rows", "truncated", "seconds"}}
    failures                                           -> {"error": "LimitError", "message": "..."}
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

HEADER = struct.Struct(">I")


def read_frame(stream: IO[bytes]) -> Any:
    """The next frame's JSON; None at the end of the stream."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    (size,) = HEADER.unpack(header)
    body = stream.read(size)
    return json.loads(body) if len(body) == size else None


def encode_frame(value: Any) -> bytes:
    """A frame holding this value."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return HEADER.pack(len(body)) + body
