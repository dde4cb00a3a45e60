"""Free text up to a marker, known again by its form.

llguidance has a fast way to read it (a lazy lexeme), where the intersection that it is would be slow to build once its length
is counted.
"""

from __future__ import annotations

from typing import NamedTuple

from portico_engine.grammar import ir
from portico_engine.grammar.regular.markers import up_to


class UpTo(NamedTuple):
    """At most `most` characters without `marker`, then `marker`."""

    most: int | None
    marker: str


def as_up_to(node: ir.Node) -> UpTo | None:
    """What `up_to` was made from, where the node came from it."""
    match node:
        case ir.And((ir.Seq((ir.Repeat(item, 0, most), ir.Text(marker))), ir.Not())) if item == ir.ANY_CHARACTER:
            return UpTo(most, marker) if node == up_to(marker, most) else None
        case _:
            return None
