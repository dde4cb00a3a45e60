"""Free text without a marker, and free text up to one.

Both are plain IR. The second is known again by its form, since llguidance has a fast way to read it (a lazy lexeme), where the
intersection that it is would be slow to build once its length is counted.
"""

from __future__ import annotations

from typing import NamedTuple

from portico_engine.grammar import ir

ANY = ir.chars((0, ir.MAX_CODE_POINT))
ANY_TEXT = ir.repeat(ANY)
_SOMETHING = ir.repeat(ANY, 1, None)


class UpTo(NamedTuple):
    """At most `most` characters without `marker`, then `marker`."""

    most: int | None
    marker: str


def without(marker: str) -> ir.Node:
    """Any text that does not hold `marker`."""
    return ir.And((ANY_TEXT, ir.Not(ir.seq(ANY_TEXT, ir.text(marker), ANY_TEXT))))


def up_to(marker: str, most: int | None = None) -> ir.Node:
    """Text without `marker`, of at most `most` characters, then `marker`.

    No such text begins another: a lexer that reads on greedily can't run past it.
    """
    return ir.And(
        (
            ir.seq(ir.repeat(ANY, 0, most), ir.text(marker)),
            ir.Not(ir.seq(ANY_TEXT, ir.text(marker), _SOMETHING)),
        )
    )


def as_up_to(node: ir.Node) -> UpTo | None:
    """What `up_to` was made from, where the node came from it."""
    match node:
        case ir.And((ir.Seq((ir.Repeat(item, 0, most), ir.Text(marker))), ir.Not())) if item == ANY:
            return UpTo(most, marker) if node == up_to(marker, most) else None
        case _:
            return None
