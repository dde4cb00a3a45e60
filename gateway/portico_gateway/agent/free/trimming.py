"""What is left out where the context is full: seldom, much at once, and said.

Each time something is left out, the KV behind it is computed anew; so a conversation that is too long is brought down to about
half of the context, and has room for a while. What was found first goes first; instructions, tools and the question stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from portico_gateway.agent.free.prompts import LEFT_OUT
from portico_gateway.agent.free.turns import ModelTurn, ResultTurn, Turn, UserTurn

STUB_TOKENS = 40  # of what stands for a result that was left out; a smaller result stays
LEAST_CHARACTERS = 200  # of a newest result that is cut


@dataclass(frozen=True, slots=True)
class Trimmed:
    """The turns that are left, and what of them is gone."""

    turns: list[Turn]
    results: int = 0  # left out
    past: int = 0  # turns of an earlier conversation, left out
    cut: int = 0  # newest results, shortened

    @property
    def changed(self) -> bool:
        return bool(self.results or self.past or self.cut)

    def plus(self, later: Trimmed) -> Trimmed:
        """Both, one after the other."""
        return Trimmed(later.turns, self.results + later.results, self.past + later.past, max(self.cut, later.cut))


def trim(turns: Sequence[Turn], sizes: Sequence[int], excess: int) -> Trimmed:
    """Free `excess` tokens, where that can be: `sizes` are the turns' tokens.

    Results before the newest turn's go first, the oldest before others; then the earlier conversation; then the newest results
    are shortened, each by the same share.
    """
    left: list[Turn | None] = list(turns)
    newest = _newest_results(turns)
    results = past = 0
    for at in range(newest):
        turn = turns[at]
        if excess > 0 and isinstance(turn, ResultTurn) and not turn.left_out and sizes[at] > STUB_TOKENS:
            left[at] = replace(turn, text=LEFT_OUT.format(characters=len(turn.text)), left_out=True)
            excess -= sizes[at] - STUB_TOKENS
            results += 1
    for at, turn in enumerate(turns):
        is_past = isinstance(turn, UserTurn | ModelTurn) and turn.past
        if is_past and (
            excess > 0 or (at and isinstance(turn, ModelTurn) and left[at - 1] is None)
        ):  # an answer goes with its question
            left[at] = None
            excess -= sizes[at]
            past += 1
    whole = sum(sizes[newest:])
    cut = 0
    if excess > 0 and whole:
        share = max(0.0, 1 - excess / whole)
        for at in range(newest, len(turns)):
            cut += _shorten(left, at, share)
    return Trimmed([turn for turn in left if turn is not None], results, past, cut)


def _newest_results(turns: Sequence[Turn]) -> int:
    """Where the results of the newest turn begin; the end where it has none."""
    at = len(turns)
    while at and isinstance(turns[at - 1], ResultTurn):
        at -= 1
    return at


def _shorten(turns: list[Turn | None], at: int, share: float) -> bool:
    turn = turns[at]
    assert isinstance(turn, ResultTurn)
    kept = max(LEAST_CHARACTERS, int(len(turn.text) * share))
    if kept >= len(turn.text):
        return False
    turns[at] = replace(turn, text=turn.text[:kept].rstrip() + "\n[…]")
    return True
