"""Gives memory that was freed back to the operating system: reading a model frees as much again as it keeps a part of.

It knows one allocator, glibc's, which keeps what it got by small requests; others do what they do.
"""

from __future__ import annotations

import ctypes


def release_freed_memory() -> None:
    """Some milliseconds; no effect where the C library has no such call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
