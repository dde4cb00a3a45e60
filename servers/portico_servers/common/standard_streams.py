"""Standard streams that a caller has closed (`portico ... >&-`) lead nowhere, instead of into the next file that is opened.

Such a file would get the number of the stream, and whatever is printed would be written into it, a database or a cache.
"""

from __future__ import annotations

import os
import sys


def open_standard_streams() -> None:
    """Called before anything is opened. Children inherit them as they are here."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            stream = open(number, "w" if number else "r", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
