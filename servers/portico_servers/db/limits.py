"""The bounds that every statement runs under, however it starts."""

from __future__ import annotations

from dataclasses import dataclass

CELL_CHARACTERS = 4_000  # one cell of an answer; the rest is cut and marked
GRACE_SECONDS = 0.2  # past its limit a worker gets this long to end by itself; then it is killed


@dataclass(frozen=True, slots=True)
class StatementLimits:
    """Rows and bytes of an answer (what is beyond is cut and marked), seconds of a statement (what is beyond is an error)."""

    rows: int = 100
    bytes: int = 256_000
    seconds: float = 5.0
