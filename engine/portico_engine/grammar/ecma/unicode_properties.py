r"""The code points of `\p{...}`, asked of the engine that also checks calls."""

from __future__ import annotations

import sys
from array import array
from functools import lru_cache

import regress

from portico_engine.grammar.ir import MAX_CODE_POINT, Ranges, merge_ranges


@lru_cache(maxsize=1)
def _all_characters() -> str:
    codes = array("I", range(MAX_CODE_POINT + 1))
    del codes[0xD800:0xE000]
    return codes.tobytes().decode("utf-32-le" if sys.byteorder == "little" else "utf-32-be")


@lru_cache(maxsize=256)
def property_ranges(expression: str) -> Ranges:
    r"""The code points of `\p{...}`, asked of the engine that also checks calls."""
    out = []
    for match in regress.Regex(f"{expression}+", "u").find_iter(_all_characters()) or ():
        span = match.range()
        out.append((_code_point(span.start), _code_point(span.stop) - 1))
    return merge_ranges(out)


def _code_point(offset: int) -> int:
    """The code point at a byte of `_all_characters`, which `regress` counts by."""
    at = 0
    for low, high, width in (
        (0, 0x80, 1),
        (0x80, 0x800, 2),
        (0x800, 0xD800, 3),
        (0xE000, 0x10000, 3),
        (0x10000, MAX_CODE_POINT + 1, 4),
    ):
        size = (high - low) * width
        if offset < at + size:
            return low + (offset - at) // width
        at += size
    return MAX_CODE_POINT + 1
