"""What a chat template may take: passes of loops, calls of macros, characters. One that wants more is ended with an error.

It owns the bounds and the counting. A template comes with a model from anywhere: without bounds, two nested loops or a string
that doubles itself would take the process with them.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import jinja2
from jinja2 import nodes

MOST_STEPS = 2_000_000  # passes of loops, and calls at CALL each: a conversation of 1,000 turns takes some 100,000
CALL = 20
MOST_SECONDS = 10.0
MOST_CHARACTERS = 1 << 24  # of one string, and of the whole prompt
_LONGEST_NUMBER = 1 << 20  # as a width, a count or an exponent
_SIZED = (str, list, tuple)
COUNTED = "_portico_counted"  # the filter that loops are read through


class TemplateTooCostly(jinja2.TemplateRuntimeError):
    """The template went beyond its budget."""


class RenderBudget:
    """Of the render that this thread is in."""

    def __init__(self) -> None:
        self._of = threading.local()

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Everything in this block is one render."""
        self._of.steps, self._of.until = 0, time.monotonic() + MOST_SECONDS
        yield

    def step(self, cost: int = 1) -> None:
        """Raises TemplateTooCostly beyond the bounds."""
        before = getattr(self._of, "steps", 0)
        steps = self._of.steps = before + cost
        if steps > MOST_STEPS:
            raise TemplateTooCostly(f"it takes over {MOST_STEPS} passes of loops and calls, and was ended")
        if steps >> 12 != before >> 12 and time.monotonic() > getattr(self._of, "until", float("inf")):
            raise TemplateTooCostly(f"it takes over {MOST_SECONDS:g} s, and was ended")

    def counted(self, values: Iterable[Any]) -> Iterator[Any]:
        """What a loop goes through."""
        for value in values:
            self.step()
            yield value

    def check_text(self, text: Any) -> Any:
        """Raises TemplateTooCostly for a string that is too long."""
        if isinstance(text, str) and len(text) > MOST_CHARACTERS:
            raise TemplateTooCostly(f"it makes a text of over {MOST_CHARACTERS} characters, and was ended")
        return text

    def check_arguments(self, values: Iterable[Any]) -> None:
        """Numbers that say how long something is to be made: raises before it is."""
        for value in values:
            if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LONGEST_NUMBER:
                raise TemplateTooCostly(f"it asks for something {value} long, and was ended")

    def sum(self, left: Any, right: Any) -> Any:
        """left + right."""
        if isinstance(left, _SIZED) and isinstance(right, _SIZED) and len(left) + len(right) > MOST_CHARACTERS:
            raise TemplateTooCostly(f"it makes something of over {MOST_CHARACTERS} characters or entries, and was ended")
        return left + right

    def product(self, left: Any, right: Any) -> Any:
        """left * right."""
        for one, count in ((left, right), (right, left)):
            if isinstance(one, _SIZED) and isinstance(count, int) and len(one) * count > MOST_CHARACTERS:
                raise TemplateTooCostly(f"it repeats something {count} times, and was ended")
        return left * right

    def check_format(self, form: str) -> None:
        """Of `form % values` and `form.format(values)`: widths and precisions have four digits at most."""
        if re.search(r"%[^a-zA-Z%]*(?:\*|\d{5,})|\{[^{}]*:[^{}]*\d{5,}", form):
            raise TemplateTooCostly("it formats something to a width of over 9,999, and was ended")

    def power(self, left: Any, right: Any) -> Any:
        """left ** right."""
        if isinstance(right, int) and abs(right) > 64:
            raise TemplateTooCostly(f"it takes the power {right} of something, and was ended")
        return left**right


def count_loops(tree: nodes.Template) -> nodes.Template:
    """Every loop's values go through the filter COUNTED."""
    for loop in tree.find_all(nodes.For):
        loop.iter = nodes.Filter(loop.iter, COUNTED, [], [], None, None, lineno=loop.lineno)
    return tree
