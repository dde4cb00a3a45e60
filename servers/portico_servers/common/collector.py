"""The collector of cyclic garbage rests while a process imports and builds what stays for its life; also the gateway's.

A start makes hundreds of thousands of objects that are all kept. Looking through them again and again is a fifth of its time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def pause_collector() -> None:
    """Until `resume_collector`."""
    gc.disable()


def resume_collector() -> None:
    """It goes on, and leaves alone what is there by now."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Paused within the block."""
    pause_collector()
    try:
        yield
    finally:
        resume_collector()
