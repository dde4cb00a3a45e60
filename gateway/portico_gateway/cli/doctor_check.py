"""One line of `portico doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, whether it is good, what was found, and how to mend it. "warn" is worth knowing but stops nothing."""

    what: str
    state: Literal["ok", "warn", "fail"]
    found: str
    mend: str = ""
