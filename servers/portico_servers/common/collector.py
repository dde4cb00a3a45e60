"""The collector of cyclic garbage rests while a process imports and builds what stays for its life, and is seldom asked while
it serves; also the gateway's.

A start makes hundreds of thousands of objects that are all kept. Looking through them again and again is a fifth of its time. A
call makes thousands that are all forgotten, hardly any of them in cycles.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG = 10_000  # new objects, by default 700


def pause_collector() -> None:
    """Until `resume_collector`."""
    gc.disable()


def resume_collector() -> None:
    """It goes on, and leaves alone what is there by now."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def calm_collector() -> None:
    """For a process that serves: what is there by now is left alone, and new objects are looked through by the ten thousand."""
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])


@contextmanager
def collector_paused() -> Iterator[None]:
    """Paused within the block."""
    pause_collector()
    try:
        yield
    finally:
        resume_collector()
