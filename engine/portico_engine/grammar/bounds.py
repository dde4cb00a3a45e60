"""Default bounds for open ends, limits on compilation, and the meter that enforces the limits.

Bounds change the language (for generation only, and reported). Limits end a compilation with an error, or, where one keyword
meets them, loosen it in the report.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from portico_engine.errors import GrammarTooLarge

MAX_ENDING = 1 << 16  # characters: a grammar whose shortest text is longer is refused; no model's answer is that long
MAX_TEXT = 1_500_000  # characters of the text that a matcher enforces: some 90 MB once it is compiled, a second to take
MAX_COUNT = 1_000_000_000  # a length or number of items beyond it means the same: no text has so many
MAX_LISTED = 60_000  # values of one enum
MAX_DIGITS = 1_000  # of a number in a schema
NODE_BYTES = 400  # a generous mean of one IR node with its hash, tuple and dictionary entries, in CPython 3.11


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an open end of a schema gets when a model fills it in. A schema's own limits always win.

    `open_objects` False closes objects that declare properties and say nothing of additional ones: a model is not drawn into
    inventing keys. It is sound (a subset), and reported as a bound of kind "object" with value 0.
    """

    string: int = 512  # code points
    integer: int = 15  # digits
    fraction: int = 15  # digits after the point
    array: int = 32  # items
    object: int = 32  # undeclared properties
    depth: int = 8  # levels of a recursive schema
    open_objects: bool = False


DEFAULT_BOUNDS = Bounds()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a compilation may cost. Meeting one raises GrammarTooLarge, whose message names it.

    `seconds` are of the compiling thread's own processor time, so that a busy machine refuses nothing that an idle one takes.
    """

    seconds: float = 2.0
    bytes: int = 256 * 1024 * 1024
    nesting: int = 160  # levels of the schema document
    clauses: int = 1024  # alternatives of one combination of anyOf, oneOf, if and not
    residues: int = 4096  # states that count the digits of a multipleOf


DEFAULT_LIMITS = Limits()


class Meter:
    """Counts what one compilation has used."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._started: float | None = None  # its thread's clock, when it was looked at first: small work never asks the system
        self._bytes = 0
        self._calls = 0

    def count(self, nodes: int = 1) -> None:
        """Note `nodes` IR nodes made; raises GrammarTooLarge."""
        self._bytes += nodes * NODE_BYTES
        if self._bytes > self.limits.bytes:
            raise GrammarTooLarge(
                f"the grammar needs more than {self.limits.bytes / 2**20:.0f} MB (its limit on memory); "
                f"make the schema or grammar smaller, or raise Limits.bytes"
            )
        self.step()
        if nodes > 64:
            self.check_time()

    def step(self) -> None:
        """Note a little work; raises GrammarTooLarge."""
        self._calls += 1
        if self._calls & 63 == 0:
            self.check_time()

    def check_time(self) -> None:
        now = time.thread_time()
        if self._started is None:
            self._started = now
        if now - self._started > self.limits.seconds:
            raise GrammarTooLarge(
                f"compiling took longer than {self.limits.seconds:g} s (its limit on time); "
                f"make the schema or grammar smaller, or raise Limits.seconds"
            )
