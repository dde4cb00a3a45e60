"""Free text without a marker, and free text up to one: plain IR, an intersection with a complement each."""

from __future__ import annotations

from portico_engine.grammar import ir

_SOMETHING = ir.repeat(ir.ANY_CHARACTER, 1, None)


def without(marker: str) -> ir.Node:
    """Any text that does not hold `marker`."""
    return ir.And((ir.ANY_TEXT, ir.Not(ir.seq(ir.ANY_TEXT, ir.text(marker), ir.ANY_TEXT))))


def up_to(marker: str, most: int | None = None) -> ir.Node:
    """Text without `marker`, of at most `most` characters, then `marker`.

    No such text begins another: a lexer that reads on greedily can't run past it.
    """
    return ir.And(
        (
            ir.seq(ir.repeat(ir.ANY_CHARACTER, 0, most), ir.text(marker)),
            ir.Not(ir.seq(ir.ANY_TEXT, ir.text(marker), _SOMETHING)),
        )
    )
